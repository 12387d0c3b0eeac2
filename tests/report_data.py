"""Reports made by hand: rows as tuples, and a meta file of which a test says only what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labelclean.report.meta import ReportMeta
from labelclean.report.report import COLUMNS, Report


def meta_of(**changes: Any) -> ReportMeta:
    plain = {
        "class_names": ("cat", "dog"),
        "image_root_given": "images",
        "image_root": "/data/images",
        "config": {},
        "seed": 0,
        "versions": {},
        "device": "cpu",
        "seconds": {},
        "noise_rate": 0.2,
        "noise_rate_interval": (0.1, 0.3),
    }
    return ReportMeta(**(plain | changes))


def report_of(rows: Sequence[tuple[Any, ...]], **changes: Any) -> Report:
    """Rows in the order of COLUMNS; the last, which may be absent, may be left out of all."""
    given = len(rows[0]) if rows else len(COLUMNS)
    columns = {name: [row[k] for row in rows] for k, name in enumerate(COLUMNS) if k < given}
    return Report.from_columns(columns, meta_of(**changes))
