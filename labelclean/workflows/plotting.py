"""plot_report: the figures of a report as PNG files, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from labelclean.errors import ReportError, SourceError, printable
from labelclean.progress import Reporter
from labelclean.report import plots
from labelclean.report.figure_folder import check_can_write_figures, write_figures
from labelclean.report.figures import encode_png, lacks_fonts, paper_style
from labelclean.report.report import Report
from labelclean.report.selection import Selection, select
from labelclean.workflows.reported import read_source
from labelclean.workflows.small_pictures import read_thumbnail

SIDE = 180  # px of an image on the sheet, about what its place is printed with
NAMES = ("scores.png", "pairs.png", "classes.png", "sheet.png", "training.png")
ABSENT = {
    "scores.png": "no label is judged",
    "pairs.png": "no label looks wrong",
    "classes.png": "no label is judged",
    "training.png": "the report holds no figures of the training",
}


@dataclass(frozen=True, kw_only=True)
class Plotted:
    """The plots that were written.

    written      the files
    absent       name of a file to the reason why it is not there
    lacks_fonts  some letters of class names are escaped, for want of a font
    """

    written: tuple[Path, ...]
    absent: dict[str, str]
    lacks_fonts: bool


def plot_report(
    report: str | Path,
    out: Path,
    *,
    images: Path | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
) -> Plotted:
    """Draws the report at that path into the folder `out`, which is made if need be.

    images  where the images lie now; None: where they were, and no sheet if they are not there

    Raises ReportError if the report cannot be read or a file not be written, SourceError if there
    is nothing of the report in `images`.
    """
    reporter = reporter or Reporter()
    read = Report.read(report, reporter.note)
    check_can_write_figures(out, NAMES, force)
    absent = dict(ABSENT)
    tiles: list[plots.Tile] = []
    rows = select(read, Selection()).tolist()
    if not rows:
        absent["sheet.png"] = "no label looks wrong"
    else:
        absent["sheet.png"] = "no image can be read"
        try:
            tiles = _read_tiles(read, rows, images, reporter)
        except SourceError as error:
            if images is not None:
                raise
            absent["sheet.png"] = str(error)
    drawn: dict[str, bytes] = {}
    with paper_style(), reporter.stage("drawing") as advance:
        drawings: tuple[Callable[[], Figure | None], ...] = (
            lambda: plots.plot_scores(read),
            lambda: plots.plot_pairs(read),
            lambda: plots.plot_classes(read),
            lambda: plots.plot_sheet(read, tiles),
            lambda: plots.plot_training(read),
        )
        for done, (name, draw) in enumerate(zip(NAMES, drawings, strict=True)):
            advance(done, len(NAMES), name)
            if (figure := draw()) is not None:
                drawn[name] = encode_png(figure)
    if not drawn:
        raise ReportError(f"{printable(report)}: nothing to draw: no label is judged")
    write_figures(out, NAMES, drawn)
    return Plotted(
        written=tuple(out / name for name in drawn),
        absent={name: absent[name] for name in NAMES if name not in drawn},
        lacks_fonts=lacks_fonts(read.meta.class_names),
    )


def _read_tiles(
    report: Report, rows: Sequence[int], images: Path | None, reporter: Reporter
) -> list[plots.Tile]:
    """The first images that can be read."""
    source = read_source(report, images).images
    tiles: list[plots.Tile] = []
    with reporter.stage("reading images") as advance:
        for row in rows:
            pixels = read_thumbnail(source, row, SIDE)
            if pixels is not None:
                tiles.append(plots.Tile(pixels=pixels, row=row))
                advance(len(tiles), plots.SHEET, "")
            if len(tiles) == plots.SHEET:
                break
    return tiles
