"""labelclean features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from labelclean.commands.options import (
    ForceOption,
    JsonOption,
    LabelsArg,
    OptionsOf,
    QuietOption,
    SourceArg,
    fields_in,
    with_options,
)
from labelclean.config.filter_config import RuntimeConfig, ViewConfig
from labelclean.config.source_options import SourceOptions

OF_MACHINE = ("device", "workers", "image_size", "bit_depth", "cache_dir", "cache_limit")


@with_options(
    OptionsOf(config=SourceOptions),
    OptionsOf(config=ViewConfig, only=("backbone", "mirror")),
    OptionsOf(config=RuntimeConfig, only=OF_MACHINE),
)
def features_command(
    images: SourceArg,
    labels: LabelsArg = None,
    out: Annotated[Path, typer.Option(help="Folder for the Parquet files, one a shard.")] = Path(
        "features"
    ),
    shard: Annotated[
        str | None,
        typer.Option(help="Which part of the images, or of the files: 3/64, from 1 on."),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    **options: Any,
) -> None:
    """Write what the pretrained network sees of each image, in shards, for filter --features."""
    from labelclean.progress import TerminalReporter
    from labelclean.workflows.featurising import write_source_features

    done = write_source_features(
        images,
        out=out,
        shard=shard,
        force=force,
        options=SourceOptions(labels=labels, **fields_in(SourceOptions, options)),
        view=ViewConfig(**fields_in(ViewConfig, options)),
        where=RuntimeConfig(**fields_in(RuntimeConfig, options)),
        reporter=TerminalReporter(is_quiet=quiet),
    )
    facts = {
        "features": str(done.path),
        "images": done.images,
        "unreadable": done.unreadable,
        "shard": [done.shard.number, done.shard.count],
        "width": done.width,
        "files": done.files,
        "kept": done.kept,
    }
    typer.echo(json.dumps(facts) if as_json else done.describe())
