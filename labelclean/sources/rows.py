"""What a table says of each image: a name, a label, a split; and which file the name means."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelclean.errors import SourceError
from labelclean.sources.columns import image_column, label_column, split_column
from labelclean.sources.folders import Listing, is_image_name
from labelclean.sources.tables import NO_TEXT, Table, Texts

_WEB = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_DRIVE = re.compile(r"[a-z]:/", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One row for each line of the tables or each image of an archive, in their order.

    names   (n,) path or other name of the image
    labels  (n,) text, None where there is none
    splits  (n,) text, None where there is none
    where   row -> "file:line", for messages
    origin  what to call the source in messages
    order   the class names in their canonical order, if the source has one
    """

    names: list[str]
    labels: Texts
    splits: Texts
    where: Callable[[int], str]
    origin: str
    label_name: str = "label"
    order: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

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
    *,
    image_col: str | None,
    label_col: str | None,
    split_col: str | None,
    folder: str = "",
    split: str | None = None,
) -> Rows:
    """The rows of a table of paths; `folder` goes before the paths, `split` is that of all rows.

    Raises SourceError if the columns are not clear or a label has no image.
    """
    image = image_column(table, image_col)
    if image in table.image_cells:
        raise SourceError(
            f"{table.path}: holds the images themselves, so it is a source and not a table of "
            "labels: give it alone"
        )
    label = label_column(table, label_col, image)
    within = split_column(table, split_col, (image, label))
    named = table.texts(image)
    labels = clean_labels(table.texts(label), table.class_names.get(label))
    splits: Texts = table.texts(within) if within is not None else [split] * len(labels)
    rows = Rows(
        names=[
            (posixpath.join(folder, name) if folder else name) if name else "" for name in named
        ],
        labels=labels,
        splits=splits,
        where=table.where,
        origin=str(table.path),
        label_name=table.columns[label],
        order=table.class_names.get(label, ()),
        notes=table.notes,
    )
    empty = [k for k, name in enumerate(named) if not name or not name.strip()]
    if not empty:
        return rows
    for k in empty:
        if labels[k] is not None:
            raise SourceError(
                f"{table.where(k)}: '{table.columns[image]}' is empty: "
                "write the image's path or remove the row"
            )
    kept = np.delete(np.arange(len(rows)), empty)
    note = f"{counted(len(empty), 'empty row')} of {table.path.name} left out"
    return replace(rows.take(kept), notes=(*rows.notes, note))


def clean_labels(texts: Texts, names: tuple[str, ...] | None = None) -> Texts:
    """Labels without outer white space, None for an empty one; `names` are what integers mean."""
    meaning: dict[str | None, str | None] = {}
    for text in set(texts):
        plain = None if text is None or text.strip() in NO_TEXT else text.strip()
        if names is not None and plain is not None:
            number = int(plain)
            plain = names[number] if 0 <= number < len(names) else None
        meaning[text] = plain
    return [meaning[text] for text in texts]


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


def locate(rows: Rows, listing: Listing) -> list[str]:
    """The file that each row means, relative to the listing's root.

    A name that is a listed file is that file. Others are tried with forward slashes, relative to
    the root, without outer spaces, in composed Unicode, and with each image ending.

    returns  (n,) paths; one that is not in `listing.index` has no file

    Raises SourceError for a name that leads out of the root, and for one that fits several files.
    """
    files = list(rows.names)
    doubtful = [k for k, name in enumerate(files) if name not in listing.index]
    if not doubtful:
        return files
    inside = _roots(listing.root)
    for k in doubtful:
        files[k] = _relative(files[k], inside, listing.root, lambda k=k: rows.where(k))  # type: ignore[misc]
    for folder in {posixpath.dirname(files[k]) for k in doubtful}:
        listing.visit(folder)  # behind a second link, hidden, or not walked at all
    doubtful = [k for k in doubtful if files[k] not in listing.index]
    if not doubtful:
        return files
    composed: dict[str, str] = {}
    by_stem: dict[str, list[str]] = {}
    for path in listing.paths:
        composed.setdefault(unicodedata.normalize("NFC", path), path)
        if is_image_name(path):
            by_stem.setdefault(posixpath.splitext(path)[0], []).append(path)
    for k in doubtful:
        name = files[k]
        if (same := composed.get(unicodedata.normalize("NFC", name))) is not None:
            files[k] = same
        elif not is_image_name(name) and name in by_stem:
            if len(by_stem[name]) > 1:
                fits = " and ".join(shown(path) for path in by_stem[name])
                raise SourceError(
                    f"{rows.where(k)}: {shown(name)} fits {fits}: write the name with its ending"
                )
            files[k] = by_stem[name][0]
    return files


def _roots(root: Path) -> tuple[str, ...]:
    """The root as given and with its links followed, forward slashes, one at the end."""
    spelled = (os.path.abspath(root), os.path.realpath(root))
    return tuple(dict.fromkeys(path.replace("\\", "/").rstrip("/") + "/" for path in spelled))


def _relative(name: str, inside: tuple[str, ...], root: Path, where: Callable[[], str]) -> str:
    if _WEB.match(name):
        raise SourceError(
            f"{where()}: {shown(name)} is a web address: download the images and give their paths"
        )
    path = posixpath.normpath(name.strip().replace("\\", "/"))
    if "\0" in path:
        raise SourceError(f"{where()}: {shown(name)} holds a zero character: correct the path")
    if path.startswith("/") or _DRIVE.match(path):
        for start in inside:
            if path.startswith(start):
                return path[len(start) :]
    elif path != ".." and not path.startswith("../"):
        return path
    raise SourceError(
        f"{where()}: {shown(name)} is not in {root}: "
        "give the folder that holds all images as IMAGES, with paths relative to it"
    )


def merge_repeated(rows: Rows, files: list[str]) -> tuple[Rows, list[str], NDArray[np.int64]]:
    """One row for each file: the first that names it.

    returns  rows, files, and which rows were kept

    Raises SourceError if a file is given two labels.
    """
    first: dict[str, int] = {}
    places = [first.setdefault(file, k) for k, file in enumerate(files)]
    if len(first) == len(files):
        return rows, files, np.arange(len(files))
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
    note = f"{counted(len(files) - len(kept), 'repeated row')} with the same label merged"
    rows = replace(rows, labels=labels, splits=splits, notes=(*rows.notes, note)).take(kept)
    return rows, [files[k] for k in kept.tolist()], kept


def shown(name: str) -> str:
    """The name on one line, whatever it holds."""
    return name if name.isprintable() else repr(name)[1:-1]


def first_three(names: Iterable[str], total: int) -> str:
    some = [shown(name) for name, _ in zip(names, range(3), strict=False)]
    return ", ".join(some) + (", ..." if total > len(some) else "")


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "es" if noun.endswith("s") else "s")
