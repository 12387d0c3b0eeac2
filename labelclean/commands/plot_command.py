"""labelclean plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labelclean.commands.options import ForceOption, MovedImagesOption, QuietOption, ReportArg


def plot_command(
    report: ReportArg,
    out: Annotated[Path, typer.Option(help="Folder for the PNG files; made if need be.")],
    images: MovedImagesOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw a report: scores, mixed-up pairs, classes, the worst 64 images, training."""
    from labelclean.progress import TerminalReporter
    from labelclean.workflows.plotting import plot_report

    reporter = TerminalReporter(is_quiet=quiet)
    plotted = plot_report(report, out, images=images, force=force, reporter=reporter)
    for path in plotted.written:
        typer.echo(path)
    for name, reason in plotted.absent.items():
        reporter.note(f"no {name}: {reason}")
    if plotted.lacks_fonts:
        reporter.note(
            "some letters are written as \\u escapes, since no font here has them; install one, "
            "such as Noto Sans CJK"
        )
