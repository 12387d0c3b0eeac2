"""Reads the labels out of a table that went through another tool or a spreadsheet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from labelclean.errors import ReportError, SourceError, printable
from labelclean.exports import parsing
from labelclean.exports.labelled_rows import REVIEWED, Found, Labelled, grouped, is_ticked
from labelclean.tables.read_table import read_table
from labelclean.tables.table import Table

CORRECTED = "corrected_label"  # what a person fills in; empty: nothing was decided
IMAGE = "labelclean_image"  # the report's name of the image, where the path is another
ANNOTATORS = ("annotator", "reviewer")
IMAGES = (IMAGE, "image", "file_name")


def read(
    path: Path,
    tool: str,
    *,
    names: tuple[str, ...],
    label: str,
    cell: Callable[[str], str] = str,
) -> Found:
    """One label a row: what was filled in as correction, else the column `label`.

    names  files to look for in a folder
    cell   undoes what the writer did to names in cells

    Raises ReportError if there is no such table or it lacks its columns.
    """
    file = parsing.within(path, names)
    try:
        table = read_table(file)
        columns = {name: k for k, name in reversed(list(enumerate(table.columns)))}
        image = next((name for name in IMAGES if name in columns), None)
        if image is None or not {label, CORRECTED} & set(columns):
            raise parsing.unlike(
                file,
                tool,
                f"the columns {' or '.join(IMAGES)} and {label} or {CORRECTED} are needed",
            )
        images = _texts(table, columns, image, cell)
        labels = _texts(table, columns, label, cell)
        corrected = _texts(table, columns, CORRECTED, cell)
        marks = _texts(table, columns, REVIEWED, str)
        people = _texts(table, columns, next((x for x in ANNOTATORS if x in columns), ""), cell)
    except SourceError as error:
        raise ReportError(printable(error)) from None
    rows = zip(images, labels, corrected, marks, people, strict=True)
    return grouped(
        [
            Labelled(
                image=name,
                label=right or old,
                annotator=who or None,
                is_reviewed=bool(right) or is_ticked(mark),
            )
            for name, old, right, mark, who in rows
            if name
        ]
    )


def _texts(
    table: Table, columns: dict[str, int], name: str, cell: Callable[[str], str]
) -> list[str]:
    """The cells as text, the names where they are the integers of a ClassLabel; "" for none."""
    if name not in columns:
        return [""] * table.num_rows
    place = columns[name]
    texts = [text or "" for text in table.texts(place)]
    if (classes := table.class_names.get(place)) is not None:
        texts = [
            classes[int(text)] if text.isdigit() and int(text) < len(classes) else ""
            for text in texts
        ]
    return [cell(text) for text in texts]
