"""labelclean evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from labelclean.commands.options import JsonOption, SeedOption


def evaluate_command(
    report: Annotated[Path, typer.Argument(help="Report that filter wrote.")],
    truth: Annotated[Path, typer.Option(help="Table of the true labels.")],
    image_col: Annotated[str | None, typer.Option(help="Column of the paths.")] = None,
    label_col: Annotated[str | None, typer.Option(help="Column of the true labels.")] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Compare a report with the true labels: AP, AUROC, F1, suggestions, calibration."""
    from labelclean.report.quality import quality_text
    from labelclean.workflows.evaluation import evaluate_report

    quality = evaluate_report(report, truth, image_col=image_col, label_col=label_col, seed=seed)
    typer.echo(json.dumps(quality.to_json()) if as_json else quality_text(quality))
