"""Class folders: one folder a class, perhaps below folders that are splits."""

from __future__ import annotations

import posixpath

from labelclean.errors import SourceError
from labelclean.sources.levels import Levels, find_levels
from labelclean.sources.protocol import FileFormat, Found, LabelPlaces, Place
from labelclean.sources.rows import Rows
from labelclean.sources.with_files import with_files
from labelclean.sources.wording import counted, shown

_WAYS = "give a table of labels after the folder, or put the images of each class in a folder"


class ClassFolders(FileFormat):
    name = "class folders"

    def looks_like(self, place: Place) -> str | None:
        if not (place.is_folder or place.is_archive) or place.options.labels is not None:
            return None
        listing = place.holder
        has_images = any(listing.is_visible_image(path) for path in listing.paths)
        return "a folder of images" if has_images else None

    def read(self, place: Place, labelled: bool) -> Found:
        listing, root = place.holder, str(place.path)
        images = [path for path in listing.paths if listing.is_visible_image(path)]
        levels = read_levels(place, images)
        if levels.left:
            images = [path for k, path in enumerate(images) if k not in levels.left]
        kept = [k for k in range(len(levels.labels)) if k not in levels.left]
        others = len(listing.paths) - len(images) - len(levels.left) + listing.hidden
        notes = list(levels.notes)
        if others:
            notes.append(f"ignored as hidden or no image: {counted(others, 'file')} or folders")
        if place.tables:
            notes.append(
                f"{shown(place.tables[0])} in the folder is not read: give it as LABELS if it "
                "holds the labels"
            )
        rows = Rows(
            names=images,
            labels=[levels.labels[k] for k in kept],
            splits=[levels.splits[k] for k in kept],
            where=lambda row: posixpath.join(root, images[row]),
            origin=root,
            label_name="folder",
            notes=tuple(notes),
        )
        return with_files(
            rows, listing, root=place.root, why=levels.why, is_walked=True, further=False
        )

    def label_places(self, place: Place) -> LabelPlaces:
        if place.root is None:
            return LabelPlaces()
        return LabelPlaces(class_folders=True, images=tuple(place.images))


def read_levels(place: Place, images: list[str]) -> Levels:
    """The classes and splits of the images' folders.

    Raises SourceError if there is no class, or only one, or the folders allow two readings.
    """
    root, table = str(place.path), ""
    if place.tables:
        table = f" ({shown(place.tables[0])} in it may be one)"
    try:
        levels = find_levels(images, root, place.options.class_level)
    except SourceError as error:
        if not table:
            raise
        raise SourceError(
            f"{error}; {shown(place.tables[0])} lies beside: give it as LABELS if it holds the "
            "labels"
        ) from None
    way = _WAYS + table
    if not any(levels.labels):
        what = f" ({levels.why})" if any(levels.splits) else ""
        raise SourceError(f"{root}: its images have no labels{what}: {way}")
    classes = {label for label in levels.labels if label}
    if len(classes) == 1 and set(levels.depths) <= {0, -1} and not any(levels.splits):
        top = classes.pop()
        below = {path.split("/")[1] for path in images if path.count("/") > 1}
        hint = f"give {posixpath.join(root, top)} if that holds the classes" if below else way
        raise SourceError(f"{root}: all its images are in one class folder, {shown(top)}: {hint}")
    return levels
