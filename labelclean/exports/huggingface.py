"""Hugging Face `datasets`: the metadata.jsonl of an imagefolder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from labelclean.exports import export_tables
from labelclean.exports.labelled_rows import COPIES, Export, Format, Found, is_unicode
from labelclean.report.files import encode_json

TITLE = "Hugging Face"
METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")  # any may hold what was changed


def files(export: Export) -> Mapping[str, Iterator[bytes]]:
    """JSON Lines, not CSV: there a class "NA" would become a missing value and "007" a number."""
    lines = (
        encode_json(
            {
                "file_name": f"{COPIES}/{row.file}" if export.has_copies else row.file,
                "label": row.given or None,
                "suggested_label": row.suggested or None,
                "is_label_issue": row.is_label_issue,
                "issue_probability": row.issue_probability,
                "label_score": row.label_score,
                "suggested_probability": row.suggested_probability,
                export_tables.IMAGE: row.image,
            }
        )
        + b"\n"
        for row in export.rows
    )
    return {METADATA[0]: lines}


def read(path: Path) -> Found:
    """`corrected_label` where there is one, else `label`. Raises ReportError."""
    return export_tables.read(path, TITLE, names=METADATA, label="label")


def next_step(export: Export, out: Path) -> str:
    if export.has_copies:
        return f'datasets.load_dataset("imagefolder", data_dir="{out}")'
    return (
        f"put {METADATA[0]} into {export.images} and load that folder by "
        'datasets.load_dataset("imagefolder", data_dir=...)'
    )


FORMAT = Format(
    title=TITLE,
    files=files,
    read=read,
    next_step=next_step,
    has_text=is_unicode,
)
