"""Decisions as a table: CSV is written, any table is read, with the line of each mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple
from pathlib import Path

import pandas as pd

from labelclean import disk
from labelclean.decisions.decision import FIELDS, Decision, decision_of
from labelclean.errors import ReportError, SourceError, printable
from labelclean.report import files
from labelclean.tables.read_table import read_table

_NEEDED = ("image", "action", "label")


def write_decisions_csv(path: Path, decisions: Mapping[str, Decision] | Iterable[Decision]) -> None:
    """One row a decision, in the order given; replaces what is there, whole or not at all.

    Raises OutputError if it cannot be written.
    """
    chosen = decisions.values() if isinstance(decisions, Mapping) else decisions
    rows = [["" if cell is None else cell for cell in astuple(decision)] for decision in chosen]
    frame = pd.DataFrame(rows, columns=list(FIELDS), dtype=object)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    disk.write_files({path: files.encode_csv(frame, delimiter)})


def parse_decisions(path: Path) -> dict[str, Decision]:
    """Image to the last decision on it in that table.

    Raises ReportError with the line of the first mistake.
    """
    try:
        table = read_table(path, is_ours=True)
        is_text = table.dialect is not None
        columns = {
            name: [_cell(text, is_text) for text in table.texts(k)]
            for k, name in enumerate(table.columns)
            if name in FIELDS
        }
    except SourceError as error:
        raise ReportError(printable(error)) from None
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise ReportError(
            f"{printable(path)}: no column {', '.join(missing)}; decisions are an SQLite file that "
            f"review wrote or a table with the columns {', '.join(FIELDS)}"
        )
    made: dict[str, Decision] = {}
    for row, cells in enumerate(zip(*columns.values(), strict=True)):
        decision = _from_cells(dict(zip(columns, cells, strict=True)), row, table.where)
        made.pop(decision.image, None)  # the order is that of the last word on each image
        made[decision.image] = decision
    return made


def _cell(text: str | None, is_text: bool) -> str:
    return files.restored(text or "") if is_text else text or ""


def _from_cells(cells: Mapping[str, str], row: int, where: Callable[[int], str]) -> Decision:
    action, before = cells["action"].strip().lower(), cells.get("before", "")
    label = cells["label"] or None
    if action == "keep":
        before = before or label or ""
        label = before if label is None else label
    given = {"before": before, "reviewer": cells.get("reviewer", ""), "at": cells.get("at", "")}
    try:
        return decision_of({"image": cells["image"], "action": action, "label": label, **given})
    except ValueError as error:
        raise ReportError(f"{where(row)}: {error}") from None
