"""All that decides how a network learns; presets with the source of their numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from labelclean.config.described import below, not_among, option, outside, raise_all
from labelclean.config.names import ARCHITECTURES, METHODS, SCHEDULES
from labelclean.errors import ConfigError

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
    """All that decides what a network learns; stored in the report and in every checkpoint.

    epochs      None: from the number of images
    noise_rate  None: estimated by jnpl first, where the method needs it
    """

    method: str = option("jnpl", f"{', '.join(METHODS)}.")
    arch: str = option("smallnet", f"{', '.join(ARCHITECTURES)}.")
    weights: str = option("none", "none, imagenet, or a .safetensors or state dict file.")
    epochs: int | None = option(None, "Passes over the data; default: from their number.")
    batch_size: int = option(128, "Images a step.")
    lr: float = option(0.2, "Largest learning rate.")
    schedule: str = option("one-cycle", f"{' or '.join(SCHEDULES)}.")
    warmup: float = option(0.25, "Share of the run that lr rises (one-cycle).")
    lr_drops: tuple[float, ...] = option(
        (), "Shares of the run where lr falls tenfold (steps): 0.5,0.75.", is_share=True
    )
    momentum: float = option(0.9, "Momentum of SGD.")
    nesterov: bool = option(True, "Nesterov's momentum.")
    weight_decay: float = option(5e-4, "Weight decay (L2) of SGD.")
    shift: int = option(4, "px of random translation.")
    flip: bool = option(True, "Random mirror images; not for digits or letters.")
    complementary: str = option(
        "all",
        "Complementary labels an image: all, paper, or a number to draw (jnpl, nl, nl-plus, nlnl).",
    )
    start: float = option(
        0.375, "Share of the run that cross-entropy trains alone (jnpl, nl-plus, forward)."
    )
    ramp: float = option(0.4, "Share of the run over which NL fades into NL+ (jnpl, nl-plus).")
    nl_scale: float = option(3.0, "Factor of NL and NL+.")
    pl_weight: float = option(0.01, "Factor of PL+, the paper's λ (Eq. 4).")
    pl_start: float = option(0.85, "Share of the run after which PL+ begins (jnpl).")
    noise_rate: float | None = option(None, "For methods that need it; default: estimated by jnpl.")
    class_weights: bool = option(True, "Weight rare given labels up, as NLNL.")
    averaging: float = option(
        0.15, "Length of the weight average as a share of the run; 0: the last step's weights."
    )
    score_epochs: int = option(5, "Last epochs whose outputs are averaged into the scores.")
    seed: int = option(0, "Same seed, same machine: same result.")

    def __post_init__(self) -> None:
        problems = [
            *not_among("--schedule", self.schedule, SCHEDULES),
            *below("--epochs", self.epochs, 1),
            *below("--batch-size", self.batch_size, 2),
            *outside("--lr", self.lr, 0, 100, open_low=True),
            *outside("--warmup", self.warmup, 0, 1),
            *outside("--momentum", self.momentum, 0, 1, open_low=self.nesterov, open_high=True),
            *outside("--weight-decay", self.weight_decay, 0, 1),
            *outside("--shift", self.shift, 0, 32),
            *outside("--start", self.start, 0, 1),
            *outside("--ramp", self.ramp, 0, 1),
            *outside("--nl-scale", self.nl_scale, 0, 1000),
            *outside("--pl-weight", self.pl_weight, 0, 1000),
            *outside("--pl-start", self.pl_start, 0, 1),
            *outside("--noise-rate", self.noise_rate, 0, 1, open_high=True),
            *outside("--averaging", self.averaging, 0, 1),
            *below("--score-epochs", self.score_epochs, 1),
            *outside("--seed", self.seed, 0, 2**32 - 1),
        ]
        if self.complementary not in ("all", "paper") and not self.complementary.isdecimal():
            problems.append(
                f"--complementary is {self.complementary}, must be all, paper or a number"
            )
        for share in self.lr_drops:
            problems += outside("--lr-drops", share, 0, 1)
        raise_all(problems)


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


# A pretrained network that learns on, from a head that knows its features.
FINETUNE = TrainConfig(
    arch="backbone",
    epochs=6,
    batch_size=64,
    lr=0.01,
    warmup=0.1,
    weight_decay=1e-4,
    shift=8,
    start=0.0,
    ramp=0.3,
    score_epochs=2,
)


def finetune_config(train: TrainConfig) -> TrainConfig:
    """The settings of a fine-tuning, with what `train` asks for that is not of its network.

    Its number of epochs only where that is not the one of a preset: a network from scratch needs
    more.
    """
    of_presets = {each.epochs for each in PRESETS.values()}
    return replace(
        FINETUNE,
        method=train.method,
        epochs=FINETUNE.epochs if train.epochs in of_presets else train.epochs,
        flip=train.flip,
        class_weights=train.class_weights,
        seed=train.seed,
    )


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
