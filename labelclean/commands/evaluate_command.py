"""labelclean evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from labelclean.commands.options import ForceOption, JsonOption, QuietOption
from labelclean.errors import ConfigError, printable


def evaluate_command(
    report: Annotated[
        Path,
        typer.Argument(
            help="Report that filter wrote, labels that predict wrote, or a table with "
            "cleanlab's columns."
        ),
    ],
    truth: Annotated[Path, typer.Option(help="Table of the true labels.")],
    image_col: Annotated[str | None, typer.Option(help="Column of the paths in it.")] = None,
    label_col: Annotated[str | None, typer.Option(help="Column of the true labels in it.")] = None,
    given: Annotated[
        Path | None,
        typer.Option(
            help="Table of the given labels, for a table that lists the issues alone: its other "
            "images count as judged right."
        ),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            help="Folder for plots: precision and recall, reliability, scores; of labels that "
            "predict wrote the confusion matrix."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap intervals of a report.")] = 0,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare a report, or labels that predict wrote, with the true labels."""
    from labelclean.progress import TerminalReporter
    from labelclean.report.prediction_files import read_predictions
    from labelclean.workflows import evaluation

    reporter = TerminalReporter(is_quiet=quiet)
    columns = {"image_col": image_col, "label_col": label_col}
    predicted = read_predictions(report)
    if predicted is not None:
        if given is not None:
            raise ConfigError(
                f"--given is for a report that lists issues alone, and {printable(report)} holds "
                "predictions: leave it out"
            )
        from labelclean.report.classification import figures_text

        figures = evaluation.evaluate_predictions(
            predicted, report, truth, plots=plots, force=force, reporter=reporter, **columns
        )
        typer.echo(json.dumps(figures.to_json()) if as_json else figures_text(figures))
        return
    from labelclean.report.quality_text import quality_text

    quality = evaluation.evaluate_report(
        report,
        truth,
        given=given,
        plots=plots,
        force=force,
        seed=seed,
        reporter=reporter,
        **columns,
    )
    typer.echo(json.dumps(quality.to_json()) if as_json else quality_text(quality))
