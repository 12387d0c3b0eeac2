"""labelclean apply."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from labelclean.commands.options import JsonOption, MovedImagesOption, QuietOption, share
from labelclean.errors import ConfigError


def apply_command(
    report: Annotated[Path | None, typer.Argument(help="Report that filter wrote.")] = None,
    decisions: Annotated[
        Path | None,
        typer.Option(help="Decisions, SQLite or CSV; default: those beside the report."),
    ] = None,
    above: Annotated[
        str | None,
        typer.Option(
            help="Where nobody decided, take the suggestion if the label is wrong with at least "
            "this probability: 0.9 or 90%."
        ),
    ] = None,
    undecided: Annotated[
        str | None,
        typer.Option(
            help="What looks wrong, and has no new label after that: keep it as given (default), "
            "or exclude it."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE|FOLDER", help="What to write, in the format the labels came in."
        ),
    ] = None,
    link: Annotated[
        str | None, typer.Option(help="Images of a folder: copy (default), hard or sym.")
    ] = None,
    images: MovedImagesOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count by classes, and write nothing.")
    ] = False,
    undo: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Take back what apply wrote there; alone."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what is there; --undo brings it back.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the corrected labels beside the source, which is never touched; --undo goes back."""
    from labelclean.progress import TerminalReporter
    from labelclean.workflows.applying import apply_decisions, undo_apply

    reporter = TerminalReporter(is_quiet=quiet)
    if undo is not None:
        others = (report, decisions, above, undecided, out, link, images)
        if any(other is not None for other in others) or dry_run or force:
            raise ConfigError("--undo stands alone: labelclean apply --undo OUT")
        undone = undo_apply(undo, reporter=reporter)
        typer.echo(json.dumps(undone.to_json()) if as_json else undone.describe())
        return
    if report is None:
        raise ConfigError("no report: labelclean apply report.csv --out clean.csv")
    applied = apply_decisions(
        report,
        out=out,
        decisions=decisions,
        above=None if above is None else share("--above", above),
        undecided="keep" if undecided is None else undecided,
        images=images,
        link=link,
        is_dry_run=dry_run,
        force=force,
        reporter=reporter,
    )
    typer.echo(json.dumps(applied.to_json()) if as_json else applied.describe())
