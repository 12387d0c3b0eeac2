"""An export with every kind of row and names that break careless writers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for its modules: pytest imports no siblings

from labelclean.exports.labelled_rows import Export, ExportRow

HOSTILE = [
    "=cmd('calc')",
    '"><script>alert(1)</script>',
    "a & b < c]]>",
    "two\nlines\r\nand\ttab",
    "\u202egnp.exe",
    "NA",
    "007",
    "2020-01-01",
    "'quoted'",
    "naïve 😀",
    "{out}%s$image",
]


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Twelve rows: a plain issue, one judged right, one without a label, then HOSTILE labels.

    Images of hostile rows are named by their labels too, but for slashes.
    """
    plain = [("cat/1.png", "cat", "dog", True), ("dog/1.jpg", "dog", "dog", False)]
    plain += [("new/é 1.png", "", "cat", False)]
    hostile = [
        (f"h/{name.replace('/', '_')}.png", name, HOSTILE[k - 1], True)
        for k, name in enumerate(HOSTILE)
    ]
    rows = tuple(
        ExportRow(
            row=k + 5,  # some rows of the report were left out
            image=image,
            file=image,
            size=(30 + k, 20),
            given=given,
            suggested=suggested,
            is_label_issue=is_issue,
            label_score=0.25 if given else None,
            issue_probability=0.75 if given else None,
            suggested_probability=0.5,
        )
        for k, (image, given, suggested, is_issue) in enumerate(plain + hostile)
    )
    return Export(rows=rows, class_names=("cat", "dog", *HOSTILE), images=tmp_path / "photos of x")
