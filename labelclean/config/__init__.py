"""All that decides a run, checked once: dataclasses, whose fields are the commands' options."""

from labelclean.config.filter_config import FilterConfig, RuntimeConfig, VerdictConfig, ViewConfig
from labelclean.config.head_config import HeadConfig
from labelclean.config.names import (
    ARCHITECTURES,
    BACKBONES,
    DEVICES,
    LITE0,
    LITE0_DEPTHS,
    METHODS,
    PRECISIONS,
    SCHEDULES,
    TIMM,
    TORCHVISION,
    VIEWS,
)
from labelclean.config.train_config import (
    FINETUNE,
    PRESETS,
    TrainConfig,
    filter_epochs,
    finetune_config,
    preset,
    train_epochs,
)

__all__ = [
    "ARCHITECTURES",
    "BACKBONES",
    "DEVICES",
    "FINETUNE",
    "LITE0",
    "LITE0_DEPTHS",
    "METHODS",
    "PRECISIONS",
    "PRESETS",
    "SCHEDULES",
    "TIMM",
    "TORCHVISION",
    "VIEWS",
    "FilterConfig",
    "HeadConfig",
    "RuntimeConfig",
    "TrainConfig",
    "VerdictConfig",
    "ViewConfig",
    "filter_epochs",
    "finetune_config",
    "preset",
    "train_epochs",
]
