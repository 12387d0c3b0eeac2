"""labelclean train."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from labelclean.commands.options import (
    ForceOption,
    JsonOption,
    QuietOption,
    SeedOption,
    share,
    shares,
)


def train_command(
    report: Annotated[Path, typer.Option(help="Report that filter wrote.")],
    out: Annotated[Path, typer.Option(help="Model folder to make.")] = Path("model"),
    images: Annotated[
        Path | None, typer.Option(help="Folder of the report's images, if they were moved.")
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option(help="Decisions of a person; default: those beside the report."),
    ] = None,
    scheme: Annotated[
        str, typer.Option(help="default, two-stage (the paper's), ce-clean, ce-noisy.")
    ] = "default",
    compare: Annotated[
        bool, typer.Option("--compare", help="Also train by ce-noisy, to tell the gain.")
    ] = False,
    test: Annotated[
        str | None,
        typer.Option(help="Test images with true labels: folder, table, Parquet, cifar10."),
    ] = None,
    test_labels: Annotated[
        Path | None, typer.Option(help="Table of their labels; not for class folders.")
    ] = None,
    test_split: Annotated[
        str | None, typer.Option(help="Splits of --test to use; default: all, of CIFAR test.")
    ] = None,
    image_col: Annotated[str | None, typer.Option(help="Column of its paths.")] = None,
    label_col: Annotated[str | None, typer.Option(help="Column of its labels.")] = None,
    split_col: Annotated[str | None, typer.Option(help="Column of its split.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder that holds CIFAR.")] = None,
    allow_overlap: Annotated[
        bool,
        typer.Option("--allow-overlap", help="Test also on images that are trained on."),
    ] = False,
    val: Annotated[
        str, typer.Option(help="Share held out to calibrate the probabilities: 0.1 or 10%.")
    ] = "0.1",
    export: Annotated[str | None, typer.Option(help="onnx: also as model.onnx.")] = None,
    license: Annotated[str | None, typer.Option(help="Of the weights, for the card.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="quick (default on a CPU), standard (default on a GPU), paper, clothing1m; the "
            "options below replace single numbers of it."
        ),
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(help="smallnet, resnet10, resnet18, resnet34, resnet50, timm:NAME."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="none, imagenet, or a .safetensors or state dict file.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the data, all stages together.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Training time; the number of epochs follows from it.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Largest learning rate.")] = None,
    schedule: Annotated[str | None, typer.Option(help="one-cycle or steps.")] = None,
    warmup: Annotated[float | None, typer.Option(help="Share of a stage that lr rises.")] = None,
    lr_drops: Annotated[
        str | None, typer.Option(help="Shares of a stage where lr falls tenfold: 0.5,0.75.")
    ] = None,
    momentum: Annotated[float | None, typer.Option(help="Of the optimiser, SGD.")] = None,
    nesterov: Annotated[bool | None, typer.Option(help="Nesterov's momentum.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of the optimiser.")] = None,
    shift: Annotated[int | None, typer.Option(help="px of random translation.")] = None,
    flip: Annotated[
        bool | None, typer.Option(help="Random mirror images; not for digits or letters.")
    ] = None,
    averaging: Annotated[
        float | None, typer.Option(help="Share of a stage that averaged weights span; 0: none.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    compile: Annotated[bool, typer.Option("--compile", help="torch.compile the network.")] = False,
    workers: Annotated[int | None, typer.Option(help="Decoding processes; default: cores.")] = None,
    image_size: Annotated[
        int | None, typer.Option(help="px; default: from the images, at most 224 (CPU: 128).")
    ] = None,
    cache_dir: Annotated[Path | None, typer.Option(help="Folder for decoded pixels.")] = None,
    cache_limit: Annotated[float, typer.Option(help="GiB it may hold; beyond: stream.")] = 50.0,
    run_dir: Annotated[
        Path | None, typer.Option(help="Folder for checkpoints; default: beside the model.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    seed: SeedOption = 0,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a classifier on the labels that are right, by pseudo-labels for those that are not."""
    from labelclean import config
    from labelclean.data.sources import SourceOptions
    from labelclean.progress import TerminalReporter
    from labelclean.workflows import testing, training  # torch loads here, not for --help
    from labelclean.workflows.filtering import default_preset

    given = locals()
    numbers = {k: given[k] for k in config.TrainConfig.__dataclass_fields__ if k in given}
    if lr_drops is not None:
        numbers["lr_drops"] = shares("--lr-drops", lr_drops)
    settings = training.TrainingConfig(
        train=training.train_preset(preset or default_preset(device), **numbers),
        runtime=config.RuntimeConfig(
            device=device,
            precision=precision,
            compile=compile,
            workers=workers,
            minutes=minutes,
            image_size=image_size,
            cache_dir=cache_dir,
            cache_limit=cache_limit,
            run_dir=run_dir,
            resume=resume,
        ),
        scheme=scheme,
        val=share("--val", val),
        is_compared=compare,
        export=export,
        license=license,
    )
    tested = None
    if test is not None:
        options = SourceOptions(
            labels=test_labels,
            image_col=image_col,
            label_col=label_col,
            split_col=split_col,
            split=test_split,
            root=root,
        )
        tested = testing.HoldoutSource(source=test, options=options, allow_overlap=allow_overlap)
    trained = training.train_classifier(
        report,
        out=out,
        images=images,
        test=tested,
        decisions=decisions,
        config=settings,
        force=force,
        reporter=TerminalReporter(is_quiet=quiet),
    )
    typer.echo(json.dumps(trained.to_json()) if as_json else trained.describe())
