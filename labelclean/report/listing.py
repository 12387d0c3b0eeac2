"""Rows of a report as a table for a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich_pixels import Pixels

from labelclean.data.samples import OK
from labelclean.errors import printable
from labelclean.report.report import COLUMNS, Report

SHARES = ("issue_probability", "suggested_probability")
NO_IMAGE = "no image"


def rows_table(
    report: Report,
    rows: Sequence[int],
    thumbnails: Mapping[int, NDArray[np.uint8]] | None = None,
) -> Table:
    """One line a row. Names are never read as markup or control codes.

    thumbnails  row to the pixels (h, w, 3) drawn before it; None: no such column
    """
    shown = report.frame.iloc[list(rows)].to_dict("records")
    remarks = [_remarks(row) for row in shown]
    below = 0 if thumbnails is None else 1  # keeps images apart
    table = Table(box=None, pad_edge=False, padding=(0, 1, below, 1))
    if thumbnails is not None:
        widths = [x.shape[1] for x in thumbnails.values()]
        table.add_column("", width=max([*widths, len(NO_IMAGE)]))
    for heading in ("image", "given", "suggested"):
        table.add_column(heading, overflow="fold")
    for heading in ("wrong", "fits"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("second", overflow="fold")
    if any(remarks):
        table.add_column("remarks", overflow="fold")
    for at, row, remark in zip(rows, shown, remarks, strict=True):
        cells: list[RenderableType] = []
        if thumbnails is not None:
            cells.append(_drawn(thumbnails.get(at)))
        is_issue = bool(row["is_label_issue"])
        cells.append(Text(printable(row["image"])))
        cells.append(Text(printable(row["given_label"]), "red" if is_issue else ""))
        cells.append(Text(printable(row["suggested_label"]), "green" if is_issue else "dim"))
        cells += [Text(_share(row[name])) for name in SHARES]
        cells.append(Text(printable(row["second_label"]), "dim"))
        if any(remarks):
            cells.append(Text(remark, "dim"))
        table.add_row(*cells)
    return table


def rows_json(report: Report, rows: Sequence[int]) -> list[dict[str, Any]]:
    """All columns of the rows, JSON-ready; names as they are, None where there is no figure."""
    shown = report.frame.iloc[list(rows)].to_dict("records")
    return [
        {name: None if row[name] != row[name] else row[name] for name in COLUMNS} for row in shown
    ]


def _drawn(pixels: NDArray[np.uint8] | None) -> RenderableType:
    """Two pixels a character, one above the other."""
    return Text(NO_IMAGE, "dim") if pixels is None else Pixels.from_image(Image.fromarray(pixels))


def _share(value: float) -> str:
    return "" if value != value else f"{value:.1%}"


def _remarks(row: Mapping[Any, Any]) -> str:
    status = "" if row["status"] == OK else row["status"]
    return printable(" ".join(filter(None, (status, row["flags"]))))
