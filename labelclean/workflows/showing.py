"""show_rows: some rows of a report, with their images where asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labelclean.errors import ConfigError
from labelclean.report.report import Report
from labelclean.report.selection import Selection, select
from labelclean.workflows.reported import read_source
from labelclean.workflows.small_pictures import Pixels, read_thumbnails
from labelclean.workflows.viewing import Opened, open_images

MOST_OPENED = 20


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The rows that were chosen.

    rows        of the report, in order, at most as many as asked for
    selected    how many there are in all
    thumbnails  row to its pixels (h, w, 3); rows whose image cannot be read are absent
    opened      None: not asked for
    """

    report: Report
    rows: tuple[int, ...]
    selected: int
    thumbnails: Mapping[int, Pixels] = field(default_factory=dict)
    opened: Opened | None = None


def show_rows(
    report: str | Path,
    selection: Selection,
    *,
    limit: int,
    thumbnail_side: int | None = None,
    opens: bool = False,
    force: bool = False,
    images: Path | None = None,
) -> Shown:
    """The rows of the report at that path.

    limit           rows at most
    thumbnail_side  px; None: no images are read
    opens           opens the images of the rows in the viewer of the system
    force           even many
    images          where the images lie now; None: where they were

    Raises ConfigError, ReportError, SourceError or RunError.
    """
    if limit < 1:
        raise ConfigError(f"--limit is {limit}, must be at least 1")
    read = Report.read(report)
    selected = select(read, selection)
    rows = tuple(selected[:limit].tolist())
    if opens and len(rows) > MOST_OPENED and not force:
        raise ConfigError(
            f"--open would open {len(rows)} images; choose --limit {MOST_OPENED} or less, "
            "or --force"
        )
    samples = None
    if rows and (opens or thumbnail_side is not None):
        samples = read_source(read, images)
    return Shown(
        report=read,
        rows=rows,
        selected=len(selected),
        thumbnails=read_thumbnails(samples.images, rows, thumbnail_side)
        if samples and thumbnail_side is not None
        else {},
        opened=open_images(samples, rows) if samples and opens else None,
    )
