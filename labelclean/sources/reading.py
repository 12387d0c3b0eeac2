"""Reads what the user points at (folder, table, archive, CIFAR by name) into a SampleTable."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelclean.data.samples import ArrayImages, SampleTable
from labelclean.errors import SourceError
from labelclean.sources.assemble import assemble, folder_hint
from labelclean.sources.cifar import cifar_name, read_cifar
from labelclean.sources.folders import Listing, is_image_name
from labelclean.sources.parquet import ParquetShards, join_shards, read_shard, split_of_file
from labelclean.sources.rows import (
    Rows,
    concatenate,
    counted,
    locate,
    merge_repeated,
    read_rows,
    shown,
)
from labelclean.sources.splits import is_split_word
from labelclean.sources.tables import PARQUET, SUFFIXES, Texts, read_table

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
_LABEL_WAYS = "give a table of labels after the folder, or put the images of each class in a folder"


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How a source is to be read.

    labels     table of labels for a folder, or in place of the labels of an archive or of CIFAR
    image_col, label_col, split_col
               names of the columns where they are not to be guessed
    split      None: all rows, those of a test or validation split held out of the training
               (of CIFAR: the training split alone); "all": all rows, all trained on; "a,b": the
               rows of these splits, of which test and validation are held out only beside others
    root       folder that holds CIFAR
    download   fetch CIFAR where it is not there
    is_to_train  refuse what nothing could be learned from, such as one class alone; this follows
               from what is done with the source, and is no option of a command
    """

    labels: Path | None = None
    image_col: str | None = None
    label_col: str | None = None
    split_col: str | None = None
    split: str | None = None
    root: Path | None = None
    download: bool = False
    is_to_train: bool = True


def read(source: str | Path, options: SourceOptions) -> SampleTable:
    """The samples of a folder, a table or a Parquet file, or of CIFAR by its name.

    A file or folder that is called cifar10 wins over the data set of that name.

    Raises SourceError if the source cannot be read as given, or nothing could be learned from it.
    """
    path = Path(source)
    if os.path.isdir(path):
        return _read_folder(path, options)
    if os.path.exists(path):
        return _read_file(path, options)
    name = cifar_name(str(source))
    if name is None:
        raise SourceError(
            f"{shown(str(source))}: no such file or folder, nor a data set (cifar10, cifar100): "
            "correct the path"
        )
    return _read_cifar(name, options)


def _read_folder(root: Path, options: SourceOptions) -> SampleTable:
    listing = Listing(root)
    listing.walk()
    if options.labels is not None:
        rows = _table_rows(options.labels, options)
        return _with_files(rows, listing, options, beside=options.labels.parent)
    metadata = [path for path in listing.paths if is_metadata(path)]
    if metadata:
        return _with_files(_metadata_rows(metadata, root, options), listing, options)
    images = [path for path in listing.paths if listing.is_visible_image(path)]
    if images:
        return _with_files(_class_folder_rows(images, listing), listing, options)
    shards = [path for path in listing.paths if path.lower().endswith(PARQUET)]
    if shards:
        return _read_shards([root / path for path in shards], str(root), options)
    what = f"none of its {len(listing.paths):,} files is an image" if listing.paths else "is empty"
    raise SourceError(f"{root}: {what}: give the folder that holds the images")


def _read_file(path: Path, options: SourceOptions) -> SampleTable:
    if is_image_name(path.name):
        raise SourceError(f"{path} is one image: give the folder that holds the images")
    if path.name.lower().endswith(_ARCHIVES):
        raise SourceError(f"{path} is an archive: unpack it and give the folder")
    if path.suffix.lower() in PARQUET and read_table(path).image_cells:
        return _read_shards([path], str(path), options)
    if options.labels is not None:
        hint = (
            f"the folder comes first: {shown(str(options.labels))} {shown(str(path))}"
            if os.path.isdir(options.labels)
            else "give the folder of the images before the labels, or the table alone"
        )
        raise SourceError(f"{path} is a table and not a folder of images: {hint}")
    rows = _table_rows(path, options)
    return _with_files(rows, Listing(path.parent), options)


