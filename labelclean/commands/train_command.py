"""labelclean train."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from labelclean.commands.options import (
    ForceOption,
    GpusOption,
    JsonOption,
    OptionsOf,
    PresetOption,
    QuietOption,
    SeedOption,
    check_used,
    fields_in,
    with_options,
)
from labelclean.config.filter_config import RuntimeConfig, ViewConfig
from labelclean.config.source_options import SourceOptions
from labelclean.config.train_config import TrainConfig
from labelclean.config.training_config import TrainingConfig, train_preset
from labelclean.errors import ConfigError

OF_FILTER = (  # of a network that learns from noisy labels; schemes say what train learns by
    *("method", "complementary", "start", "ramp", "nl_scale", "pl_weight", "pl_start"),
    *("noise_rate", "class_weights", "score_epochs"),
)
OF_TEST = ("image_col", "label_col", "split_col", "root")  # how --test is read


@with_options(
    OptionsOf(
        config=SourceOptions,
        only=OF_TEST,
        helps={
            "image_col": "Path column of --test-labels.",
            "label_col": "Label column of --test-labels.",
            "split_col": "Column of its split.",
            "root": "Folder that holds the CIFAR of --test.",
        },
    ),
    OptionsOf(config=ViewConfig, only=("backbone", "download")),
    OptionsOf(config=TrainingConfig),
    OptionsOf(
        config=TrainConfig,
        but=OF_FILTER,
        is_preset=True,
        helps={
            "epochs": "Passes over the data, all stages together.",
            "warmup": "Share of a stage that lr rises (one-cycle).",
            "lr_drops": "Shares of a stage where lr falls tenfold (steps): 0.5,0.75.",
            "averaging": "Share of a stage that averaged weights span; 0: none.",
        },
    ),
    OptionsOf(
        config=RuntimeConfig,
        helps={"run_dir": "Folder for checkpoints; default: beside the model."},
    ),
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
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch",
            help="Train a network of its own instead of a head on the pretrained one; so do "
            "--epochs, --arch and the other options of a training.",
        ),
    ] = False,
    finetune: Annotated[
        bool | None,
        typer.Option(
            "--finetune/--no-finetune",
            help="Train the pretrained network on, after its head: much slower on a CPU. Default: "
            "on a GPU and with --minutes, if it fits held-out labels better than the head.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also train by ce-noisy, to report the gain.")
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
    allow_overlap: Annotated[
        bool,
        typer.Option("--allow-overlap", help="Test also on images that are trained on."),
    ] = False,
    preset: PresetOption = None,
    gpus: GpusOption = None,
    seed: SeedOption = 0,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    **options: Any,
) -> None:
    """Train a classifier on a report: each label counts as much as it is believed."""
    from labelclean.progress import TerminalReporter
    from labelclean.workflows import launching, testing, training  # torch: not for --help
    from labelclean.workflows.filtering import default_preset

    of_test = {"test_labels": test_labels, "test_split": test_split, "allow_overlap": allow_overlap}
    reading = {name: options[name] for name in OF_TEST}
    idle = [name for name, value in {**of_test, **reading}.items() if value]
    if idle and test is None:
        raise ConfigError(f"--{idle[0].replace('_', '-')} is of a test set: give --test as well")
    options["seed"] = seed
    numbers = fields_in(TrainConfig, options)
    of_network = [
        name
        for name, value in {**numbers, "preset": preset}.items()
        if value is not None and name not in ("seed", "flip")
    ]
    if finetune:
        if others := [name for name in of_network if name != "epochs"]:
            flag = f"--{others[0].replace('_', '-')}"
            raise ConfigError(f"--finetune has settings of its own: leave {flag} out")
        of_network = []
    if of_network and options["backbone"] != ViewConfig.backbone:
        raise ConfigError(
            f"--{of_network[0].replace('_', '-')} is of a network that is trained from scratch, "
            "--backbone of one that is pretrained: leave one out"
        )
    settings = TrainingConfig(
        train=train_preset(preset or default_preset(options["device"]), **numbers),
        runtime=RuntimeConfig(**fields_in(RuntimeConfig, options)),
        # several processes share a network of their own
        is_from_scratch=from_scratch or bool(of_network) or gpus is not None,
        is_finetuned=finetune,
        is_compared=compare,
        **fields_in(TrainingConfig, options),
    )
    check_used(options, settings.train.schedule)
    reporter = TerminalReporter(is_quiet=quiet)
    if gpus is not None:
        launching.check_gpus(gpus, options["device"])
        training.check_input(
            report,
            out=out,
            images=images,
            has_test=test is not None,
            decisions=decisions,
            config=settings,
            force=force,
            reporter=reporter.without_notes(),
        )
        raise typer.Exit(launching.launch(gpus, sys.argv[1:]))
    tested = None
    if test is not None:
        how = SourceOptions(labels=test_labels, split=test_split, **reading)
        tested = testing.HoldoutSource(source=test, options=how, allow_overlap=allow_overlap)
    trained = training.train_classifier(
        report,
        out=out,
        images=images,
        test=tested,
        decisions=decisions,
        config=settings,
        force=force,
        reporter=reporter,
    )
    typer.echo(json.dumps(trained.to_json()) if as_json else trained.describe())
