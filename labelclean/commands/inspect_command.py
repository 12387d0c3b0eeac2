"""labelclean inspect."""

from __future__ import annotations

import json
from typing import Any

import typer

from labelclean.commands.options import (
    JsonOption,
    LabelsArg,
    OptionsOf,
    SourceArg,
    fields_in,
    with_options,
)
from labelclean.config.source_options import SourceOptions


@with_options(OptionsOf(config=SourceOptions))
def inspect_command(
    images: SourceArg,
    labels: LabelsArg = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Say what a data set was taken for, and what in it is odd (exit code 1). Trains nothing."""
    from labelclean import sources
    from labelclean.progress import TerminalReporter
    from labelclean.sources.inspection import inspect_table, render

    reading = SourceOptions(labels=labels, **fields_in(SourceOptions, options))
    with TerminalReporter().stage("reading") as advance:
        table = sources.read(images, reading, advance)
    inspection = inspect_table(images, table)
    typer.echo(json.dumps(inspection.to_json()) if as_json else render(inspection))
    if inspection.odd:
        raise typer.Exit(1)
