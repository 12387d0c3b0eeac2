"""read_source: the images that a report is about, wherever they lie now."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from labelclean import sources
from labelclean.data.samples import (
    MISSING,
    NO_LABEL,
    OK,
    SampleTable,
    has_image,
)
from labelclean.errors import SourceError, printable
from labelclean.report.report import HELD_OUT, Report


def read_source(report: Report, images: Path | None = None) -> SampleTable:
    """The samples of a report, row by row, with its given labels; the labels' table is not needed.

    images  where the images lie now: their folder, or the archive or the folder of CIFAR that the
            report was made from; None: where they were

    Raises SourceError if they are not there, or are not those of the report.
    """
    names, meta = report.frame["image"].tolist(), report.meta
    recorded = None if meta.image_root is None else Path(meta.image_root)
    root = None if recorded is None else (images or recorded).absolute()
    how = {"source": meta.image_root_given, **meta.source}
    source, is_there = sources.reopen(how, names, root=recorded, images=images)
    if not is_there.any():
        raise SourceError(
            f"{printable(root or report.meta.image_root_given)}: none of the report's "
            f"{len(names):,} images is there, the first is {printable(names[0])}; give their "
            "folder by --images"
        )
    classes = {name: k for k, name in enumerate(report.meta.class_names)}
    given = report.frame["given_label"].tolist()
    status = report.frame["status"].to_numpy(dtype=object).copy()
    status[~has_image(status)] = OK  # or it may have one by now
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
