"""All that decides a run, checked once; presets with the source of their numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from labelclean.errors import ConfigError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16")
SCHEDULES = ("one-cycle", "steps")

# Without --epochs: about 160,000 looks at images, the budget of examples/benchmark; but at least
# six epochs (fewer leave a net undecided) and at most twenty.
LOOKS = 160_000
FEWEST_EPOCHS, MOST_EPOCHS = 6, 20
# Noisy labels of few images are soon memorised, so there are fewer still: from 10 epochs for
# 1,000 images to 20 for 4,000 (examples/benchmark/results/few_images.csv). Labels that are believed
# may take as many as give a net enough steps.
EPOCHS_OF_FEW, FEW, IMAGES_AN_EPOCH = 10, 1_000, 300
FEWEST_STEPS, MOST_EPOCHS_FOR_STEPS = 300, 60


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All that decides what a network learns; stored in the report and in every checkpoint."""

    method: str = "jnpl"
    arch: str = "smallnet"
    weights: str = "none"
    epochs: int | None = None  # None: from the number of images
    batch_size: int = 128  # images a step
    lr: float = 0.2
    schedule: str = "one-cycle"
    warmup: float = 0.25  # share of the steps that a one-cycle learning rate rises
    lr_drops: tuple[float, ...] = ()  # shares of the run after which "steps" divides lr by ten
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    shift: int = 4  # px of random translation
    flip: bool = True  # random mirror images; wrong for digits, letters, left and right
    complementary: str = "all"  # all c - 1; or a number drawn per image and step; or "paper"
    start: float = 0.375  # share of the run that cross-entropy alone trains (jnpl, nl-plus)
    ramp: float = 0.4  # share of the run over which it yields to NL+
    nl_scale: float = 3.0  # factor of NL and NL+
    pl_weight: float = 0.01  # λ of paper Eq. 4
    pl_start: float = 0.85  # share of the run after which PL+ begins
    noise_rate: float | None = None  # for methods that need it; None: estimated by jnpl first
    class_weights: bool = True  # NLNL: max count / count of the given label
    averaging: float = 0.15  # share of the run that the averaged weights span; 0: the last step's
    score_epochs: int = 5  # last epochs whose training outputs are averaged into the scores
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [
            *_not_among("--schedule", self.schedule, SCHEDULES),
            *_below("--epochs", self.epochs, 1),
            *_below("--batch-size", self.batch_size, 2),
            *_outside("--lr", self.lr, 0, 100, open_low=True),
            *_outside("--warmup", self.warmup, 0, 1),
            *_outside("--momentum", self.momentum, 0, 1, open_low=self.nesterov, open_high=True),
            *_outside("--weight-decay", self.weight_decay, 0, 1),
            *_outside("--shift", self.shift, 0, 32),
            *_outside("--start", self.start, 0, 1),
            *_outside("--ramp", self.ramp, 0, 1),
            *_outside("--nl-scale", self.nl_scale, 0, 1000),
            *_outside("--pl-weight", self.pl_weight, 0, 1000),
            *_outside("--pl-start", self.pl_start, 0, 1),
            *_outside("--noise-rate", self.noise_rate, 0, 1, open_high=True),
            *_outside("--averaging", self.averaging, 0, 1),
            *_below("--score-epochs", self.score_epochs, 1),
            *_outside("--seed", self.seed, 0, 2**32 - 1),
        ]
        if self.complementary not in ("all", "paper") and not self.complementary.isdecimal():
            problems.append(
                f"--complementary is {self.complementary}, must be all, paper or a number"
            )
        for share in self.lr_drops:
            problems += _outside("--lr-drops", share, 0, 1)
        _raise_all(problems)


