"""All that decides a run of `train`, and its presets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from labelclean.config.described import not_among, option, outside, raise_all
from labelclean.config.filter_config import RuntimeConfig, ViewConfig
from labelclean.config.names import CE_NOISY, DEFAULT, LITE0, SCHEMES, TWO_STAGE
from labelclean.config.train_config import PRESETS, TrainConfig
from labelclean.errors import ConfigError

HELD_OUT = 0.1  # share of the images that calibrates a network that learns as a whole

# Paper Sec. 6.1, pseudo-labelling: two trainings of 480 epochs (CIFAR) or 15 (Clothing1M), so
# schemes of one stage take both; lr falls at 192 and 288, or at 10. The rest is that of filter.
_OF_ONE_STAGE: dict[str, dict[str, Any]] = {
    "paper": {"epochs": 960, "lr": 0.1, "lr_drops": (0.4, 0.6)},
    "clothing1m": {"epochs": 30, "lr": 0.001, "lr_drops": (2 / 3,)},
}

TRAIN_PRESETS: dict[str, TrainConfig] = {
    name: replace(config, class_weights=False, **_OF_ONE_STAGE.get(name, {}))
    for name, config in PRESETS.items()
}


def train_preset(name: str, **given: Any) -> TrainConfig:
    """The preset for training a classifier, with the given fields in place of its own.

    Raises ConfigError for an unknown preset or values out of range.
    """
    if name not in TRAIN_PRESETS:
        raise ConfigError(f"--preset {name} is unknown; there are {', '.join(TRAIN_PRESETS)}")
    return replace(TRAIN_PRESETS[name], **{k: v for k, v in given.items() if v is not None})


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One run of `train`.

    is_from_scratch  train a network of one's own, by `train`, and no head on features; also done
                     for two-stage, in several processes, and where small images are many
    is_finetuned     after its head the pretrained network learns on, by FINETUNE; None: on a GPU,
                     and where minutes are given, if it fits held-out labels better than the head
    """

    train: TrainConfig = field(default_factory=lambda: TRAIN_PRESETS["quick"])
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    scheme: str = option(
        DEFAULT,
        "default, soft (no distorted view, half the time), two-stage (the paper's), ce-clean, "
        "ce-noisy.",
    )
    backbone: str = LITE0
    download: bool = False
    is_from_scratch: bool = False
    is_finetuned: bool | None = None
    val: float | None = option(
        None,
        "Share held out to calibrate the probabilities; left out: 10%, of a head none, whose folds "
        "do it.",
        is_share=True,
    )
    is_compared: bool = False
    export: str | None = option(None, "onnx: also as model.onnx.")
    license: str | None = option(None, "Of the weights, for the card.")

    def learns_on(self, device: str) -> bool:
        """Whether a pretrained network learns on after its head, on a device of that type."""
        if self.is_finetuned is None:
            return device == "cuda" or self.runtime.minutes is not None
        return self.is_finetuned

    def held_out_share(self, *, has_folds: bool) -> float:
        """How much is held out to calibrate; of itself nothing where folds can do it."""
        if self.val is None:
            return 0.0 if has_folds else HELD_OUT
        return self.val

    @property
    def view(self) -> ViewConfig:
        """The pretrained network, as a config of `filter`."""
        return ViewConfig(backbone=self.backbone, download=self.download)

    def __post_init__(self) -> None:
        problems = [
            *not_among("--scheme", self.scheme, SCHEMES),
            *outside("--val", self.val, 0, 0.5),
        ]
        if self.is_finetuned and self.is_from_scratch:
            problems.append(
                "--finetune trains no network from scratch, in one process: leave it, or "
                "--from-scratch and --gpus, out"
            )
        if self.is_finetuned and self.scheme == TWO_STAGE:
            problems.append(f"--scheme {TWO_STAGE} trains from scratch: leave --finetune out")
        if self.export not in (None, "onnx"):
            problems.append(f"--export is {self.export}, must be onnx")
        if self.is_compared and self.scheme == CE_NOISY:
            problems.append(f"--compare compares with {CE_NOISY}: give another --scheme")
        raise_all(problems)
