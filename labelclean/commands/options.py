"""What the commands share: arguments, options and how shares are written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labelclean.errors import ConfigError

SourceArg = Annotated[
    str,
    typer.Argument(
        metavar="IMAGES",
        help="Folder of images, table of paths and labels, Parquet file, cifar10 or cifar100.",
    ),
]
LabelsArg = Annotated[
    Path | None,
    typer.Argument(
        metavar="LABELS", help="Table of labels (CSV, TSV, JSONL, Parquet); not for class folders."
    ),
]
OutOption = Annotated[
    str, typer.Option(help="Report to write: .csv, .parquet or .jsonl; - for CSV on stdout.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print figures as JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress and no notes.")]
SeedOption = Annotated[int, typer.Option(help="Same seed, same machine: same result.")]


def share(flag: str, text: str) -> float:
    """ "5%" or "0.05" as 0.05."""
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise ConfigError(f"{flag} is {text}, must be a share such as 5% or 0.05") from None


def shares(flag: str, text: str) -> tuple[float, ...]:
    return tuple(share(flag, part.strip()) for part in text.split(",") if part.strip())
