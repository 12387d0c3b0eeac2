"""The folder that `labelclean features` wrote: names and labels beside features, no image."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelclean.data.feature_shards import has_shards, parts_of, read_shard_rows
from labelclean.data.samples import ArrayImages, ImageSource
from labelclean.errors import SourceError
from labelclean.sources.folders import Listing
from labelclean.sources.locating import matcher
from labelclean.sources.protocol import Found, InsideFormat, Place
from labelclean.sources.rows import Rows, read_rows
from labelclean.sources.with_files import with_files
from labelclean.sources.wording import counted, first_three
from labelclean.tables.read_table import read_labels_table
from labelclean.tables.table import Texts


class FeatureFolder(InsideFormat):
    name = "features"

    def looks_like(self, place: Place) -> str | None:
        if not place.is_folder or not has_shards(place.path):
            return None
        return "files of labelclean features"

    def read(self, place: Place, labelled: bool) -> Found:
        names: list[str] = []
        labels: Texts = []
        splits: Texts = []
        files = parts_of(place.path)
        for each in files:
            rows = read_shard_rows(each)
            names += rows.paths
            labels += rows.labels
            splits += rows.splits
        if len(set(names)) < len(names):
            twice = sorted(name for name, times in Counter(names).items() if times > 1)
            raise SourceError(
                f"{place.source}: {counted(len(twice), 'image')} of one name in two files: "
                f"{first_three(twice, len(twice))}: write the features anew, each image once"
            )
        why = f"{counted(len(files), 'file')} of labelclean features"
        table = place.options.labels
        if table is not None:
            return _labelled_by(table, names, place, why)
        if not any(labels):
            raise SourceError(
                f"{place.source}: none of its images has a label: give the table of the labels "
                "after it"
            )
        return Found(
            rows=Rows(
                names=names,
                labels=labels,
                splits=splits,
                where=lambda row: f"{place.source}, row {row + 1}",
                origin=place.source,
            ),
            is_there=np.zeros(len(names), dtype=bool),
            images=_no_images,
            root=None,
            why=why,
            hint=lambda: "these are features alone, for filter; give the images here",
        )


def _labelled_by(labels: Path, names: list[str], place: Place, why: str) -> Found:
    """The rows of a table of labels, found among the names as paths among files."""
    options = place.options
    listing = Listing(place.path)
    listing.paths = names
    listing.index = {name: row for row, name in enumerate(names)}
    listing.sizes = listing.mtimes = array("q", bytes(8 * len(names)))
    table = read_labels_table(labels, options.encoding, options.image_col)
    rows = read_rows(table, options, match=matcher(listing, is_walked=True))
    found = with_files(
        rows, listing, root=None, why=f"{why}, the table {labels.name}", is_walked=True
    )
    return replace(found, is_there=np.zeros(len(found.rows), dtype=bool), images=_no_images)


def _no_images(rows: NDArray[np.int64]) -> ImageSource:
    return ArrayImages(pixels=np.zeros((0, 1, 1, 3), np.uint8), rows=rows)
