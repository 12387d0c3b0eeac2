"""labelclean predict."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from labelclean.commands.options import (
    ForceOption,
    JsonOption,
    OptionsOf,
    QuietOption,
    fields_in,
    with_options,
)
from labelclean.config.filter_config import RuntimeConfig
from labelclean.config.source_options import SourceOptions


@with_options(
    OptionsOf(
        config=SourceOptions,
        only=("image_col", "split_col", "ignore", "encoding", "split", "root"),
        helps={"split": "Splits to use; default: all, of CIFAR test."},
    ),
    OptionsOf(
        config=RuntimeConfig,
        only=("device", "workers"),
        helps={"workers": "Decoding threads; default: cores."},
    ),
)
def predict_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that train wrote.")],
    images: Annotated[
        str,
        typer.Argument(
            metavar="IMAGES",
            help="Folder or archive of images, table of paths, Parquet file, one image, cifar10 or "
            "cifar100.",
        ),
    ],
    names: Annotated[
        Path | None,
        typer.Argument(metavar="TABLE", help="Table of the images of the folder to use."),
    ] = None,
    out: Annotated[
        str, typer.Option(help="Table to write: .csv, .parquet or .jsonl; - for CSV on stdout.")
    ] = "labels.csv",
    truth: Annotated[
        Path | None, typer.Option(help="Table of true labels, to report the accuracy.")
    ] = None,
    label_col: Annotated[
        str | None, typer.Option(help="Column of the true labels in --truth.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Images at a time.")] = 256,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    **options: Any,
) -> None:
    """Label images by a model that train wrote: the best five classes with probabilities."""
    from labelclean.progress import TerminalReporter
    from labelclean.workflows.predicting import predict_images

    predicted = predict_images(
        model,
        images,
        out=out,
        options=SourceOptions(labels=names, **fields_in(SourceOptions, options)),
        truth=truth,
        label_col=label_col,
        batch_size=batch_size,
        device=options["device"],
        workers=options["workers"],
        force=force,
        reporter=TerminalReporter(is_quiet=quiet),
    )
    text = json.dumps(predicted.to_json()) if as_json else predicted.describe()
    print(text, file=sys.stderr if out == "-" else sys.stdout)