VIEWS = ("features", "scratch")
LEAST_SECOND = 0.1  # share of a second round of heads from which on it is worth its time


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """How heads learn on frozen features. Chosen on photos, flowers, CIFAR-10, Fashion-MNIST and
    digits of 60 to 10,000 images (examples/benchmark, filter_quality.py); none was held out.

    epochs        passes over the data, but at least `least_steps` steps: few images need more
    folds         an image is left out of one head in so many, which then says what its label is
    repeats       times that the folds are drawn anew
    dropout       share of the features that a step leaves out
    gain          factor of the logits, over the root of the number of features
    few           images a class: for so few the cosine to the classes' mean directions counts half
                  as much as the heads, and a second round of heads, which learn from what the
                  noise model makes of the first, as much as the first
    """

    epochs: int = 20
    least_steps: int = 150
    folds: int = 5
    repeats: int = 2
    batch_size: int = 128
    lr: float = 0.02
    weight_decay: float = 1e-3
    dropout: float = 0.5
    gain: float = 8.0
    start: float = 0.2
    ramp: float = 0.3
    few: float = 20.0

    def prototype_share(self, images_a_class: float) -> float:
        """How much the prototypes count: one half for few images, nearly nothing for many."""
        return self.few / (images_a_class + 2 * self.few)

    def second_share(self, images_a_class: float) -> float:
        """How much the second round counts: all for very few images, nothing for many.

        With few images it halves the calibration error of even noise; with many it takes
        confusions that people share for the truth (examples/benchmark, few_photos.py).
        """
        share = self.few / (images_a_class + self.few)
        return share if share >= LEAST_SECOND else 0.0

    def train_config(self, images: int, seed: int) -> TrainConfig:
        """The settings of the one loop for so many training images."""
        steps = -(-images // self.batch_size)
        return TrainConfig(
            arch="heads",
            epochs=max(self.epochs, -(-self.least_steps // steps)),
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            start=self.start,
            ramp=self.ramp,
            score_epochs=1,
            seed=seed,
        )


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """Which networks look at the images before a label is judged.

    views      "features": heads on a pretrained network's features; "scratch": a network trained
               here; None: features, and scratch too where images are small or time is given
    backbone   the pretrained network, see learning.backbones
    features   file of embeddings (.npy or .parquet) in place of the backbone's
    download   the backbone's weights may be fetched
    mirror     the features of an image and of its mirror image are averaged
    """

    views: tuple[str, ...] | None = None
    backbone: str = "efficientnet-lite0"
    features: Path | None = None
    download: bool = False
    mirror: bool = False
    head: HeadConfig = field(default_factory=HeadConfig)

    def __post_init__(self) -> None:
        problems = []
        for view in self.views or ():
            problems += _not_among("--views", view, VIEWS)
        if self.views is not None and (not self.views or len(set(self.views)) < len(self.views)):
            problems.append("--views names no view, or one twice")
        if self.features is not None and "scratch" in (self.views or ()):
            problems.append("--features needs no images, --views scratch does; leave one out")
        _raise_all(problems)


@dataclass(frozen=True, kw_only=True)
class VerdictConfig:
    """How scores become verdicts; the default is an issue probability of at least one half."""

    threshold: float | None = None  # on issue_probability
    budget: int | None = None  # as many rows as a person can look at
    target_precision: float | None = None  # as many rows as keep this expected precision
    gamma: float | None = None  # the paper's rule: an issue where p_y < γ

    def __post_init__(self) -> None:
        problems = [
            *_outside("--threshold", self.threshold, 0, 1),
            *_below("--budget", self.budget, 0),
            *_outside("--target-precision", self.target_precision, 0, 1),
            *_outside("--gamma", self.gamma, 0, 1),
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
        _raise_all(problems)


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """Where and how fast a run goes; none of it is meant to change what is learned."""

    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    workers: int | None = None  # decoding processes; None: one a core
    minutes: float | None = None  # time for the training; sets the number of epochs
    image_size: int | None = None  # px; None: from the images
    bit_depth: int | None = None  # of images of more than 8 bits; None: from the images
    cache_dir: Path | None = None
    cache_limit: float = 50.0  # GiB on disk; larger data sets are decoded again each epoch
    run_dir: Path | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        _raise_all(
            [
                *_not_among("--device", self.device, DEVICES),
                *_not_among("--precision", self.precision, PRECISIONS),
                *_below("--workers", self.workers, 1),
                *_outside("--minutes", self.minutes, 0, 1e6, open_low=True),
                *_outside("--image-size", self.image_size, 8, 1024),
                *_outside("--bit-depth", self.bit_depth, 8, 31),
                *_outside("--cache-limit", self.cache_limit, 0, 1e6),
            ]
        )


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """One run of `filter`: what is learned, how it is judged, where it runs."""

    train: TrainConfig = field(default_factory=TrainConfig)
    verdict: VerdictConfig = field(default_factory=VerdictConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    view: ViewConfig = field(default_factory=ViewConfig)
    self_test: float = 0.0  # share of the labels that is flipped in memory to measure recall
    from_model: Path | None = None  # folder that train wrote: it judges, and nothing is trained

    def __post_init__(self) -> None:
        problems = _outside("--self-test", self.self_test, 0, 0.2)
        if self.from_model is not None and self.self_test:
            problems.append("--self-test measures a training, --from-model has none; give one")
        if self.from_model is not None and self.runtime.resume:
            problems.append("--resume goes on with a training, --from-model has none; give one")
        if self.from_model is not None and self.runtime.minutes is not None:
            problems.append("--minutes is of a training, --from-model has none; give one")
        if self.from_model is not None and self.runtime.image_size is not None:
            problems.append("--from-model has an image size of its own: leave --image-size out")
        if self.from_model is not None and self.runtime.bit_depth is not None:
            problems.append("--from-model has a bit depth of its own: leave --bit-depth out")
        _raise_all(problems)


def _not_among(flag: str, value: str, known: tuple[str, ...]) -> list[str]:
    return [] if value in known else [f"{flag} is {value}, must be one of {', '.join(known)}"]


def _below(flag: str, value: int | None, least: int) -> list[str]:
    return (
        [] if value is None or value >= least else [f"{flag} is {value}, must be at least {least}"]
    )


def _outside(
    flag: str,
    value: float | None,
    low: float,
    high: float,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> list[str]:
    if value is None:
        return []
    # written so that NaN, which compares false with everything, is outside
    above = value > low if open_low else value >= low
    below = value < high if open_high else value <= high
    if above and below:
        return []
    brackets = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
    return [f"{flag} is {value:g}, must be in {brackets}"]


def _raise_all(problems: list[str]) -> None:
    if problems:
        raise ConfigError("; ".join(problems))


# The paper's settings are for ResNets from scratch on 32 px images (Sec. 6.1) and a pre-trained
# ResNet-50 on Clothing1M; quick and standard are ours (examples/benchmark).
_PAPER = TrainConfig(
    arch="resnet34",
    epochs=1000,
    batch_size=128,
    lr=0.01,
    schedule="steps",
    lr_drops=(0.8,),
    weight_decay=1e-4,
    nesterov=False,
    complementary="paper",
    start=0.0,
    ramp=0.0,
    nl_scale=1.0,
    pl_start=0.0,
    class_weights=False,
    averaging=0.0,
    score_epochs=10,
)
PRESETS: dict[str, TrainConfig] = {
    "quick": TrainConfig(),
    "standard": TrainConfig(arch="resnet18", epochs=40, batch_size=256, lr=0.1),
    "paper": _PAPER,
    "clothing1m": replace(
        _PAPER,
        arch="resnet50",
        weights="imagenet",
        epochs=40,
        batch_size=64,
        lr=0.001,
        lr_drops=(0.75,),
        shift=0,
    ),
}


def filter_epochs(images: int) -> int:
    """How many epochs suit so many training images with noisy labels."""
    most = min(MOST_EPOCHS, EPOCHS_OF_FEW + max(0, images - FEW) // IMAGES_AN_EPOCH)
    return min(most, _for_looks(images))


def train_epochs(images: int, batch_size: int) -> int:
    """How many epochs suit so many training images whose labels are believed as they deserve."""
    for_steps = -(-FEWEST_STEPS // -(-images // batch_size))
    return max(_for_looks(images), min(MOST_EPOCHS_FOR_STEPS, for_steps))


def _for_looks(images: int) -> int:
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(LOOKS / images)))


def preset(name: str, **given: Any) -> TrainConfig:
    """The preset of that name with the given fields in place of its own.

    Raises ConfigError for an unknown preset or values out of range.
    """
    if name not in PRESETS:
        raise ConfigError(f"--preset {name} is unknown; there are {', '.join(PRESETS)}")
    return replace(PRESETS[name], **{k: v for k, v in given.items() if v is not None})
