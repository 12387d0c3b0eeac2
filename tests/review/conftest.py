"""A real browser for the tests of the review's pages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for its modules: pytest imports no siblings

from chromium import chromium


# Not of the session: two of Playwright's loops cannot run at once, and other tests start their own.
@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser):
    """A page that fails the test on any script error or message of the content policy."""
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    opened = context.new_page()
    opened.problems = []
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    opened.on("dialog", lambda dialog: (opened.problems.append("dialog"), dialog.dismiss()))
    opened.on(
        "console",
        lambda message: opened.problems.append(message.text) if "Policy" in message.text else None,
    )
    yield opened
    context.close()
    assert opened.problems == []
