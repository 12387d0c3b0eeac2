"""labelclean filter."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from labelclean.commands.options import (
    ArchOption,
    BackboneOption,
    BatchSizeOption,
    BitDepthOption,
    CacheDirOption,
    CacheLimitOption,
    ClassLevelOption,
    CompileOption,
    DeviceOption,
    DownloadOption,
    EncodingOption,
    FlipOption,
    ForceOption,
    GpusOption,
    IgnoreOption,
    ImageColOption,
    ImageSizeOption,
    JsonOption,
    LabelColOption,
    LabelsArg,
    LrOption,
    MergeLabelsOption,
    MinutesOption,
    MomentumOption,
    MultiLabelOption,
    NesterovOption,
    OneHotOption,
    OutOption,
    PrecisionOption,
    PresetOption,
    QuietOption,
    ResumeOption,
    RootOption,
    ScheduleOption,
    SeedOption,
    ShiftOption,
    SourceArg,
    SplitColOption,
    SplitOption,
    WeightDecayOption,
    WeightsOption,
    WorkersOption,
    check_used,
    fields_in,
    share,
    shares,
)

SHARED = ("seed", "flip")  # options of a training that also matter where a model judges


def filter_command(
    images: SourceArg,
    labels: LabelsArg = None,
    out: OutOption = "report.csv",
    image_col: ImageColOption = None,
    label_col: LabelColOption = None,
    split_col: SplitColOption = None,
    one_hot: OneHotOption = None,
    class_level: ClassLevelOption = None,
    ignore: IgnoreOption = None,
    encoding: EncodingOption = None,
    merge_labels: MergeLabelsOption = False,
    multi_label: MultiLabelOption = "refuse",
    split: SplitOption = None,
    root: RootOption = None,
    download: DownloadOption = False,
    preset: PresetOption = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="jnpl, ce, nl, nl-plus, nlnl, co-teaching, jocor, nfl-rce, nce-rce, forward, gce, "
            "elr."
        ),
    ] = None,
    arch: ArchOption = None,
    weights: WeightsOption = None,
    views: Annotated[
        str | None,
        typer.Option(
            help="What looks at the images: features (of a pretrained network), scratch (a network "
            "trained here), or features,scratch. Default: features; scratch too where images are "
            "up to 128 px, or --epochs, --minutes or --arch is given."
        ),
    ] = None,
    backbone: BackboneOption = "efficientnet-lite0",
    features: Annotated[
        Path | None,
        typer.Option(
            help="Features of your own, .npy or .parquet, a row for each image; no image is opened."
        ),
    ] = None,
    mirror: Annotated[
        bool,
        typer.Option(
            "--mirror", help="Average the features of each image and its mirror image (slower)."
        ),
    ] = False,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    minutes: MinutesOption = None,
    batch_size: BatchSizeOption = None,
    lr: LrOption = None,
    schedule: ScheduleOption = None,
    warmup: Annotated[
        float | None, typer.Option(help="Share of the run that lr rises (one-cycle).")
    ] = None,
    lr_drops: Annotated[
        str | None,
        typer.Option(help="Shares of the run where lr falls tenfold (steps): 0.5,0.75."),
    ] = None,
    momentum: MomentumOption = None,
    nesterov: NesterovOption = None,
    weight_decay: WeightDecayOption = None,
    shift: ShiftOption = None,
    flip: FlipOption = None,
    complementary: Annotated[
        str | None,
        typer.Option(
            help="Complementary labels an image: all, paper, or a number to draw (jnpl, nl, "
            "nl-plus, nlnl)."
        ),
    ] = None,
    start: Annotated[
        float | None,
        typer.Option(
            help="Share of the run that cross-entropy trains alone (jnpl, nl-plus, forward)."
        ),
    ] = None,
    ramp: Annotated[
        float | None,
        typer.Option(help="Share of the run over which NL fades into NL+ (jnpl, nl-plus)."),
    ] = None,
    nl_scale: Annotated[float | None, typer.Option(help="Factor of NL and NL+.")] = None,
    pl_weight: Annotated[float | None, typer.Option(help="Factor of PL+, the paper's λ.")] = None,
    pl_start: Annotated[
        float | None, typer.Option(help="Share of the run after which PL+ begins (jnpl).")
    ] = None,
    class_weights: Annotated[
        bool | None, typer.Option(help="Weight rare given labels up, as NLNL.")
    ] = None,
    noise_rate: Annotated[
        float | None, typer.Option(help="For methods that need it; default: estimated by jnpl.")
    ] = None,
    averaging: Annotated[
        float | None,
        typer.Option(help="Length of the weight average as a share of the run; 0: off."),
    ] = None,
    score_epochs: Annotated[
        int | None, typer.Option(help="Last epochs whose outputs are averaged into the scores.")
    ] = None,
    from_model: Annotated[
        Path | None,
        typer.Option(help="Judge by a model that train wrote, in seconds, and train nothing."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Flag labels with at least this issue probability; default 0.5."),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(help="Flag this many labels, the most suspicious ones.")
    ] = None,
    target_precision: Annotated[
        float | None, typer.Option(help="Flag as many labels as keep this expected precision.")
    ] = None,
    gamma: Annotated[
        float | None, typer.Option(help="The paper's rule: an issue where p of the label < γ.")
    ] = None,
    self_test: Annotated[
        str, typer.Option(help="Flip this share of the labels in memory to measure recall: 2%.")
    ] = "0",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be read and trained, and stop."),
    ] = False,
    fail_over: Annotated[
        str | None, typer.Option(help="Exit with 1 if the noise rate is above this: 5%.")
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
        Path | None,
        typer.Option(
            help="Folder for checkpoints, weights and embeddings; default: beside the report, "
            "where review finds them."
        ),
    ] = None,
    resume: ResumeOption = False,
    seed: SeedOption = 0,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train on noisy labels and report which are wrong, and what they should be."""
    from labelclean import config
    from labelclean.progress import TerminalReporter
    from labelclean.sources.reading import SourceOptions
    from labelclean.workflows import filtering, launching  # torch loads here, not for --help

    given = locals()
    train = fields_in(config.TrainConfig, given)
    if lr_drops is not None:
        train["lr_drops"] = shares("--lr-drops", lr_drops)
    if from_model is not None:
        others: dict[str, Any] = {"preset": preset, "compile": compile or None, "gpus": gpus}
        others |= {"views": views, "features": features, "mirror": mirror or None}
        _check_trains_nothing({**others, **train})
    limit = None if fail_over is None else share("--fail-over", fail_over)
    settings = config.FilterConfig(
        train=config.preset(preset or filtering.default_preset(device), **train),
        verdict=config.VerdictConfig(**fields_in(config.VerdictConfig, given)),
        runtime=config.RuntimeConfig(**fields_in(config.RuntimeConfig, given)),
        view=config.ViewConfig(**{**fields_in(config.ViewConfig, given), "views": _views(views)}),
        self_test=share("--self-test", self_test),
        from_model=from_model,
    )
    check_used(given, settings.train.schedule)
    options = SourceOptions(**fields_in(SourceOptions, given))
    if dry_run:
        raise typer.Exit(_foretell(images, options, settings, as_json))
    reporter = TerminalReporter(is_quiet=quiet)
    if gpus is not None:
        launching.check_gpus(gpus, device)
        filtering.check_input(
            images, options, settings, out=out, force=force, reporter=reporter.without_notes()
        )
        raise typer.Exit(launching.launch(gpus, sys.argv[1:]))
    report = filtering.filter_dataset(
        images, out=out, force=force, config=settings, options=options, reporter=reporter
    )
    _print_report(report, out, as_json)
    if limit is not None and report.meta.noise_rate > limit:
        typer.echo(
            f"labelclean: noise rate {report.meta.noise_rate:.1%} is above {limit:.1%}", err=True
        )
        raise typer.Exit(1)


