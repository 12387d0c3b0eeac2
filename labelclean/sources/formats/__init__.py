"""The input formats, in the order in which they are asked whether a place is theirs."""

from __future__ import annotations

from labelclean.data.image_names import is_image_name
from labelclean.errors import SourceError
from labelclean.sources.archives import NOT_READ
from labelclean.sources.formats.cifar import CifarFormat
from labelclean.sources.formats.class_folders import ClassFolders
from labelclean.sources.formats.feature_folder import FeatureFolder
from labelclean.sources.formats.images_only import ImagesOnly
from labelclean.sources.formats.metadata import MetadataFolder
from labelclean.sources.formats.parquet import ColumnFormat
from labelclean.sources.formats.path_table import TableAlone, TableBeside
from labelclean.sources.formats.voc import PascalVoc
from labelclean.sources.formats.webdataset import WebDataset
from labelclean.sources.protocol import Format, Place
from labelclean.sources.wording import shown

FORMATS: list[Format] = [
    CifarFormat(), FeatureFolder(), ColumnFormat(), TableBeside(), MetadataFolder(), WebDataset(),
    PascalVoc(), ClassFolders(), TableAlone(),
]  # fmt: skip
# Where labels do not matter, a folder is all its images, whatever tables lie in it.
UNLABELLED: list[Format] = [
    CifarFormat(),
    ColumnFormat(),
    TableBeside(),
    ImagesOnly(),
    TableAlone(),
]


def recognise(place: Place, labelled: bool = True) -> tuple[Format, str]:
    """The format of a place, and why.

    Raises SourceError if it is of none.
    """
    for each in FORMATS if labelled else UNLABELLED:
        if (why := each.looks_like(place)) is not None:
            return each, why
    raise _unknown(place)


def _unknown(place: Place) -> SourceError:
    path = place.path
    if place.is_folder:
        files = len(place.listing.paths)
        packed = [p for p in place.listing.paths if p.lower().endswith(NOT_READ)]
        if packed:
            return SourceError(f"{path / packed[0]} is an archive: unpack it and give the folder")
        what = f"none of its {files:,} files is an image" if files else "is empty"
        return SourceError(f"{path}: {what}: give the folder that holds the images")
    if not place.is_file:
        return SourceError(
            f"{shown(place.source)}: no such file or folder, nor a data set (cifar10, cifar100): "
            "correct the path"
        )
    if is_image_name(path.name):
        return SourceError(f"{path} is one image: give the folder that holds the images")
    if path.name.lower().endswith(NOT_READ):
        return SourceError(f"{path} is an archive of a kind that is not read: unpack it as zip or "
                           "tar, or give the folder")  # fmt: skip
    if place.is_archive:
        return SourceError(f"{path}: holds no image: give the archive of the images")
    return SourceError(f"{path}: is neither a folder, an archive nor a table of labels")
