"""WebDataset: tar files in which KEY.jpg has its label beside it, in KEY.cls, .json or .txt."""

from __future__ import annotations

import json
import posixpath

from labelclean.errors import SourceError
from labelclean.sources.archives import ArchiveListing
from labelclean.sources.folders import Listing
from labelclean.sources.protocol import FileFormat, Found, Place
from labelclean.sources.splits import split_of_path
from labelclean.sources.with_files import labelled_images
from labelclean.sources.wording import counted, shown
from labelclean.tables.table import Texts

_LABELS = (".cls", ".json", ".txt")
_KEYS = ("label", "cls", "class", "target", "category", "class_name", "labels")


class WebDataset(FileFormat):
    name = "WebDataset"

    def looks_like(self, place: Place) -> str | None:
        if place.options.labels is not None or not (place.is_archive or place.is_folder):
            return None
        listing = place.holder
        if not isinstance(listing, ArchiveListing):
            return None
        ending = _label_ending(listing)
        return f"images with {ending} files of the same name in tar files" if ending else None

    def read(self, place: Place, labelled: bool) -> Found:
        listing = place.holder
        ending = _label_ending(listing) or ""
        images = [path for path in listing.paths if listing.is_visible_image(path)]
        labels: Texts = []
        for path in images:
            beside = _key(path) + ending
            text = listing.content(beside) if beside in listing.index else None
            labels.append(None if text is None else _label(text, ending, beside))
        several = isinstance(listing, ArchiveListing) and len(listing.archives) > 1
        return labelled_images(
            place,
            images,
            labels,
            label_name=ending,
            splits=[split_of_path(path.split("/")[0]) if several else None for path in images],
            why=f"the labels are {ending} files",
            notes=(f"{counted(len(images), 'image')} in tar files, labelled by {ending}",),
        )


def _key(path: str) -> str:
    """All before the first dot of the file's name, as webdataset has it."""
    folder, _, name = path.rpartition("/")
    return posixpath.join(folder, name.split(".")[0])


def _label_ending(listing: Listing) -> str | None:
    """The kind of file that at least half of the images have beside them."""
    keys = {_key(path) for path in listing.paths if listing.is_visible_image(path)}
    for ending in _LABELS:
        beside = {_key(path) for path in listing.paths if path.endswith(ending)}
        if keys and 2 * len(keys & beside) >= len(keys):
            return ending
    return None


def _label(data: bytes, ending: str, name: str) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise SourceError(f"{shown(name)}: is not UTF-8: write the label as text") from None
    if ending != ".json":
        return text.strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise SourceError(f"{shown(name)}: not valid JSON: write the label as JSON") from None
    if isinstance(value, dict):
        key = next((key for key in _KEYS if key in value), None)
        if key is None:
            raise SourceError(
                f"{shown(name)}: none of {', '.join(_KEYS)} is in it: name the label so"
            )
        value = value[key]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