def _foretell(images: str, options: Any, settings: Any, as_json: bool) -> int:
    """Prints what inspect prints, and what would be trained. The exit code is that of inspect."""
    from labelclean import sources
    from labelclean.sources.inspection import inspect_table, render
    from labelclean.workflows.forecasting import forecast

    table = sources.read(images, options)
    found = inspect_table(images, table)
    planned = None if settings.from_model else forecast(table, settings)
    if as_json:
        training = None if planned is None else planned.to_json()
        typer.echo(json.dumps({**found.to_json(), "training": training}))
    else:
        last = "would train nothing: --from-model judges" if planned is None else planned.describe()
        typer.echo(f"{render(found)}\n\n{last}")
    return 1 if found.odd else 0


def _views(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(","))


def _check_trains_nothing(given: Mapping[str, Any]) -> None:
    """Options of a training that --from-model would leave unused."""
    from labelclean.errors import ConfigError

    unused = [name for name, value in given.items() if value is not None and name not in SHARED]
    if unused:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        raise ConfigError(f"--from-model trains nothing: leave {flags} out")


def _width() -> int:
    """Columns of the terminal; 100 where there is none, or it does not say."""
    return max(40, shutil.get_terminal_size(fallback=(100, 24)).columns)


def _print_report(report: Any, out: str, as_json: bool) -> None:
    """To stdout, unless the report itself is there."""
    from labelclean.report import summary

    if as_json:
        text = json.dumps(summary.summary_json(report))
    else:
        text = summary.summary_text(report, out, width=_width())
    print(text.rstrip("\n"), file=sys.stderr if out == "-" else sys.stdout)
