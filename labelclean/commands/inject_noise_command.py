"""labelclean inject-noise."""

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
    share,
    with_options,
)
from labelclean.config.source_options import SourceOptions


@with_options(
    OptionsOf(config=SourceOptions, helps={"split": "Splits to use, e.g. train, or all."})
)
def inject_noise_command(
    images: SourceArg,
    labels: LabelsArg = None,
    symm: Annotated[
        str | None, typer.Option(help="Share of each class, to any other class: 0.2 or 20%.")
    ] = None,
    asymm: Annotated[
        str | None,
        typer.Option(help="Share of each mapped class, to the one it is taken for: 0.4 or 40%."),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            help="Table of from,to,rate, or of from,to with --asymm, or of a transition matrix."
        ),
    ] = None,
    human: Annotated[
        Path | None,
        typer.Option(
            help="Labels by people, as CIFAR-N: one a line in the images' order, or a table."
        ),
    ] = None,
    human_col: Annotated[str | None, typer.Option(help="Their column in the table.")] = None,
    instance: Annotated[
        str | None, typer.Option(help="Mean share, to a class that the image decides: 0.2 or 20%.")
    ] = None,
    bernoulli: Annotated[
        bool,
        typer.Option("--bernoulli", help="A coin for each label, not an exact count in a class."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder to make; default: the source's name and -noisy.")
    ] = None,
    write_images: Annotated[
        str | None, typer.Option("--images", help="Write CIFAR's images too: folder or parquet.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed: same labels, on any machine.")] = 0,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    **options: Any,
) -> None:
    """Put known wrong labels into a data set, to see how well they are found."""
    from labelclean.config.source_options import SourceOptions
    from labelclean.progress import TerminalReporter
    from labelclean.workflows import injecting

    spec = injecting.NoiseSpec(
        symm=None if symm is None else share("--symm", symm),
        asymm=None if asymm is None else share("--asymm", asymm),
        instance=None if instance is None else share("--instance", instance),
        mapping=mapping,
        human=human,
        human_col=human_col,
        bernoulli=bernoulli,
        seed=seed,
    )
    reading = SourceOptions(labels=labels, **fields_in(SourceOptions, options))
    done = injecting.inject_noise(
        images,
        reading,
        spec=spec,
        out=out,
        images_as=write_images,
        force=force,
        reporter=TerminalReporter(is_quiet=quiet),
    )
    typer.echo(json.dumps(done.to_json()) if as_json else done.describe())
