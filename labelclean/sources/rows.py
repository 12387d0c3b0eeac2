"""The rows of a table: a name, a label and a split each; and which file the name means."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labelclean.config.source_options import SourceOptions
from labelclean.errors import SourceError
from labelclean.sources.columns import Match, choose_image_column, split_column
from labelclean.sources.labels import GivenLabels, given_labels
from labelclean.sources.wording import counted, shown
from labelclean.tables.table import Table, Texts

_WEB = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_DRIVE = re.compile(r"[a-z]:/", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The columns of a table by their names: those that were taken, and those left."""

    image: str
    labels: tuple[str, ...] = ()
    split: str | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Merged:
    """A row that names the same image again: its place among all rows, the name, the label."""

    row: int
    name: str
    label: str | None


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One row for each line of the tables or each image of an archive, in their order.

    names   (n,) path or other name of the image
    labels  (n,) text, None where there is none
    splits  (n,) text, None where there is none
    where   row -> "file:line", for messages
    origin  what to call the source in messages
    order   the class names in their canonical order, if the source has one
    taken   which columns of the table these are, and which are left
    """

    names: list[str]
    labels: Texts
    splits: Texts
    where: Callable[[int], str]
    origin: str
    label_name: str = "label"
    order: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    taken: Taken | None = None

    def __len__(self) -> int:
        return len(self.names)

    def take(self, kept: NDArray[np.int64]) -> Rows:
        places = kept.tolist()
        where = self.where
        return replace(
            self,
            names=[self.names[k] for k in places],
            labels=[self.labels[k] for k in places],
            splits=[self.splits[k] for k in places],
            where=lambda row: where(places[row]),
        )


def read_rows(
    table: Table,
    options: SourceOptions,
    *,
    match: Match | None = None,
    folder: str = "",
    split: str | None = None,
    needs_label: bool = True,
) -> Rows:
    """The rows of a table of paths.

    match        how much of a column's cells are images, where it is not named
    folder       goes before the paths
    split        that of all rows, where no column has it
    needs_label  False: labels are not looked for

    Raises SourceError if the columns are not clear or a label has no image.
    """
    image, note = choose_image_column(table, options.image_col, match)
    if image in table.image_cells:
        raise SourceError(
            f"{table.path}: holds the images themselves, so it is a source and not a table of "
            "labels: give it alone"
        )
    labels = given_labels(table, options, image) if needs_label else GivenLabels.none(table)
    within, cells, split_note = split_column(
        table, options.split_col, (image, *labels.columns), options.split
    )
    named = table.texts(image)
    splits: Texts = cells if cells is not None else [split] * table.num_rows
    rows = Rows(
        names=[
            (posixpath.join(folder, name) if folder else name) if name else "" for name in named
        ],
        labels=labels.labels,
        splits=splits,
        where=table.where,
        origin=str(table.path),
        label_name=labels.name,
        order=labels.order,
        notes=tuple(filter(None, (*table.notes, note, *labels.notes, split_note))),
        taken=Taken(
            image=table.columns[image],
            labels=tuple(table.columns[k] for k in labels.columns),
            split=None if within is None else table.columns[within],
            left=tuple(
                column
                for k, column in enumerate(table.columns)
                if k not in (image, within, *labels.columns)
            ),
        ),
    )
    _check_line_breaks(rows, table)
    empty = [k for k, name in enumerate(named) if not name or not name.strip()]
    if not empty:
        return rows
    for k in empty:
        if rows.labels[k] is not None or not needs_label:
            raise SourceError(
                f"{table.where(k)}: '{shown(table.columns[image])}' is empty: "
                "write the image's path or remove the row"
            )
    kept = np.delete(np.arange(len(rows)), empty)
    note = f"{counted(len(empty), 'empty row')} of {table.path.name} left out"
    return replace(rows.take(kept), notes=(*rows.notes, note))


def _check_line_breaks(rows: Rows, table: Table) -> None:
    """Raises SourceError for a label over several lines: two stray quotes make one of them."""
    if table.dialect is None:
        return
    for k, label in enumerate(rows.labels):
        if label is not None and "\n" in label:
            raise SourceError(
                f"{table.where(k)}: the label holds line breaks ({shown(label[:40])}): close the "
                'quote " that begins it, or remove it'
            )


def concatenate(parts: list[Rows]) -> Rows:
    """The rows of several tables, one after the other."""
    if len(parts) == 1:
        return parts[0]
    ends = np.cumsum([len(part) for part in parts])

    def where(row: int) -> str:
        part = int(np.searchsorted(ends, row, side="right"))
        return parts[part].where(row - (int(ends[part - 1]) if part else 0))

    return replace(
        parts[0],
        names=[name for part in parts for name in part.names],
        labels=[label for part in parts for label in part.labels],
        splits=[split for part in parts for split in part.splits],
        where=where,
        notes=tuple(note for part in parts for note in part.notes),
    )


def merge_repeated(rows: Rows, files: list[str]) -> tuple[Rows, list[str], tuple[Merged, ...]]:
    """One row for each file: the first that names it.

    returns  rows, files, the other rows

    Raises SourceError if a file is given two labels.
    """
    first: dict[str, int] = {}
    places = [first.setdefault(file, k) for k, file in enumerate(files)]
    if len(first) == len(files):
        return rows, files, ()
    rows_labels = rows.labels
    labels, splits = list(rows.labels), list(rows.splits)
    clashes: list[tuple[int, int]] = []
    for k, place in enumerate(places):
        if place == k:
            continue
        if labels[place] is None:
            labels[place] = labels[k]
        elif labels[k] is not None and labels[k] != labels[place]:
            clashes.append((place, k))
        splits[place] = splits[place] or splits[k]
    if clashes:
        one, other = clashes[0]
        total = len({place for place, _ in clashes})
        raise SourceError(
            f"{rows.where(other)}: {shown(files[one])} is '{shown(str(rows.labels[other]))}' here "
            f"but '{shown(str(rows.labels[one]))}' at {rows.where(one)} ({counted(total, 'image')} "
            "with two labels in all): keep one row for each image"
        )
    kept = np.fromiter(first.values(), np.int64)
    rows = replace(rows, labels=labels, splits=splits).take(kept)
    merged = tuple(
        Merged(row=k, name=files[k], label=rows_labels[k])
        for k, place in enumerate(places)
        if place != k
    )
    return rows, [files[k] for k in kept.tolist()], merged
