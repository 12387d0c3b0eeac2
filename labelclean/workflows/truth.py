"""read_truth: the table of true labels that evaluate and predict compare with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from labelclean.config.source_options import SourceOptions
from labelclean.errors import SourceError, printable
from labelclean.sources.rows import Rows, read_rows
from labelclean.tables.read_table import read_labels_table


def read_truth(truth: Path, image_col: str | None = None, label_col: str | None = None) -> Rows:
    """Images, forward slashes, and their true labels, None where it is unknown.

    Raises SourceError if the table cannot be read, names no image, or two labels for one.
    """
    if not truth.is_file():
        raise SourceError(f"{printable(truth)}: no such file; give the table of the true labels")
    table = read_labels_table(truth, None, image_col)
    rows = read_rows(table, SourceOptions(image_col=image_col, label_col=label_col))
    if not rows.names:
        raise SourceError(f"{printable(truth)}: names no image; give the table of the true labels")
    return replace(rows, names=_names(rows))


def _names(truth: Rows) -> list[str]:
    names = [name.replace("\\", "/") for name in truth.names]
    first: dict[str, str | None] = {}
    for row, (name, label) in enumerate(zip(names, truth.labels, strict=True)):
        if label != first.setdefault(name, label):
            raise SourceError(
                f"{printable(truth.where(row))}: {printable(name)} is '{printable(label)}' here "
                f"and '{printable(first[name])}' before; keep one of them"
            )
    return names