def _table_rows(
    path: Path, options: SourceOptions, folder: str = "", split: str | None = None
) -> Rows:
    if not os.path.exists(path):
        raise SourceError(f"{shown(str(path))}: no such file: correct the path of the labels")
    return read_rows(
        read_table(path),
        image_col=options.image_col,
        label_col=options.label_col,
        split_col=options.split_col,
        folder=folder,
        split=split,
    )


def is_metadata(path: str) -> bool:
    """True of Hugging Face's metadata.csv and its kin, in the folder itself or one below it."""
    stem, dot, suffix = path.rpartition("/")[2].partition(".")
    return stem == "metadata" and dot + suffix in SUFFIXES and path.count("/") <= 1


def _metadata_rows(tables: list[str], root: Path, options: SourceOptions) -> Rows:
    """The rows of Hugging Face's metadata files: one for the folder, or one in each split."""
    parts = []
    folders: dict[str, str] = {}
    for path in tables:
        folder = path.rpartition("/")[0]
        if folder in folders:
            raise SourceError(
                f"{root}: both {folders[folder]} and {path} are there: "
                "remove one, or give one as LABELS"
            )
        folders[folder] = path
        split = folder if is_split_word(folder) else None
        parts.append(_table_rows(root / path, options, folder, split))
    return replace(concatenate(parts), origin=str(root))


def _class_folder_rows(images: list[str], listing: Listing) -> Rows:
    """CLASS/..., or SPLIT/CLASS/... where all top folders are called like splits."""
    root = listing.root
    parts = [path.split("/") for path in images]
    tops = {place[0] for place in parts if len(place) > 1}
    depth = 1 if tops and all(is_split_word(top) for top in tops) else 0
    labels: Texts = [place[depth] if len(place) > depth + 1 else None for place in parts]
    tables = [path for path in listing.paths if path.lower().endswith(_TABLES)]
    tables.sort(key=lambda path: path.count("/"))
    way = f"{_LABEL_WAYS} ({tables[0]} in it may be one)" if tables else _LABEL_WAYS
    if not any(labels):
        raise SourceError(f"{root}: its images have no labels: {way}")
    if depth == 0 and len(tops) == 1:
        top = next(iter(tops))
        below = {place[1] for place in parts if len(place) > 2 and place[0] == top}
        hint = f"give {root / top} if that holds the classes" if below else way
        raise SourceError(f"{root}: all its images are in one class folder, {shown(top)}: {hint}")
    others = len(listing.paths) - len(images)
    left_out = others + listing.hidden
    return Rows(
        names=images,
        labels=labels,
        splits=[place[0] if depth and len(place) > 1 else None for place in parts],
        where=lambda row: str(root / images[row]),
        origin=str(root),
        label_name="folder",
        notes=(f"ignored as hidden or no image: {counted(left_out, 'file')} or folders",)
        if left_out
        else (),
    )


def _with_files(
    rows: Rows, listing: Listing, options: SourceOptions, beside: Path | None = None
) -> SampleTable:
    """Rows of paths, and after them the images in the walked folder that no row names."""
    walked = len(listing.paths)
    files = locate(rows, listing)
    rows, files, _ = merge_repeated(replace(rows, names=files), files)
    named = set(files)
    extra = sorted(
        path
        for path in listing.paths[:walked]
        if path not in named and listing.is_visible_image(path)
    )
    where, given = rows.where, len(files)
    nothing: Texts = [None] * len(extra)
    rows = replace(
        rows,
        names=files + extra,
        labels=rows.labels + nothing,
        splits=rows.splits + nothing,
        where=lambda row: where(row) if row < given else str(listing.root / extra[row - given]),
        notes=(*rows.notes, *listing.notes()),
    )
    is_there = np.array([name in listing.index for name in rows.names], dtype=bool)
    if alike := _alike(files, extra, listing):
        rows = replace(rows, notes=(*rows.notes, alike))
    return assemble(
        rows,
        is_there=is_there,
        images=lambda kept: listing.images([rows.names[k] for k in kept.tolist()]),
        root=listing.root.absolute(),
        split=options.split,
        is_to_train=options.is_to_train,
        hint=lambda: folder_hint(files, listing.paths, listing.root, beside),
    )


