"""labelclean filter."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from labelclean.commands.options import (
    ForceOption,
    JsonOption,
    LabelsArg,
    OutOption,
    QuietOption,
    SeedOption,
    SourceArg,
    share,
    shares,
)


def filter_command(
    images: SourceArg,
    labels: LabelsArg = None,
    out: OutOption = "report.csv",
    image_col: Annotated[str | None, typer.Option(help="Column of the paths.")] = None,
    label_col: Annotated[str | None, typer.Option(help="Column of the labels.")] = None,
    split_col: Annotated[str | None, typer.Option(help="Column of the split.")] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Splits to use, e.g. train,extra, or all. Default: train on all rows but those "
            "of a test or validation split, and report on every row."
        ),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder that holds CIFAR.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch CIFAR if absent.")] = False,
    preset: Annotated[
        str | None,
        typer.Option(
            help="quick (default on a CPU), standard (default on a GPU), paper, clothing1m; the "
            "options below replace single numbers of it."
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="jnpl, ce, nl, nl-plus, nlnl, co-teaching, jocor, nfl-rce, nce-rce, forward, gce, "
            "elr."
        ),
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(help="smallnet, resnet10, resnet18, resnet34, resnet50, timm:NAME."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="none, imagenet, or a .safetensors or state dict file.")
    ] = None,
    freeze_backbone: Annotated[
        bool | None,
        typer.Option(
            "--freeze-backbone", help="Compute features once and train only a head on them."
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Training time; the number of epochs follows from it.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Largest learning rate.")] = None,
    schedule: Annotated[str | None, typer.Option(help="one-cycle or steps.")] = None,
    warmup: Annotated[float | None, typer.Option(help="Share of the run that lr rises.")] = None,
    lr_drops: Annotated[
        str | None, typer.Option(help="Shares of the run where lr falls tenfold: 0.5,0.75.")
    ] = None,
    momentum: Annotated[float | None, typer.Option(help="Of the optimiser, SGD.")] = None,
    nesterov: Annotated[bool | None, typer.Option(help="Nesterov's momentum.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of the optimiser.")] = None,
    shift: Annotated[int | None, typer.Option(help="px of random translation.")] = None,
    flip: Annotated[
        bool | None, typer.Option(help="Random mirror images; not for digits or letters.")
    ] = None,
    complementary: Annotated[
        str | None,
        typer.Option(help="Complementary labels an image: all, paper, or a number to draw."),
    ] = None,
    start: Annotated[
        float | None, typer.Option(help="Share of the run that cross-entropy trains alone.")
    ] = None,
    ramp: Annotated[
        float | None, typer.Option(help="Share of the run over which it yields to NL+.")
    ] = None,
    nl_scale: Annotated[float | None, typer.Option(help="Factor of NL and NL+.")] = None,
    pl_weight: Annotated[float | None, typer.Option(help="Factor of PL+, the paper's λ.")] = None,
    pl_start: Annotated[
        float | None, typer.Option(help="Share of the run after which PL+ begins.")
    ] = None,
    class_weights: Annotated[
        bool | None, typer.Option(help="Weight rare given labels up, as NLNL.")
    ] = None,
    noise_rate: Annotated[
        float | None, typer.Option(help="For methods that need it; default: estimated by jnpl.")
    ] = None,
    averaging: Annotated[
        float | None, typer.Option(help="Share of the run that averaged weights span; 0: none.")
    ] = None,
    score_epochs: Annotated[
        int | None, typer.Option(help="Last epochs whose outputs are averaged into the scores.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="An issue from this issue probability on; default 0.5.")
    ] = None,
    budget: Annotated[
        int | None, typer.Option(help="As many issues as you can look at: the most suspicious.")
    ] = None,
    target_precision: Annotated[
        float | None, typer.Option(help="As many issues as keep this expected precision.")
    ] = None,
    gamma: Annotated[
        float | None, typer.Option(help="The paper's rule: an issue where p of the label < γ.")
    ] = None,
    self_test: Annotated[
        str, typer.Option(help="Flip this share of the labels in memory to measure recall: 2%.")
    ] = "0",
    fail_over: Annotated[
        str | None, typer.Option(help="Exit with 1 if the noise rate is above this: 5%.")
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
        Path | None, typer.Option(help="Folder for checkpoints; default: beside the report.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    seed: SeedOption = 0,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train on noisy labels and report which are wrong, and what they should be."""
    from labelclean import config
    from labelclean.data.sources import SourceOptions
    from labelclean.progress import TerminalReporter
    from labelclean.workflows import filtering  # torch loads here, not for --help

    given = locals()
    train = {name: given[name] for name in _fields(config.TrainConfig) if name in given}
    if lr_drops is not None:
        train["lr_drops"] = shares("--lr-drops", lr_drops)
    limit = None if fail_over is None else share("--fail-over", fail_over)
    settings = config.FilterConfig(
        train=config.preset(preset or filtering.default_preset(device), **train),
        verdict=config.VerdictConfig(
            threshold=threshold, budget=budget, target_precision=target_precision, gamma=gamma
        ),
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
        self_test=share("--self-test", self_test),
    )
    options = SourceOptions(
        labels=labels,
        image_col=image_col,
        label_col=label_col,
        split_col=split_col,
        split=split,
        root=root,
        download=download,
    )
    reporter = TerminalReporter(is_quiet=quiet)
    report = filtering.filter_dataset(
        images, out=out, force=force, config=settings, options=options, reporter=reporter
    )
    _print_report(report, out, as_json)
    if limit is not None and report.meta.noise_rate > limit:
        typer.echo(
            f"labelclean: noise rate {report.meta.noise_rate:.1%} is above {limit:.1%}", err=True
        )
        raise typer.Exit(1)


def _print_report(report: Any, out: str, as_json: bool) -> None:
    """To stdout, unless the report itself is there."""
    from labelclean.report import summary

    if as_json:
        text = json.dumps(summary.summary_json(report))
    else:
        text = summary.summary_text(report, out)
    print(text.rstrip("\n"), file=sys.stderr if out == "-" else sys.stdout)


def _fields(config: Any) -> tuple[str, ...]:
    return tuple(config.__dataclass_fields__)
