"""cleanlab: the columns of Datalab.get_issues("label") as a CSV, with one for corrections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from labelclean.exports import export_tables
from labelclean.exports.labelled_rows import Export, ExportRow, Format, Found, is_unicode
from labelclean.exports.report_rows import AT_ONCE
from labelclean.report.files import encode_csv, restored

TITLE = "cleanlab"
CSV = "label_issues.csv"


def files(export: Export) -> Mapping[str, Iterator[bytes]]:
    """One row an image; cells that a spreadsheet would run are behind an apostrophe."""
    starts = range(0, len(export.rows), AT_ONCE)
    parts = (_frame(export.rows[start : start + AT_ONCE]) for start in starts)
    return {CSV: (encode_csv(part, has_header=k == 0) for k, part in enumerate(parts))}


def _frame(rows: Sequence[ExportRow]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": pd.Series([row.image for row in rows], dtype=object),
            "is_label_issue": pd.Series([row.is_label_issue for row in rows], dtype=bool),
            "label_score": _numbers([row.label_score for row in rows]),
            "given_label": pd.Series([row.given for row in rows], dtype=object),
            "predicted_label": pd.Series([row.suggested for row in rows], dtype=object),
            "issue_probability": _numbers([row.issue_probability for row in rows]),
            "predicted_probability": _numbers([row.suggested_probability for row in rows]),
            export_tables.CORRECTED: pd.Series(["" for _ in rows], dtype=object),
        }
    )


def _numbers(values: list[float | None]) -> pd.Series[float]:
    return pd.Series(np.array(values, dtype=np.float64))


def read(path: Path) -> Found:
    """`corrected_label` where it is filled in, else `given_label`. Raises ReportError."""
    return export_tables.read(path, TITLE, names=(CSV,), label="given_label", cell=restored)


def next_step(export: Export, out: Path) -> str:
    return f"{CSV} has cleanlab's columns; fill in {export_tables.CORRECTED} and import it"


FORMAT = Format(
    title=TITLE,
    files=files,
    read=read,
    next_step=next_step,
    needs_files=False,
    has_text=is_unicode,
)
