"""From rows of paths to the images that they name, and further images that no row names."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from pathlib import Path

import numpy as np

from labelclean.sources.folders import Listing
from labelclean.sources.labels import clean_labels, single_labels
from labelclean.sources.locating import alike, folder_hint, locate
from labelclean.sources.protocol import Found, Place
from labelclean.sources.rows import Rows, merge_repeated
from labelclean.tables.table import Texts


def with_files(
    rows: Rows,
    listing: Listing,
    *,
    root: Path | None,
    why: str,
    is_walked: bool,
    beside: Path | None = None,
    splits: dict[str, str] | None = None,
    further: bool = True,
) -> Found:
    """The rows with their files, and after them the images that no row names.

    is_walked  whether the listing has all files
    beside     the folder of the table, which may hold the images
    splits     image -> the folder that is its split, for rows without one
    further    False: images that no row names are left out

    Raises SourceError for names that lead out of the root or fit several files.
    """
    walked = len(listing.paths) if is_walked and further else 0
    files, located = locate(rows, listing, is_walked=is_walked)
    rows, files, merged = merge_repeated(replace(rows, names=files), files)
    named = set(files)
    extra = sorted(
        path
        for path in listing.paths[:walked]
        if path not in named and listing.is_visible_image(path)
    )
    where, given = rows.where, len(files)
    nothing: Texts = [None] * len(extra)
    names = files + extra
    known = splits or {}
    notes = (*rows.notes, *located, *listing.notes(), alike(files, extra, listing))
    rows = replace(
        rows,
        names=names,
        labels=rows.labels + nothing,
        splits=[own or known.get(n) for own, n in zip(rows.splits + nothing, names, strict=True)],
        where=lambda row: where(row) if row < given else str(listing.root / extra[row - given]),
        notes=tuple(filter(None, notes)),
    )
    return Found(
        rows=rows,
        is_there=np.array([name in listing.index for name in names], dtype=bool),
        images=lambda kept: listing.images([names[k] for k in kept.tolist()]),
        root=root,
        why=why,
        merged=merged,
        hint=lambda: folder_hint(files, listing.paths, listing.root, beside),
    )


def labelled_images(
    place: Place,
    images: list[str],
    labels: Texts,
    *,
    label_name: str,
    splits: Texts,
    why: str,
    notes: tuple[str, ...] = (),
) -> Found:
    """Images of a place, each with the label of a file of its own.

    images  (n,) paths in place.holder
    labels  (n,) as the files have them, None where there is none

    Raises SourceError for several labels of an image, as the options say.
    """
    where = [posixpath.join(place.source, path) for path in images].__getitem__
    single, told = single_labels(clean_labels(labels), where, label_name, place.options.multi_label)
    rows = Rows(
        names=images,
        labels=single,
        splits=splits,
        where=where,
        origin=place.source,
        label_name=label_name,
        notes=(*told, *notes),
    )
    return with_files(rows, place.holder, root=place.root, why=why, is_walked=True, further=False)
