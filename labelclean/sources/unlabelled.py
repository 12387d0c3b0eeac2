"""Reads images whose labels do not matter: with labels, without, or with some."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelclean import sources
from labelclean.data.samples import MISSING, NO_LABEL, OK, ImageSource, SampleTable
from labelclean.errors import SourceError
from labelclean.sources.cifar import cifar_name
from labelclean.sources.columns import image_column, split_column
from labelclean.sources.folders import Listing, is_image_name
from labelclean.sources.parquet import join_shards, read_shard, split_of_file
from labelclean.sources.rows import Rows, counted, locate, shown
from labelclean.sources.splits import choose_rows
from labelclean.sources.tables import PARQUET, Table, Texts, read_table


def read_images(source: str | Path, options: sources.SourceOptions) -> SampleTable:
    """The images of a folder, a table, a Parquet file, or CIFAR by its name, without labels.

    Of a folder every image in it or below; with a table of its own (options.labels) those that
    the table names. options.split takes those splits alone.

    Raises SourceError if the source cannot be read as given, or there is no image.
    """
    path = Path(source)
    if os.path.isdir(path):
        return _of_folder(path, options)
    if os.path.exists(path):
        return _of_file(path, options)
    if cifar_name(str(source)) is not None:
        return _of_cifar(str(source), options)
    raise SourceError(
        f"{shown(str(source))}: no such file or folder, nor a data set (cifar10, cifar100): "
        "correct the path"
    )


def _of_folder(root: Path, options: sources.SourceOptions) -> SampleTable:
    listing = Listing(root)
    if options.labels is not None:
        return _of_table(options.labels, listing, options)
    listing.walk()
    images = [path for path in listing.paths if listing.is_visible_image(path)]
    if not images:
        shards = [root / path for path in listing.paths if path.lower().endswith(PARQUET)]
        if shards:
            return _of_shards(shards, str(root), options)
        files = len(listing.paths)
        what = f"none of its {files:,} files is an image" if files else "is empty"
        raise SourceError(f"{root}: {what}: give the folder that holds the images")
    nothing: Texts = [None] * len(images)
    rows = Rows(
        names=images,
        labels=nothing,
        splits=nothing,
        where=lambda row: str(root / images[row]),
        origin=str(root),
    )
    notes = tuple(listing.notes())
    return _table(rows, _files(listing, images), np.ones(len(images), bool), root, options, notes)


def _of_file(path: Path, options: sources.SourceOptions) -> SampleTable:
    if is_image_name(path.name):  # one image is a source as good as any
        listing = Listing(path.parent)
        listing.visit("")
        rows = Rows(
            names=[path.name],
            labels=[None],
            splits=[None],
            where=lambda row: str(path),
            origin=str(path),
        )
        images = _files(listing, rows.names)
        return _table(rows, images, np.ones(1, bool), path.parent, options, ())
    if path.suffix.lower() in PARQUET and read_table(path).image_cells:
        return _of_shards([path], str(path), options)
    if options.labels is not None:
        raise SourceError(
            f"{path} is a table and not a folder of images: give the folder before the table, or "
            "the table alone"
        )
    return _of_table(path, Listing(path.parent), options)


def _of_table(path: Path, listing: Listing, options: sources.SourceOptions) -> SampleTable:
    """The images that a table names, one row each; labels in it are left aside."""
    if not os.path.exists(path):
        raise SourceError(f"{shown(str(path))}: no such file: correct the path of the table")
    table = read_table(path)
    image = image_column(table, options.image_col)
    if image in table.image_cells:
        raise SourceError(
            f"{path}: holds the images themselves, so it is a source of its own: give it alone"
        )
    names = [(name or "").strip() for name in table.texts(image)]
    for row, name in enumerate(names):
        if not name:
            raise SourceError(
                f"{table.where(row)}: '{shown(table.columns[image])}' is empty: "
                "write the image's path or remove the row"
            )
    rows = Rows(
        names=names,
        labels=[None] * len(names),
        splits=_splits(table, options, image),
        where=table.where,
        origin=str(path),
        notes=table.notes,
    )
    files = locate(rows, listing)
    first = list(dict.fromkeys(files))
    notes = list(table.notes)
    if len(first) < len(files):
        notes.append(f"{path.name}: {counted(len(files) - len(first), 'repeated row')} left out")
        place = {name: k for k, name in reversed(list(enumerate(files)))}
        rows = rows.take(np.array([place[name] for name in first], dtype=np.int64))
    rows = replace(rows, names=first)
    is_there = np.array([name in listing.index for name in first], dtype=bool)
    if not is_there.any():
        raise SourceError(
            f"{path}: none of the {counted(len(first), 'image')} it names is in {listing.root}, "
            f"the first is {shown(first[0])}: correct the paths, or give their folder before it"
        )
    images = _files(listing, first)
    return _table(rows, images, is_there, listing.root, options, tuple(notes))


def _files(listing: Listing, names: list[str]) -> Callable[[NDArray[np.int64]], ImageSource]:
    return lambda kept: listing.images([names[k] for k in kept.tolist()])


def _splits(table: Table, options: sources.SourceOptions, image: int) -> Texts:
    within = split_column(table, options.split_col, (image,))
    return [None] * table.num_rows if within is None else table.texts(within)


def _of_shards(paths: list[Path], origin: str, options: sources.SourceOptions) -> SampleTable:
    if options.labels is not None:
        raise SourceError(f"{origin}: holds the images and their names: give it alone")
    shards = join_shards(
        [
            read_shard(
                read_table(path),
                image_col=options.image_col,
                label_col=None,
                split_col=options.split_col,
                needs_label=False,
                split=split_of_file(path) if len(paths) > 1 else None,
            )
            for path in paths
        ],
        origin,
    )
    return _table(shards.rows, shards.images, shards.is_there, None, options, ())


def _of_cifar(name: str, options: sources.SourceOptions) -> SampleTable:
    table = sources.read(name, replace(options, split=options.split or "test"))
    nothing = np.full(len(table), NO_LABEL, dtype=np.int64)
    return replace(table, labels=nothing, class_names=(), truth=None)


def _table(
    rows: Rows,
    images: Callable[[NDArray[np.int64]], ImageSource],
    is_there: NDArray[np.bool_],
    root: Path | None,
    options: sources.SourceOptions,
    notes: tuple[str, ...],
) -> SampleTable:
    keep, _ = choose_rows(rows.splits, options.split, rows.origin)
    kept = np.flatnonzero(keep)
    if len(kept) < len(rows):
        rows, is_there = rows.take(kept), is_there[kept]
    return SampleTable(
        images=images(kept),
        paths=tuple(rows.names),
        labels=np.full(len(rows), NO_LABEL, dtype=np.int64),
        class_names=(),
        status=np.where(is_there, OK, MISSING).astype(object),
        held_out=np.zeros(len(rows), dtype=bool),
        root=None if root is None else root.absolute(),
        notes=notes,
    )
