"""read_source: the images that a report is about, wherever they lie now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelclean import sources
from labelclean.data.samples import (
    MISSING,
    NO_LABEL,
    OK,
    UNREADABLE,
    ArrayImages,
    ImageSource,
    SampleTable,
)
from labelclean.errors import SourceError, printable
from labelclean.report.table import HELD_OUT, Report
from labelclean.sources.folders import Listing
from labelclean.sources.parquet import ParquetImages
from labelclean.sources.rows import Rows, locate
from labelclean.sources.unlabelled import read_images


def read_source(report: Report, images: Path | None = None) -> SampleTable:
    """The samples of a report, row by row, with its given labels; the labels' table is not needed.

    images  where the images lie now: their folder, or the archive or the folder of CIFAR that the
            report was made from; None: where they were

    Raises SourceError if they are not there, or are not those of the report.
    """
    names = report.frame["image"].tolist()
    if report.meta.image_root is None:
        source, is_there, root = *_from_archive(report, names, images), None
    else:
        root = (images or Path(report.meta.image_root)).absolute()
        source, is_there = _from_folder(names, root)
    if not is_there.any():
        raise SourceError(
            f"{printable(root or report.meta.image_root_given)}: none of the report's "
            f"{len(names):,} images is there, the first is {printable(names[0])}; give their "
            "folder by --images"
        )
    classes = {name: k for k, name in enumerate(report.meta.class_names)}
    given = report.frame["given_label"].tolist()
    status = report.frame["status"].to_numpy(dtype=object).copy()
    status[np.isin(status.astype(str), (MISSING, UNREADABLE))] = OK  # or it may be by now
    status[~is_there] = MISSING
    return SampleTable(
        images=source,
        paths=tuple(names),
        labels=np.array([classes.get(name, NO_LABEL) for name in given], dtype=np.int64),
        class_names=report.meta.class_names,
        status=status,
        held_out=np.array([HELD_OUT in x.split() for x in report.frame["flags"]], dtype=bool),
        root=root,
    )


def _from_folder(names: list[str], root: Path) -> tuple[ImageSource, NDArray[np.bool_]]:
    if not root.is_dir():
        raise SourceError(
            f"{printable(root)}: the folder of the report's images is not there; "
            "give it by --images"
        )
    nothing: list[str | None] = [None] * len(names)
    rows = Rows(
        names=names,
        labels=nothing,
        splits=nothing,
        where=lambda row: f"row {row + 1} of the report",
        origin=str(root),
        label_name="given_label",
    )
    listing = Listing(root)
    files = locate(rows, listing)  # refuses names that lead out of the root
    is_there = np.array([name in listing.index for name in files], dtype=bool)
    return listing.images(files), is_there


def _from_archive(
    report: Report, names: list[str], images: Path | None
) -> tuple[ImageSource, NDArray[np.bool_]]:
    """Of Parquet and CIFAR, whose images are no files: read again."""
    how = report.meta.source
    source = how.get("source") or report.meta.image_root_given
    is_path = Path(source).exists() or "/" in source.replace("\\", "/")
    own_columns = how.get("labels") is None  # otherwise they are those of the labels' table
    options = sources.SourceOptions(
        image_col=how.get("image_col") if own_columns else None,
        split_col=how.get("split_col") if own_columns else None,
        split="all",
        is_to_train=False,
        root=images if images and not is_path else _path(how.get("root")),
    )
    table = read_images(images if images and is_path else source, options)
    index = {name: k for k, name in enumerate(table.paths)}
    places = np.array([index.get(name, -1) for name in names], dtype=np.int64)
    found = table.images
    if not isinstance(found, ArrayImages | ParquetImages):
        raise SourceError(
            f"{printable(images or source)}: is not what the report was made from, which holds the "
            "images itself; give that by --images"
        )
    return replace(found, rows=found.rows[places]), places >= 0


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
