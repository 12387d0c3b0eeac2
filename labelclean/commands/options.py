"""Arguments and options that the commands share, and how shares are written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from labelclean.errors import ConfigError

SourceArg = Annotated[
    str,
    typer.Argument(
        metavar="IMAGES",
        help="Folder or archive (zip, tar) of images, table of paths and labels, Parquet file, "
        "cifar10 or cifar100.",
    ),
]
LabelsArg = Annotated[
    Path | None,
    typer.Argument(
        metavar="LABELS",
        help="Table of labels (CSV, TSV, JSONL, Parquet, ...); not for class folders.",
    ),
]
ReportArg = Annotated[Path, typer.Argument(help="Report that filter wrote.")]
OutOption = Annotated[
    str, typer.Option(help="Report to write: .csv, .parquet or .jsonl; - for CSV on stdout.")
]
MovedImagesOption = Annotated[Path | None, typer.Option(help="Where the images lie now.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print figures as JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress and no notes.")]
SeedOption = Annotated[int, typer.Option(help="Same seed, same machine: same result.")]

# How a source is read: SourceOptions.
ImageColOption = Annotated[
    str | None, typer.Option(help="Column of the paths, or its number in a table without a header.")
]
LabelColOption = Annotated[str | None, typer.Option(help="Column of the labels.")]
SplitOption = Annotated[
    str | None,
    typer.Option(
        help="Splits to use, e.g. train,extra, or all. Default: train on all rows but those "
        "of a test or validation split, and report on every row; of CIFAR by name the training "
        "split alone."
    ),
]
SplitColOption = Annotated[str | None, typer.Option(help="Column of the split.")]
OneHotOption = Annotated[
    str | None, typer.Option(help="Columns of 0 and 1, one a class: their names by commas.")
]
ClassLevelOption = Annotated[
    int | None,
    typer.Option(help="Which folder is the class: 1 is the one right below IMAGES."),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option("--ignore", help="Files or folders to leave out, e.g. '*_mask.png'; repeatable."),
]
EncodingOption = Annotated[
    str | None, typer.Option(help="Of tables that are not UTF-8: gbk, shift_jis, cp1251, ...")
]
MergeLabelsOption = Annotated[
    bool, typer.Option("--merge-labels", help="Join class names that look alike: Frog and frog.")
]
MultiLabelOption = Annotated[
    str,
    typer.Option(
        help="Cells of several labels: refuse, skip (such rows have no label), keep (as classes)."
    ),
]
RootOption = Annotated[Path | None, typer.Option(help="Folder that holds CIFAR.")]
DownloadOption = Annotated[
    bool, typer.Option("--download", help="Fetch CIFAR, or weights, if absent.")
]

BackboneOption = Annotated[
    str,
    typer.Option(
        help="Pretrained network: efficientnet-lite0 (built in), resnet18, resnet34, resnet50, "
        "timm:NAME, or NAME=FILE for weights of your own."
    ),
]

# What a network is and how it learns: TrainConfig.
PresetOption = Annotated[
    str | None,
    typer.Option(
        help="quick (default on a CPU), standard (default on a GPU), paper, clothing1m; the "
        "options below replace single numbers of it."
    ),
]
ArchOption = Annotated[
    str | None, typer.Option(help="smallnet, resnet10, resnet18, resnet34, resnet50, timm:NAME.")
]
WeightsOption = Annotated[
    str | None, typer.Option(help="none, imagenet, or a .safetensors or state dict file.")
]
BatchSizeOption = Annotated[int | None, typer.Option(help="Images a step.")]
LrOption = Annotated[float | None, typer.Option(help="Largest learning rate.")]
ScheduleOption = Annotated[str | None, typer.Option(help="one-cycle or steps.")]
MomentumOption = Annotated[float | None, typer.Option(help="Momentum of SGD.")]
NesterovOption = Annotated[bool | None, typer.Option(help="Nesterov's momentum.")]
WeightDecayOption = Annotated[float | None, typer.Option(help="Weight decay (L2) of SGD.")]
ShiftOption = Annotated[int | None, typer.Option(help="px of random translation.")]
FlipOption = Annotated[
    bool | None, typer.Option(help="Random mirror images; not for digits or letters.")
]

# Where and for how long it learns: RuntimeConfig.
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
GpusOption = Annotated[
    int | None,
    typer.Option(help="Train on so many GPUs of this machine; on several machines: torchrun."),
]
PrecisionOption = Annotated[str, typer.Option(help="auto, float32 or bfloat16.")]
CompileOption = Annotated[bool, typer.Option("--compile", help="torch.compile the network.")]
WorkersOption = Annotated[int | None, typer.Option(help="Decoding processes; default: cores.")]
MinutesOption = Annotated[
    float | None, typer.Option(help="Training time; the number of epochs follows from it.")
]
ImageSizeOption = Annotated[
    int | None, typer.Option(help="px; default: from the images, at most 224 (CPU: 128).")
]
BitDepthOption = Annotated[
    int | None,
    typer.Option(help="Of images of more than 8 bits: 12 or 16; default: from the images."),
]
CacheDirOption = Annotated[Path | None, typer.Option(help="Folder for decoded pixels.")]
CacheLimitOption = Annotated[
    float, typer.Option(help="Largest pixel cache in GiB; beyond: decode each epoch.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")]


def fields_in(config: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A command's options (its locals) that are fields of a config, by their names."""
    return {name: given[name] for name in config.__dataclass_fields__ if name in given}


def share(flag: str, text: str) -> float:
    """ "5%" or "0.05" as 0.05."""
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise ConfigError(f"{flag} is {text}, must be a share such as 5% or 0.05") from None


def shares(flag: str, text: str) -> tuple[float, ...]:
    return tuple(share(flag, part.strip()) for part in text.split(",") if part.strip())


def check_used(given: Mapping[str, Any], schedule: str) -> None:
    """Raises ConfigError for an option of a training that others leave without effect.

    given     a command's options (its locals)
    schedule  of the learning rate, from the options and the preset
    """
    if given["minutes"] is not None and given["epochs"] is not None:
        raise ConfigError("--minutes sets the number of epochs: leave --epochs or it out")
    of_schedule = {"lr_drops": "steps", "warmup": "one-cycle"}
    for name, needed in of_schedule.items():
        if given[name] is not None and schedule != needed:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(
                f"{flag} is of --schedule {needed}, and it is {schedule}: leave {flag} out, or "
                f"give --schedule {needed}"
            )
