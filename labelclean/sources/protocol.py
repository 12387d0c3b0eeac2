"""The protocol of an input format, the place that it looks at, and the result of reading."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from labelclean.config.source_options import SourceOptions
from labelclean.data.samples import ImageSource
from labelclean.sources.archives import ArchiveListing, is_archive_name
from labelclean.sources.folders import Listing
from labelclean.sources.locating import locate
from labelclean.sources.remote import Advance, Parts, find_parts, is_several
from labelclean.sources.rows import Merged, Rows
from labelclean.tables.table import Texts, is_table_name

_ANNOTATIONS = re.compile("annot|instances|coco")  # in names of what annotation tools export


@dataclass(frozen=True, kw_only=True)
class Found:
    """The result of reading a format: rows and the images behind them.

    is_there  (n,) whether the row's image exists
    images    places (k,) in the rows -> their image source
    root      folder that the names are relative to; None for images inside a file
    merged    further rows of the input that name an image of the rows again
    truth     (n,) the true labels, where the source has them beside the given ones
    hint      what to say when no image is found at all
    """

    rows: Rows
    is_there: NDArray[np.bool_]
    images: Callable[[NDArray[np.int64]], ImageSource]
    root: Path | None
    why: str
    merged: tuple[Merged, ...] = ()
    truth: Texts | None = None
    hint: Callable[[], str] = field(default=lambda: "")


@dataclass(frozen=True, kw_only=True)
class LabelPlaces:
    """Where the labels of a source stand, which is how corrected ones are written back.

    Without tables and class folders they can only be written as a new table.

    tables         files in which each label is a cell, in the order in which they were read
    hold_images    whether the images are in those files too
    class_folders  whether the label of an image is the name of its folder
    images         files of a folder that is written anew as a whole, relative to it
    """

    tables: tuple[Path, ...] = ()
    hold_images: bool = False
    class_folders: bool = False
    images: tuple[str, ...] = ()


class Place:
    """The folder, file or name that the user gave, looked at once for all formats."""

    def __init__(
        self,
        source: str | Path | Parts,
        options: SourceOptions,
        *,
        is_inside: bool = False,
        advance: Advance | None = None,
    ) -> None:
        """is_inside: images that are asked for again are in archives of the folder.

        advance  hears of what is fetched

        Raises SourceError for a URL, a pattern or an index whose files cannot be had.
        """
        self.is_inside = is_inside
        if not isinstance(source, Parts) and is_several(str(source)):
            source = find_parts(str(source))
        self.parts = source if isinstance(source, Parts) else None
        self.source = source.source if isinstance(source, Parts) else str(source)
        self.path = source.local(advance) if isinstance(source, Parts) else Path(source)
        self.options = options
        self.is_folder = os.path.isdir(self.path)
        self.is_file = not self.is_folder and os.path.exists(self.path)
        self.is_archive = self.is_file and is_archive_name(self.path.name)

    @cached_property
    def listing(self) -> Listing:
        """All files of the folder or archive. Raises SourceError where it cannot be opened."""
        listing: Listing
        if self.is_archive:
            listing = ArchiveListing([self.path], self.path.parent, self.options.ignore)
        else:
            listing = Listing(self.path, self.options.ignore)
        listing.walk()
        return listing

    @cached_property
    def images(self) -> list[str]:
        return [path for path in self.listing.paths if self.listing.is_visible_image(path)]

    @cached_property
    def tables(self) -> list[str]:
        """Tables that may hold labels, those nearest the top first; of JSON annotations alone."""
        paths = [path for path in self.listing.paths if is_table_name(path)]
        paths = [
            path
            for path in paths
            if not path.lower().endswith((".txt", ".json", ".arrow"))
            or (path.lower().endswith(".json") and _ANNOTATIONS.search(path.lower()))
        ]
        return sorted(paths, key=lambda path: path.count("/"))

    @cached_property
    def archives(self) -> list[str]:
        return [] if self.is_archive else [p for p in self.listing.paths if is_archive_name(p)]

    @cached_property
    def holder(self) -> Listing:
        """Where the images are: the folder, or else the archives in it."""
        if self.is_archive or self.images or not self.archives:
            return self.listing
        archives = [self.path / path for path in self.archives]
        listing = ArchiveListing(archives, self.path, self.options.ignore)
        listing.walk()
        return listing

    @property
    def root(self) -> Path | None:
        """The folder of the images, absolute; None where they are inside an archive."""
        is_inside = isinstance(self.holder, ArchiveListing)
        return None if is_inside else self.holder.root.absolute()


class Format(Protocol):
    """An input format. A new one is a file in formats/ and a line in formats/__init__.py.

    Labels in a table of the user's own (options.labels) stand there, whatever the format.

    name  as the user reads it: "class folders"
    """

    @property
    def name(self) -> str: ...

    def looks_like(self, place: Place) -> str | None:
        """Why the place is of this format, in a few words; None where it is not."""
        ...

    def read(self, place: Place, labelled: bool) -> Found:
        """The rows and images of a place that looks like it.

        labelled  False: labels do not matter, and need not be there

        Raises SourceError if it cannot be read.
        """
        ...

    def reopen(
        self, place: Place, names: list[str], where: Callable[[int], str]
    ) -> tuple[ImageSource, NDArray[np.bool_]]:
        """The images of these names of a report, and whether each is there."""
        ...

    def label_places(self, place: Place) -> LabelPlaces:
        """Where the labels of a place that looks like it stand."""
        ...


class FileFormat:
    """Base of formats whose images are files, of a folder or inside an archive."""

    def label_places(self, place: Place) -> LabelPlaces:
        return LabelPlaces()

    def reopen(
        self, place: Place, names: list[str], where: Callable[[int], str]
    ) -> tuple[ImageSource, NDArray[np.bool_]]:
        nothing: Texts = [None] * len(names)
        rows = Rows(names=names, labels=nothing, splits=nothing, where=where, origin=place.source)
        listing = place.holder if place.is_archive or place.is_inside else Listing(place.path)
        files, _ = locate(rows, listing)  # refuses names that lead out of the root
        return listing.images(files), np.array([name in listing.index for name in files], bool)


class InsideFormat:
    """Base of formats whose images are inside a file, by their names there."""

    def label_places(self, place: Place) -> LabelPlaces:
        return LabelPlaces()

    def read(self, place: Place, labelled: bool) -> Found:
        raise NotImplementedError

    def reopen(
        self, place: Place, names: list[str], where: Callable[[int], str]
    ) -> tuple[ImageSource, NDArray[np.bool_]]:
        found = self.read(place, labelled=False)
        index = {name: k for k, name in enumerate(found.rows.names)}
        places = np.array([index.get(name, -1) for name in names], dtype=np.int64)
        return found.images(places), places >= 0
