"""labelclean export and labelclean import-decisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from labelclean.commands.options import (
    ForceOption,
    JsonOption,
    MovedImagesOption,
    QuietOption,
    ReportArg,
)

TOOLS = "label-studio, fiftyone, cvat, cleanlab, huggingface or coco-classification"


def export_command(
    report: ReportArg,
    to: Annotated[str, typer.Option(help=f"Tool: {TOOLS}.")],
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    images: MovedImagesOption = None,
    issues_only: Annotated[
        bool, typer.Option("--issues-only", help="Only images whose label looks wrong.")
    ] = False,
    with_images: Annotated[
        bool, typer.Option("--with-images", help="Copy the images into the folder.")
    ] = False,
    url_prefix: Annotated[
        str | None,
        typer.Option(help="Address of the images' folder, for tools that load them from a server."),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a report as files that a labelling tool loads."""
    from labelclean.progress import TerminalReporter
    from labelclean.workflows.exporting import export_report, export_text

    done = export_report(
        report,
        to=to,
        out=out,
        images=images,
        issues_only=issues_only,
        with_images=with_images,
        url_prefix=url_prefix,
        force=force,
        reporter=TerminalReporter(is_quiet=quiet),
    )
    typer.echo(json.dumps(done.to_json()) if as_json else export_text(done))


def import_decisions_command(
    report: ReportArg,
    file: Annotated[Path, typer.Argument(help="File or folder that the tool exported.")],
    source: Annotated[str, typer.Option("--from", help=f"Tool: {TOOLS}.")],
    decisions: Annotated[
        Path | None, typer.Option(help="Decisions to add to; default: those beside the report.")
    ] = None,
    all_reviewed: Annotated[
        bool,
        typer.Option("--all-reviewed", help="Labels that were not changed are kept on purpose."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take the labels that were set in a labelling tool as decisions on a report."""
    from labelclean.workflows.importing import import_decisions, import_text

    done = import_decisions(
        report, file, source=source, decisions=decisions, all_reviewed=all_reviewed
    )
    typer.echo(json.dumps(done.to_json()) if as_json else import_text(done))
