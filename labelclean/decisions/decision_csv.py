"""Decisions as CSV: written for people and other tools, read with the line of each mistake."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from pathlib import Path

import pandas as pd

from labelclean import disk
from labelclean.decisions.decision import FIELDS, Decision, problem_of
from labelclean.errors import ReportError, printable
from labelclean.report import files

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


def parse_decisions(path: Path, data: bytes) -> dict[str, Decision]:
    """Image to the last decision on it in the bytes of that file.

    Raises ReportError with the line of the first mistake.
    """
    text = data.decode("utf-8-sig", "surrogateescape")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)  # spreadsheets of some countries write semicolons
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    made: dict[str, Decision] = {}
    try:
        header = [name.strip() for name in next(reader, [])]
        missing = [name for name in _NEEDED if name not in header]
        if missing:
            raise ReportError(
                f"{printable(path)}:1: no column {', '.join(missing)}; decisions are an SQLite "
                f"file that review wrote or a CSV with the columns {', '.join(FIELDS)}"
            )
        for row in filter(None, reader):
            place = f"{printable(path)}:{reader.line_num}"
            if len(row) != len(header):
                raise ReportError(
                    f"{place}: {len(row)} cells where the header has {len(header)}; "
                    "correct the line"
                )
            cells = dict(zip(header, map(files.restored, row), strict=True))
            decision = _from_cells(cells, place)
            made.pop(decision.image, None)  # the order is that of the last word on each image
            made[decision.image] = decision
    except csv.Error as error:
        raise ReportError(
            f"{printable(path)}:{reader.line_num}: not CSV ({error}); correct the line"
        ) from None
    return made


def _from_cells(cells: Mapping[str, str], place: str) -> Decision:
    action, before = cells["action"].strip().lower(), cells.get("before", "")
    label = cells["label"] or None
    if action == "keep":
        before = before or label or ""
        label = before if label is None else label
    problem = problem_of(action, label, before) if cells["image"] else "image is empty"
    if problem:
        raise ReportError(f"{place}: {problem}")
    return Decision(
        image=cells["image"],
        action=action,
        label=label,
        before=before,
        reviewer=cells.get("reviewer", ""),
        at=cells.get("at", ""),
    )
