"""labelclean train."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from labelclean.commands.options import (
    ArchOption,
    BackboneOption,
    BatchSizeOption,
    BitDepthOption,
    CacheDirOption,
    CacheLimitOption,
    CompileOption,
    DeviceOption,
    DownloadOption,
    FlipOption,
    ForceOption,
    GpusOption,
    ImageSizeOption,
    JsonOption,
    LrOption,
    MinutesOption,
    MomentumOption,
    NesterovOption,
    PrecisionOption,
    PresetOption,
    QuietOption,
    ResumeOption,
    ScheduleOption,
    SeedOption,
    ShiftOption,
    WeightDecayOption,
    WeightsOption,
    WorkersOption,
    check_used,
    fields_in,
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
        str,
        typer.Option(
            help="default, soft (no distorted view, half the time), two-stage (the paper's), "
            "ce-clean, ce-noisy."
        ),
    ] = "default",
    backbone: BackboneOption = "efficientnet-lite0",
    download: DownloadOption = False,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch",
            help="Train a network of its own instead of a head on the pretrained one; so do "
            "--minutes, --epochs, --arch and the other options of a training.",
        ),
    ] = False,
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
    image_col: Annotated[str | None, typer.Option(help="Path column of --test-labels.")] = None,
    label_col: Annotated[str | None, typer.Option(help="Label column of --test-labels.")] = None,
    split_col: Annotated[str | None, typer.Option(help="Column of its split.")] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder that holds the CIFAR of --test.")
    ] = None,
    allow_overlap: Annotated[
        bool,
        typer.Option("--allow-overlap", help="Test also on images that are trained on."),
    ] = False,
    val: Annotated[
        str, typer.Option(help="Share held out to calibrate the probabilities: 0.1 or 10%.")
    ] = "0.1",
    export: Annotated[str | None, typer.Option(help="onnx: also as model.onnx.")] = None,
    license: Annotated[str | None, typer.Option(help="Of the weights, for the card.")] = None,
    preset: PresetOption = None,
    arch: ArchOption = None,
    weights: WeightsOption = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the data, all stages together.")
    ] = None,
    minutes: MinutesOption = None,
    batch_size: BatchSizeOption = None,
    lr: LrOption = None,
    schedule: ScheduleOption = None,
    warmup: Annotated[
        float | None, typer.Option(help="Share of a stage that lr rises (one-cycle).")
    ] = None,
    lr_drops: Annotated[
        str | None,
        typer.Option(help="Shares of a stage where lr falls tenfold (steps): 0.5,0.75."),
    ] = None,
    momentum: MomentumOption = None,
    nesterov: NesterovOption = None,
    weight_decay: WeightDecayOption = None,
    shift: ShiftOption = None,
    flip: FlipOption = None,
    averaging: Annotated[
        float | None, typer.Option(help="Share of a stage that averaged weights span; 0: none.")
    ] = None,
    device: DeviceOption = "auto",
    gpus: GpusOption = None,
    precision: PrecisionOption = "auto",
    compile: CompileOption = False,
    workers: WorkersOption = None,
    image_size: ImageSizeOption = None,
    bit_depth: BitDepthOption = None,
    cache_dir: CacheDirOption = None,
    cache_limit: CacheLimitOption = 50.0,
    run_dir: Annotated[
        Path | None, typer.Option(help="Folder for checkpoints; default: beside the model.")
    ] = None,
    resume: ResumeOption = False,
    seed: SeedOption = 0,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a classifier on a report: each label counts as much as it is believed."""
    from labelclean import config
    from labelclean.errors import ConfigError
    from labelclean.progress import TerminalReporter
    from labelclean.sources.reading import SourceOptions
    from labelclean.workflows import (  # torch: not for --help
        launching,
        testing,
        training,
        training_config,
    )
    from labelclean.workflows.filtering import default_preset

    given = locals()
    of_test = ("test_labels", "test_split", "image_col", "label_col", "split_col", "root")
    idle = [name for name in (*of_test, "allow_overlap") if given[name]]
    if idle and test is None:
        raise ConfigError(f"--{idle[0].replace('_', '-')} is of a test set: give --test as well")
    numbers = fields_in(config.TrainConfig, given)
    if lr_drops is not None:
        numbers["lr_drops"] = shares("--lr-drops", lr_drops)
    of_network = [
        name
        for name in (*numbers, "minutes", "preset")
        if given[name] is not None and name not in ("seed", "flip")
    ]
    if of_network and backbone != config.ViewConfig.backbone:
        raise ConfigError(
            f"--{of_network[0].replace('_', '-')} is of a network that is trained from scratch, "
            "--backbone of one that is pretrained: leave one out"
        )
    settings = training_config.TrainingConfig(
        backbone=backbone,
        download=download,
        # several processes share a network of their own
        is_from_scratch=from_scratch or bool(of_network) or gpus is not None,
        train=training_config.train_preset(preset or default_preset(device), **numbers),
        runtime=config.RuntimeConfig(**fields_in(config.RuntimeConfig, given)),
        scheme=scheme,
        val=share("--val", val),
        is_compared=compare,
        export=export,
        license=license,
    )
    check_used(given, settings.train.schedule)
    reporter = TerminalReporter(is_quiet=quiet)
    if gpus is not None:
        launching.check_gpus(gpus, device)
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
        reporter=reporter,
    )
    typer.echo(json.dumps(trained.to_json()) if as_json else trained.describe())
