"""Pascal VOC: an XML file for each image, in Annotations/ or beside it."""

from __future__ import annotations

import json
import posixpath
from xml.etree import ElementTree

from labelclean.errors import SourceError
from labelclean.sources.folders import Listing
from labelclean.sources.protocol import FileFormat, Found, Place
from labelclean.sources.splits import split_of
from labelclean.sources.with_files import labelled_images
from labelclean.sources.wording import counted, shown
from labelclean.xml_files import parse_xml


class PascalVoc(FileFormat):
    """The label is the name of the objects; several different ones are several labels."""

    name = "Pascal VOC"

    def looks_like(self, place: Place) -> str | None:
        if place.options.labels is not None or not (place.is_folder or place.is_archive):
            return None
        listing = place.holder
        images = _images(listing)
        xmls = _annotations(listing)
        described = sum(_stem(path) in xmls for path in images)
        # half of the XML files have an image and half of the images an XML file
        if not xmls or 2 * described < max(len(xmls), len(images)):
            return None
        if _root(listing, min(xmls.values())).tag != "annotation":
            return None  # another kind of XML
        return _why(xmls)

    def read(self, place: Place, labelled: bool) -> Found:
        listing = place.holder
        images, xmls, splits = _images(listing), _annotations(listing), _splits(listing)
        files = [xmls.get(_stem(path)) for path in images]
        return labelled_images(
            place,
            images,
            [None if file is None else _label(listing, file) for file in files],
            label_name="<object><name>",
            splits=[splits.get(_stem(path)) for path in images],
            why=_why(xmls),
        )


def _why(xmls: dict[str, str]) -> str:
    return f"{counted(len(xmls), 'XML file')} of the same names as images"


def _images(listing: Listing) -> list[str]:
    """Not the masks of the same names, which VOC keeps in folders of their own."""
    images = [path for path in listing.paths if listing.is_visible_image(path)]
    photos = [path for path in images if "JPEGImages" in path.split("/")[:-1]]
    return photos or images


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0]


def _annotations(listing: Listing) -> dict[str, str]:
    """Stem -> XML file."""
    return {_stem(path): path for path in listing.paths if path.lower().endswith(".xml")}


def _root(listing: Listing, path: str) -> ElementTree.Element:
    try:
        return parse_xml(listing.content(path))
    except (OSError, ValueError) as error:
        raise SourceError(f"{shown(path)}: not readable as XML: {error}: correct it") from None


def _label(listing: Listing, path: str) -> str | None:
    objects = _root(listing, path).iter("object")
    object_names = [(each.findtext("name") or "").strip() for each in objects]
    names = list(dict.fromkeys(filter(None, object_names)))
    return names[0] if len(names) == 1 else json.dumps(names, ensure_ascii=False) if names else None


def _splits(listing: Listing) -> dict[str, str]:
    """Stem -> split, of ImageSets/Main/train.txt, val.txt and test.txt."""
    splits: dict[str, str] = {}
    for path in listing.paths:
        folder, name = posixpath.split(path)
        split = split_of(_stem(name))
        is_list = posixpath.basename(posixpath.dirname(folder)) == "ImageSets"
        if not is_list or not name.endswith(".txt") or split is None:
            continue
        lines = listing.content(path).decode("utf-8", "replace").split("\n")
        splits |= {line.split()[0]: split for line in lines if line.strip()}
    return splits
