"""From the outcome to the edit of each table that the labels came in."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labelclean.apply.origin import Origin
from labelclean.apply.outcome import Outcome
from labelclean.apply.relabelling import Edit
from labelclean.errors import SourceError, printable
from labelclean.sources.columns import image_column, label_column
from labelclean.sources.folders import Listing
from labelclean.sources.formats.parquet import join_shards, read_shard
from labelclean.sources.labels import given_labels, look_alike_key
from labelclean.sources.locating import locate
from labelclean.sources.rows import Rows
from labelclean.tables.columnar import strings
from labelclean.tables.read_table import read_labels_table, read_table
from labelclean.tables.table import Table, Texts


@dataclass(frozen=True, kw_only=True)
class Edits:
    """An edit for each table, in the order of the origin's tables.

    unreported  rows that the report does not judge: they stay as they are
    """

    edits: tuple[Edit, ...]
    unreported: int


@dataclass(frozen=True, kw_only=True)
class _Named:
    """A table whose rows have the names that the report calls them.

    folder  what stands before the paths in the table, "" for nothing
    one_hot columns of 0 and 1, where the labels are those
    """

    table: Table
    image: int
    label: int
    names: Sequence[str]
    labels: Texts
    folder: str = ""
    one_hot: tuple[int, ...] = ()


def plan_edits(origin: Origin, outcome: Outcome) -> Edits:
    """Finds the changes to the tables.

    Raises SourceError if the tables are no longer those that the report was made from.
    """
    index = {name: k for k, name in enumerate(outcome.images)}
    named = (
        _shard_names(origin) if origin.places.hold_images else _path_names(origin, outcome, index)
    )
    is_changed, is_excluded = outcome.is_changed, outcome.is_excluded
    seen = np.zeros(len(outcome), dtype=np.bool_)
    unreported = 0
    parts = []
    for each in named:
        labels: dict[int, str] = {}
        dropped: set[int] = set()
        for row, (name, label) in enumerate(zip(each.names, each.labels, strict=True)):
            k = index.get(name)
            if k is None:
                unreported += bool(name.strip())
                continue
            seen[k] = True
            if label is not None and _differ(label, outcome.given[k], origin):
                raise SourceError(
                    f"{each.table.where(row)}: {printable(name)} is '{printable(label)}' here, in "
                    f"the report '{printable(outcome.given[k])}': the labels are others than the "
                    "report's, run filter again"
                )
            if is_excluded[k]:
                dropped.add(row)
            elif is_changed[k]:
                labels[row] = outcome.labels[k]
        parts.append((each, labels, frozenset(dropped)))
    _check_seen(origin, outcome, seen)
    added = _added(origin, outcome, seen, [each.folder for each in named])
    edits = tuple(
        Edit(
            table=each.table,
            image=each.image,
            label=each.label,
            one_hot=each.one_hot,
            labels=labels,
            dropped=dropped,
            added=tuple(rows),
        )
        for (each, labels, dropped), rows in zip(parts, added, strict=True)
    )
    return Edits(edits=edits, unreported=unreported)


def _differ(label: str, given: str, origin: Origin) -> bool:
    if origin.reading.merge_labels:
        return look_alike_key(label) != look_alike_key(given)
    return label != given


def _check_seen(origin: Origin, outcome: Outcome, seen: NDArray[np.bool_]) -> None:
    """An image without a given label may have no row: it was found in the folder."""
    gone = [k for k in np.flatnonzero(~seen).tolist() if outcome.given[k]]
    if gone:
        raise SourceError(
            f"{printable(origin.tables[0])}: has no row for {len(gone):,} of the report's "
            f"{len(outcome):,} images, such as {printable(outcome.images[gone[0]])}: it is not the "
            "table that the report was made from, run filter again"
        )


def _added(
    origin: Origin, outcome: Outcome, seen: NDArray[np.bool_], folders: list[str]
) -> list[list[tuple[str, str]]]:
    """New rows of each table: images without a row to which a person gave a label."""
    added: list[list[tuple[str, str]]] = [[] for _ in folders]
    for k in np.flatnonzero(outcome.is_changed & ~seen).tolist():
        name = outcome.images[k]
        fitting = [
            (len(folder), place)
            for place, folder in enumerate(folders)
            if not folder or name.startswith(folder + "/")
        ]
        if not fitting:
            raise SourceError(
                f"{printable(name)}: has a label now, but none of the {len(folders)} tables is for "
                f"its folder: add it by hand, or take the decision back"
            )
        length, place = max(fitting)
        added[place].append((name[length + 1 :] if length else name, outcome.labels[k]))
    return added


def _path_names(origin: Origin, outcome: Outcome, known: Mapping[str, int]) -> list[_Named]:
    named = []
    for path in origin.tables:
        table = read_labels_table(path, origin.reading.encoding, origin.reading.image_col)
        image = image_column(table, origin.reading.image_col)
        given = given_labels(table, origin.reading, image)
        folder = origin.folder_of(path)
        texts = _shared_texts(table, image, outcome.images, known)
        names = [posixpath.join(folder, text) if folder and text else text for text in texts]
        named.append(
            _Named(
                table=table,
                image=image,
                label=given.columns[0],
                one_hot=given.columns if given.is_one_hot else (),
                names=_located(names, known, origin, table.where),
                labels=given.labels,
                folder=folder,
            )
        )
    return named


def _shared_texts(
    table: Table, column: int, images: Sequence[str], known: Mapping[str, int]
) -> list[str]:
    """The texts of a column, "" where there is none; as the strings that `images` has of them
    already, so that ten million names are there once.

    known  image -> its place in `images`
    """
    parts: Iterable[Texts] = [table.texts(column)] if table.arrow is None else ()
    if table.arrow is not None:
        cells = table.arrow(column)
        is_text = pa.types.is_string(cells.type)
        parts = map(strings, cells.chunks) if is_text else [table.texts(column)]

    def shared(text: str | None) -> str:
        place = known.get(text or "", -1)
        return images[place] if place >= 0 else text or ""

    return [shared(text) for part in parts for text in part]


def _located(
    names: list[str], known: Collection[str], origin: Origin, where: Callable[[int], str]
) -> list[str]:
    """The names as the report has them: those of the files that they mean."""
    if origin.root is None:
        return [name.replace("\\", "/") for name in names]
    doubtful = [k for k, name in enumerate(names) if name not in known and name.strip()]
    if not doubtful:
        return names
    nothing: Texts = [None] * len(doubtful)
    rows = Rows(
        names=[_below(names[k], origin.old_root) for k in doubtful],
        labels=nothing,
        splits=nothing,
        where=lambda row: where(doubtful[row]),
        origin=origin.source,
    )
    located = list(names)
    listing = Listing(origin.root)
    is_walked = len(doubtful) == sum(bool(name.strip()) for name in names)
    if is_walked:
        listing.walk()
    files, _ = locate(rows, listing, is_walked=is_walked)
    for k, name in zip(doubtful, files, strict=True):
        located[k] = name
    return located


def _below(name: str, root: Path | None) -> str:
    """An absolute path as it was below the root that has moved since."""
    start = "" if root is None else str(root).replace("\\", "/").rstrip("/") + "/"
    plain = name.strip().replace("\\", "/")
    return plain[len(start) :] if start and plain.startswith(start) else name


def _shard_names(origin: Origin) -> list[_Named]:
    tables = [read_table(path) for path in origin.tables]
    shards = [
        read_shard(table, replace(origin.reading, split_col=None, split=None)) for table in tables
    ]
    rows = join_shards(shards, origin.source).rows
    named, first = [], 0
    for table, shard in zip(tables, shards, strict=True):
        image = image_column(table, origin.reading.image_col)
        last = first + len(shard.rows)
        named.append(
            _Named(
                table=table,
                image=image,
                label=label_column(table, origin.reading.label_col, image),
                names=rows.names[first:last],
                labels=rows.labels[first:last],
            )
        )
        first = last
    return named