def _alike(files: list[str], extra: list[str], listing: Listing) -> str:
    """A note on names that differ from a file's only in upper and lower case."""
    there = {path.casefold(): path for path in extra}
    pairs = [
        (name, there[name.casefold()])
        for name in (files if there else ())
        if name not in listing.index and name.casefold() in there
    ]
    if not pairs:
        return ""
    name, path = pairs[0]
    return (
        f"{counted(len(pairs), 'missing name')} would fit in other case: "
        f"{shown(name)} is not {shown(path)}"
    )


def _read_shards(paths: list[Path], origin: str, options: SourceOptions) -> SampleTable:
    alone = options.labels is None  # the names of columns are otherwise those of the labels' table
    shards: ParquetShards = join_shards(
        [
            read_shard(
                read_table(path),
                image_col=options.image_col if alone else None,
                label_col=options.label_col if alone else None,
                split_col=options.split_col if alone else None,
                needs_label=alone,
                split=split_of_file(path) if len(paths) > 1 else None,
            )
            for path in paths
        ],
        origin,
    )
    rows, places, _ = _relabelled(shards.rows, options)
    return assemble(
        rows,
        is_there=shards.is_there[places],
        images=lambda kept: shards.images(places[kept]),
        root=None,
        split=options.split,
        is_to_train=options.is_to_train,
    )


def _read_cifar(name: str, options: SourceOptions) -> SampleTable:
    with_test = options.split is not None or options.labels is not None
    data = read_cifar(name, options.root, with_test=with_test, download=options.download)
    number: dict[str, int] = {}
    names = []
    for split in data.splits:
        number[split] = number.get(split, -1) + 1
        names.append(f"{split}/{number[split]:05d}")
    rows = Rows(
        names=names,
        labels=[data.class_names[k] for k in data.labels.tolist()],
        splits=list(data.splits),
        where=lambda row: f"{name} {names[row]}",
        origin=name,
        order=data.class_names,
    )
    rows, places, truth = _relabelled(rows, options)
    return assemble(
        rows,
        is_there=np.ones(len(rows), bool),
        images=lambda kept: ArrayImages(pixels=data.pixels, rows=places[kept]),
        root=None,
        split=options.split,
        is_to_train=options.is_to_train,
        truth=truth,
    )


def _relabelled(
    archive: Rows, options: SourceOptions
) -> tuple[Rows, NDArray[np.int64], Texts | None]:
    """The rows that the table of labels names, in its order; without a table, the archive's own.

    returns  rows, place of each in the archive, and the archive's labels of them where the
             table replaces those
    """
    if options.labels is None:
        return archive, np.arange(len(archive)), None
    rows = _table_rows(options.labels, options)
    index = {name: k for k, name in enumerate(archive.names)}
    for k, name in enumerate(rows.names):
        if name not in index:
            raise SourceError(
                f"{rows.where(k)}: {archive.origin} has no image {shown(name)}: "
                f"its names are {shown(archive.names[0])} and so on"
            )
    rows, names, _ = merge_repeated(rows, rows.names)
    places = np.array([index[name] for name in names], dtype=np.int64)
    truth = [archive.labels[k] for k in places.tolist()]
    splits = [own or archive.splits[k] for own, k in zip(rows.splits, places.tolist(), strict=True)]
    rows = replace(rows, splits=splits, order=archive.order)
    return rows, places, truth if any(truth) else None
