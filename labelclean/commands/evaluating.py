"""labelclean evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from labelclean.commands.options import ForceOption, JsonOption, QuietOption, SeedOption


def evaluate_command(
    report: Annotated[
        Path,
        typer.Argument(help="Report that filter wrote, or a table with cleanlab's columns."),
    ],
    truth: Annotated[Path, typer.Option(help="Table of the true labels.")],
    image_col: Annotated[str | None, typer.Option(help="Column of the paths in it.")] = None,
    label_col: Annotated[str | None, typer.Option(help="Column of the true labels in it.")] = None,
    plots: Annotated[
        Path | None,
        typer.Option(help="Folder for plots: precision and recall, reliability, scores."),
    ] = None,
    seed: SeedOption = 0,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare a report with the true labels: AP, AUROC, F1, suggestions, calibration."""
    from labelclean.progress import TerminalReporter
    from labelclean.report.quality_text import quality_text
    from labelclean.workflows.evaluation import evaluate_report

    quality = evaluate_report(
        report,
        truth,
        image_col=image_col,
        label_col=label_col,
        plots=plots,
        force=force,
        seed=seed,
        reporter=TerminalReporter(is_quiet=quiet),
    )
    typer.echo(json.dumps(quality.to_json()) if as_json else quality_text(quality))
