"""Images whose labels do not matter: all of a folder or archive, or a single file."""

from __future__ import annotations

from labelclean.data.image_names import is_image_name
from labelclean.errors import SourceError
from labelclean.sources.folders import Listing
from labelclean.sources.levels import find_levels
from labelclean.sources.protocol import FileFormat, Found, Place
from labelclean.sources.rows import Rows
from labelclean.sources.with_files import with_files
from labelclean.tables.table import Texts


class ImagesOnly(FileFormat):
    name = "images"

    def looks_like(self, place: Place) -> str | None:
        if place.is_file and is_image_name(place.path.name):
            return "an image"
        if not (place.is_folder or place.is_archive):
            return None
        listing = place.holder
        has_images = any(listing.is_visible_image(path) for path in listing.paths)
        return "a folder of images" if has_images else None

    def read(self, place: Place, labelled: bool) -> Found:
        splits: Texts = [None]
        if place.is_file and not place.is_archive:
            listing = Listing(place.path.parent)
            listing.visit("")
            names, root = [place.path.name], place.path.parent.absolute()
        else:
            listing = place.holder
            names = [path for path in listing.paths if listing.is_visible_image(path)]
            splits, root = _splits(names, place), place.root  # type: ignore[assignment]
        rows = Rows(
            names=names,
            labels=[None] * len(names),
            splits=splits,
            where=lambda row: str(listing.root / names[row]),
            origin=place.source,
        )
        return with_files(rows, listing, root=root, why="all images", is_walked=True, further=False)


def _splits(names: list[str], place: Place) -> Texts:
    try:
        return find_levels(names, str(place.path), place.options.class_level).splits
    except SourceError:
        return [None] * len(names)  # the folders tell nothing that is sure
