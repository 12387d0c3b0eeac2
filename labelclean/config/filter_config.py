"""All that decides a run of `filter`: who looks, how it is judged, where it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from labelclean.config.described import below, not_among, option, outside, raise_all
from labelclean.config.head_config import HeadConfig
from labelclean.config.names import (
    BACKBONES,
    DEVICES,
    FEATURES,
    FINETUNED,
    LITE0,
    PRECISIONS,
    VIEWS,
)
from labelclean.config.train_config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """Which networks look at the images before a label is judged."""

    views: tuple[str, ...] | None = option(
        None,
        "Who looks at the images: features (of a pretrained network); scratch, a network trained "
        "here; finetuned, the pretrained one trained on. Default: features; with scratch up to "
        "64 px or for options of a training, with finetuned on a GPU or for --minutes.",
    )
    backbone: str = option(
        LITE0,
        f"Pretrained network: {LITE0} (built in), {', '.join(BACKBONES[1:])}, or NAME=FILE for "
        "weights of your own.",
    )
    features: Path | None = option(
        None,
        "Features of your own, .npy or .parquet, a row for each image, or the folder that "
        "labelclean features wrote; no image is opened.",
    )
    download: bool = option(False, "Fetch CIFAR, or weights, if absent.")
    mirror: bool = option(
        False, "Average the features of each image and its mirror image (slower)."
    )
    view_scores: bool = option(False, "A column for each view: its probability of the given label.")
    head: HeadConfig = field(default_factory=HeadConfig)

    def __post_init__(self) -> None:
        problems = []
        for view in self.views or ():
            problems += not_among("--views", view, VIEWS)
        if self.views is not None and (not self.views or len(set(self.views)) < len(self.views)):
            problems.append("--views names no view, or one twice")
        networks = [view for view in self.views or () if view != FEATURES]
        if self.features is not None and networks:
            problems.append(
                f"--features needs no images, --views {networks[0]} does; leave one out"
            )
        if FINETUNED in networks and set(self.views or ()) != {FEATURES, FINETUNED}:
            problems.append(
                f"--views {FINETUNED} begins from heads on features: give --views "
                f"{FEATURES},{FINETUNED}"
            )
        raise_all(problems)


@dataclass(frozen=True, kw_only=True)
class VerdictConfig:
    """How scores become verdicts; the default is where the expected F1 is best."""

    threshold: float | None = option(
        None,
        "Flag labels with at least this issue probability; default: between 0.35 and 0.5, where "
        "the expected F1 is best.",
    )
    budget: int | None = option(None, "Flag this many labels, the most suspicious ones.")
    target_precision: float | None = option(
        None, "Flag as many labels as keep this expected precision."
    )
    gamma: float | None = option(None, "The paper's rule: an issue where p of the label < γ.")

    def __post_init__(self) -> None:
        problems = [
            *outside("--threshold", self.threshold, 0, 1),
            *below("--budget", self.budget, 0),
            *outside("--target-precision", self.target_precision, 0, 1),
            *outside("--gamma", self.gamma, 0, 1),
        ]
        given = [
            name
            for name, value in (
                ("--threshold", self.threshold),
                ("--budget", self.budget),
                ("--target-precision", self.target_precision),
                ("--gamma", self.gamma),
            )
            if value is not None
        ]
        if len(given) > 1:
            problems.append(f"{' and '.join(given)} exclude each other; give one")
        raise_all(problems)


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """Where and how fast a run goes; none of it is meant to change what is learned."""

    device: str = option("auto", f"{', '.join(DEVICES)}.")
    precision: str = option("auto", f"{', '.join(PRECISIONS)}.")
    compile: bool = option(False, "torch.compile the network.")
    workers: int | None = option(None, "Decoding processes; default: cores.")
    minutes: float | None = option(None, "Training time; the number of epochs follows from it.")
    image_size: int | None = option(None, "px; default: from the images, at most 224 (CPU: 128).")
    bit_depth: int | None = option(
        None, "Of images of more than 8 bits: 12 or 16; default: from the images."
    )
    cache_dir: Path | None = option(None, "Folder for decoded pixels.")
    cache_limit: float = option(50.0, "Largest pixel cache in GiB; beyond: decode each epoch.")
    run_dir: Path | None = option(
        None,
        "Folder for checkpoints, weights and embeddings; default: beside the report, where review "
        "finds them.",
    )
    resume: bool = option(False, "Go on from the checkpoint.")

    def __post_init__(self) -> None:
        raise_all(
            [
                *not_among("--device", self.device, DEVICES),
                *not_among("--precision", self.precision, PRECISIONS),
                *below("--workers", self.workers, 1),
                *outside("--minutes", self.minutes, 0, 1e6, open_low=True),
                *outside("--image-size", self.image_size, 8, 1024),
                *outside("--bit-depth", self.bit_depth, 8, 31),
                *outside("--cache-limit", self.cache_limit, 0, 1e6),
            ]
        )


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """One run of `filter`: what is learned, how it is judged, where it runs."""

    train: TrainConfig = field(default_factory=TrainConfig)
    verdict: VerdictConfig = field(default_factory=VerdictConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    view: ViewConfig = field(default_factory=ViewConfig)
    self_test: float = option(
        0.0, "Flip this share of the labels in memory to measure recall: 2%.", is_share=True
    )
    from_model: Path | None = option(
        None, "Judge by a model that train wrote, in seconds, and train nothing."
    )
    decisions: Path | None = option(
        None, "Decisions of a review of these images: they count as certain labels."
    )

    def __post_init__(self) -> None:
        problems = outside("--self-test", self.self_test, 0, 0.2)
        if self.from_model is not None and self.self_test:
            problems.append("--self-test measures a training, --from-model has none; give one")
        if self.from_model is not None and self.decisions is not None:
            problems.append("--decisions teach a training, --from-model has none; give one")
        if self.from_model is not None and self.runtime.resume:
            problems.append("--resume goes on with a training, --from-model has none; give one")
        if self.from_model is not None and self.runtime.minutes is not None:
            problems.append("--minutes is of a training, --from-model has none; give one")
        if self.from_model is not None and self.runtime.image_size is not None:
            problems.append("--from-model has an image size of its own: leave --image-size out")
        if self.from_model is not None and self.runtime.bit_depth is not None:
            problems.append("--from-model has a bit depth of its own: leave --bit-depth out")
        raise_all(problems)
