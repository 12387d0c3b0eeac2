"""A table of paths and labels: beside a folder or archive of images, or alone."""

from __future__ import annotations

import os

from labelclean.errors import SourceError
from labelclean.sources.folders import Listing
from labelclean.sources.levels import find_levels
from labelclean.sources.locating import matcher
from labelclean.sources.protocol import FileFormat, Found, LabelPlaces, Place
from labelclean.sources.rows import read_rows
from labelclean.sources.with_files import with_files
from labelclean.sources.wording import shown
from labelclean.tables.read_table import read_labels_table
from labelclean.tables.table import is_table_name


class TableBeside(FileFormat):
    name = "table beside images"

    def looks_like(self, place: Place) -> str | None:
        labels = place.options.labels
        if labels is None:
            return None
        if place.is_folder or place.is_archive:
            return f"images with the table {labels.name}"
        if place.is_file and is_table_name(place.path.name):
            hint = (
                f"the folder comes first: {shown(str(labels))} {shown(str(place.path))}"
                if os.path.isdir(labels)
                else "give the folder of the images before the labels, or the table alone"
            )
            raise SourceError(f"{place.path} is a table and not a folder of images: {hint}")
        return None

    def read(self, place: Place, labelled: bool) -> Found:
        options, labels = place.options, place.options.labels
        if labels is None:
            raise ValueError("no table")
        table = read_labels_table(labels, options.encoding, options.image_col)
        listing = place.holder
        match = matcher(listing, is_walked=True)
        rows = read_rows(table, options, match=match, needs_label=labelled)
        return with_files(
            rows,
            listing,
            root=place.root,
            why=f"images with the table {labels.name}",
            is_walked=True,
            beside=labels.parent,
            splits=None if any(rows.splits) else _folder_splits(rows.names, listing),
            further=labelled,
        )


def _folder_splits(names: list[str], listing: Listing) -> dict[str, str]:
    """The splits that the folders of the images are, where the table has none.

    Folders of images that no row names tell nothing: a competition's test images have no labels.
    """
    named = set(names)
    images = [path for path in listing.paths if path in named]
    try:
        splits = find_levels(images, str(listing.root), None).splits
    except SourceError:
        return {}
    return {path: split for path, split in zip(images, splits, strict=True) if split}


class TableAlone(FileFormat):
    name = "table"

    def looks_like(self, place: Place) -> str | None:
        if not place.is_file or not is_table_name(place.path.name):
            return None
        return "a table with paths relative to it"

    def read(self, place: Place, labelled: bool) -> Found:
        options = place.options
        table = read_labels_table(place.path, options.encoding, options.image_col)
        listing = Listing(place.path.parent)
        match = matcher(listing, is_walked=False)
        rows = read_rows(table, options, match=match, needs_label=labelled)
        return with_files(
            rows,
            listing,
            root=place.path.parent.absolute(),
            why="a table with paths relative to it",
            is_walked=False,
        )

    def label_places(self, place: Place) -> LabelPlaces:
        return LabelPlaces(tables=(place.path,))
