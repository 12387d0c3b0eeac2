"""axe-core, which finds what keeps a screen reader or a keyboard out of a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / ".tools/node_modules/axe-core/axe.min.js"


def violations(page: Any) -> list[str]:
    """What axe finds of any severity, best practices included, in the page as it stands now.

    Skips the test where axe-core is missing.
    """
    if not SCRIPT.is_file():
        pytest.skip("axe-core is missing: npm install --no-save --prefix .tools axe-core@4.14.1")
    page.wait_for_timeout(200)  # colours that fade would be measured half way
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(SCRIPT.read_text())
    outcome = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{rule['impact']} {rule['id']}: {node['html'][:160]} {node['failureSummary']}"
        for rule in outcome["violations"]
        for node in rule["nodes"]
    ]
