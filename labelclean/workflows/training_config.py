"""The options of `train`, and its presets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from labelclean.config import (
    PRESETS,
    RuntimeConfig,
    TrainConfig,
    ViewConfig,
)
from labelclean.errors import ConfigError
from labelclean.learning.backbones import EMBEDDED
from labelclean.workflows.fitting import (
    CE_NOISY,
    DEFAULT,
    SCHEMES,
)

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

    backbone   pretrained network whose features a head is trained on, see learning.backbones
    download   its weights may be fetched
    is_from_scratch  train a network of one's own instead, by `train`; also done for two-stage, in
               several processes, and where small images are many
    val        share of the rows of each given label held out to fit the temperature
    is_compared  also train by ce-noisy, to tell the gain
    export     "onnx" or None
    license    of the weights, for the model's card
    """

    train: TrainConfig = field(default_factory=lambda: TRAIN_PRESETS["quick"])
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    scheme: str = DEFAULT
    backbone: str = EMBEDDED
    download: bool = False
    is_from_scratch: bool = False
    val: float = 0.1
    is_compared: bool = False
    export: str | None = None
    license: str | None = None

    @property
    def view(self) -> ViewConfig:
        """The pretrained network, as `filter` is told of it."""
        return ViewConfig(backbone=self.backbone, download=self.download)

    def __post_init__(self) -> None:
        problems = []
        if self.scheme not in SCHEMES:
            problems.append(f"--scheme is {self.scheme}, must be one of {', '.join(SCHEMES)}")
        if not 0 <= self.val <= 0.5:
            problems.append(f"--val is {self.val:g}, must be in [0, 0.5]")
        if self.export not in (None, "onnx"):
            problems.append(f"--export is {self.export}, must be onnx")
        if self.is_compared and self.scheme == CE_NOISY:
            problems.append(f"--compare compares with {CE_NOISY}: give another --scheme")
        if problems:
            raise ConfigError("; ".join(problems))
