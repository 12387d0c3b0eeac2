"""Reads what the user points at (folder, table, archive, CIFAR by name) into a SampleTable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelclean.config.source_options import SourceOptions, recorded_options
from labelclean.data.feature_shards import has_shards, origin_of, parts_of
from labelclean.data.samples import ImageSource, SampleTable
from labelclean.errors import SourceError, printable
from labelclean.sources.assemble import assemble, assemble_unlabelled
from labelclean.sources.formats import recognise
from labelclean.sources.formats.cifar import cifar_name
from labelclean.sources.formats.parquet import ColumnFormat
from labelclean.sources.part_images import PartImages, in_folder
from labelclean.sources.protocol import FileFormat, Place
from labelclean.sources.remote import Advance, Parts, find_parts, is_several
from labelclean.sources.wording import counted

__all__ = ["SourceOptions", "read", "read_images", "reopen"]


def read(
    source: str | Path | Parts, options: SourceOptions, advance: Advance | None = None
) -> SampleTable:
    """The samples of a folder, a table, an archive or a Parquet file, or of CIFAR by its name; or
    of many such files, by a pattern, a URL or an index.

    A file or folder that is called cifar10 wins over the data set of that name.

    advance  hears of what is fetched from a URL

    Raises SourceError if the source cannot be read as given, or nothing could be learned from it.
    """
    place = Place(source, options, advance=advance)
    form, _ = recognise(place)
    table = assemble(form.read(place, labelled=True), options, form.name)
    promised = None if place.parts is None else place.parts.samples
    if promised is not None and promised != len(table) + len(table.merged):
        note = f"{len(table):,} images, but the index says {counted(promised, 'sample')}"
        table = replace(table, notes=(*table.notes, note))
    return table


def read_images(
    source: str | Path | Parts, options: SourceOptions, advance: Advance | None = None
) -> SampleTable:
    """The images of a source without labels.

    Of a folder every image in it or below; with a table of its own (options.labels) those that
    the table names. options.split takes those splits alone; of CIFAR by name, the test split.

    Raises SourceError if the source cannot be read as given, or there is no image.
    """
    place = Place(source, options, advance=advance)
    form, _ = recognise(place, labelled=False)
    if options.labels is not None and not isinstance(form, FileFormat):
        raise SourceError(f"{place.source}: holds the images and their names: give it alone")
    is_by_name = not place.is_folder and not place.is_file and cifar_name(place.source)
    if is_by_name and options.split is None:
        options = replace(options, split="test")
    return assemble_unlabelled(form.read(place, labelled=False), options)


def reopen(
    how: Mapping[str, str | None],
    names: list[str],
    *,
    root: Path | None,
    images: Path | None,
) -> tuple[ImageSource, NDArray[np.bool_]]:
    """The images of a report, row by row, and which of them are there.

    how     what SourceOptions.record kept
    names   (n,) of the images in the report
    root    where the report says their folder is; None: they are inside a file
    images  where they are now: the folder, the file, or the folder of CIFAR; None: where they were

    Raises SourceError if the source is not there, or a name leads out of the folder.
    """

    def where(row: int) -> str:
        return f"row {row + 1} of the report"

    if root is not None:
        folder = (images or root).absolute()
        if not folder.is_dir():
            raise SourceError(
                f"{printable(folder)}: the folder of the report's images is not there; "
                "give it by --images"
            )
        return FileFormat().reopen(Place(folder, SourceOptions()), names, where)
    source = how.get("source") or ""
    if has_shards(Path(source)):
        return _reopen_features(Path(source), names, images)
    if images is None and how.get("format") != ColumnFormat.name and is_several(source):
        parts = find_parts(source)
        if len(parts) > 1:  # each is fetched and read when an image of it is wanted
            return _some_of(parts, how, names)
    is_path = Path(source).exists() or "/" in source.replace("\\", "/")
    own = how.get("labels") is None  # otherwise the columns are those of the labels' table
    options = replace(
        recorded_options(how) if own else recorded_options({"ignore": how.get("ignore")}),
        labels=None,
        split=None,
        is_to_train=False,
        root=images if images and not is_path else recorded_options({"root": how.get("root")}).root,
    )
    place = Place(images if images and is_path else source, options, is_inside=True)
    form, _ = recognise(place, labelled=False)
    if place.root is not None and isinstance(form, FileFormat):
        raise SourceError(
            f"{printable(images or source)}: is not what the report was made from, which holds the "
            "images itself; give that by --images"
        )
    return form.reopen(place, names, where)


def _reopen_features(
    folder: Path, names: list[str], images: Path | None
) -> tuple[ImageSource, NDArray[np.bool_]]:
    """The images of which a folder of features was made."""
    origin = origin_of(parts_of(folder)[0])
    if origin is None or origin.source is None:
        raise SourceError(
            f"{printable(folder)}: does not say of which images these features are: give the "
            "folder of the images by --images"
        )
    how = origin.source
    if origin.rows is not None:
        root = how.get("image_root")
        return reopen(how, names, root=None if root is None else Path(root), images=images)
    parts = find_parts(how.get("source") or "")
    if images is not None:
        parts = in_folder(parts, images)
    return _some_of(parts, how, names)


def _some_of(
    parts: Parts, how: Mapping[str, str | None], names: list[str]
) -> tuple[ImageSource, NDArray[np.bool_]]:
    options = replace(recorded_options(how), labels=None, split=None, is_to_train=False)
    some = PartImages(parts, options, tuple(names))
    return some, some.is_there()
