"""forecast: what `filter` would train on a source, and for about how long; nothing is written."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from labelclean.config import FilterConfig, TrainConfig, filter_epochs, finetune_config
from labelclean.config.names import FEATURES, FINETUNED, SCRATCH
from labelclean.data.images import ImageSpec, UnreadableImage, choose_spec, decode
from labelclean.data.samples import SampleTable, has_image
from labelclean.learning import models, runtime
from labelclean.learning.backbones import load_backbone
from labelclean.learning.embedding import FEW, embedder, network_size
from labelclean.progress import Reporter
from labelclean.workflows.learner import epochs_within
from labelclean.workflows.looking import choose_views, views_of

TRIED_IMAGES = 32  # that are decoded and looked at to time it
TRIED_STEPS = 3  # of the network from scratch, after one that is not timed
HEADS_SECONDS = 3e-3  # an image, of two rounds of ten heads: an order of magnitude, on one core


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The training that `filter` would begin.

    image_size  px of the square that a network sees; None: the user gave features
    backbone    or the name of the file of features; None: none is asked
    network     from scratch; None: none is trained
    epochs      of the network from scratch, or of the backbone that learns on
    seconds     about, on this machine if it does nothing else; nothing of it in the cache yet
    """

    images: int
    views: tuple[str, ...]
    image_size: int | None
    backbone: str | None
    network: str | None
    epochs: int | None
    device: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def describe(self) -> str:
        parts = []
        if self.backbone is not None:
            parts.append(f"heads on the features of {self.backbone}")
        if self.network is not None:
            parts.append(f"{self.network} from scratch, {self.epochs} epochs")
        elif self.epochs is not None:
            parts.append(f"{self.backbone} itself, {self.epochs} epochs")
        size = "" if self.image_size is None else f" of {self.image_size} px"
        return (
            f"would train: {' and '.join(parts)}, on {self.images:,} images{size}, {self.device}: "
            f"about {_duration(self.seconds)}; nothing was trained or written"
        )


def forecast(table: SampleTable, config: FilterConfig) -> Forecast:
    """Times some images and steps. Raises SourceError or ConfigError as filter would."""
    device = runtime.choose_device(config.runtime.device)
    views = views_of(config, table)
    if config.view.features is not None:  # no image is opened, none need be there
        count = int(has_image(table.status).sum())
        return Forecast(
            images=count,
            views=views,
            image_size=None,
            backbone=config.view.features.name,
            network=None,
            epochs=None,
            device=runtime.device_name(device),
            seconds=HEADS_SECONDS * count,
        )
    is_pretrained = choose_views(config) != (SCRATCH,)
    spec = choose_spec(
        table,
        image_size=config.runtime.image_size,
        device_is_cpu=device.type == "cpu",
        is_pretrained=is_pretrained,
    )
    is_there = has_image(table.status)
    count = int(is_there.sum())
    trained = int((is_there & (table.labels >= 0) & ~table.held_out).sum())
    seconds, pixels = _decoding(table, np.flatnonzero(is_there), spec)
    seconds *= count / (config.runtime.workers or torch.get_num_threads())
    if FEATURES in views and len(pixels):
        seconds += count * _features(config, spec, device, pixels, count)
        seconds += HEADS_SECONDS * trained
    epochs = None
    if SCRATCH in views:
        epochs = config.train.epochs or filter_epochs(trained)
        if spec.is_squeezed:
            spec = choose_spec(
                table,
                image_size=config.runtime.image_size,
                device_is_cpu=device.type == "cpu",
            )
        network = _network(config, spec, table.num_classes)
        each = _step(config, config.train, network, spec, device)
        if config.runtime.minutes is not None:
            an_epoch = each * max(1, trained)
            epochs = epochs_within(config.runtime.minutes, an_epoch, Reporter())
        seconds += epochs * trained * each
    if FINETUNED in views:
        train = finetune_config(config.train)
        epochs = train.epochs or 1
        each = _step(config, train, _backbone(config, spec), spec, device)
        if config.runtime.minutes is not None:
            an_epoch = each * max(1, trained)
            epochs = epochs_within(config.runtime.minutes, an_epoch, Reporter())
        seconds += epochs * trained * each
    return Forecast(
        images=count,
        views=views,
        image_size=spec.size,
        backbone=config.view.backbone if FEATURES in views else None,
        network=config.train.arch if SCRATCH in views else None,
        epochs=epochs,
        device=runtime.device_name(device),
        seconds=seconds,
    )


def _decoding(
    table: SampleTable, rows: NDArray[np.int64], spec: ImageSpec
) -> tuple[float, NDArray[np.uint8]]:
    """Seconds an image, and the pixels (b, s, s, 3) of some."""
    some = rows[:: max(1, -(-len(rows) // TRIED_IMAGES))] if len(rows) else rows
    pixels = []
    started = time.perf_counter()
    for row in some.tolist():
        try:
            pixels.append(decode(table.images.read(row), spec))
        except (OSError, UnreadableImage):
            continue
    seconds = (time.perf_counter() - started) / max(1, len(some))
    shape = (0, spec.size, spec.size, 3)
    return seconds, np.stack(pixels) if pixels else np.zeros(shape, dtype=np.uint8)


def _features(
    config: FilterConfig,
    spec: ImageSpec,
    device: torch.device,
    pixels: NDArray[np.uint8],
    count: int,
) -> float:
    """Seconds an image by PyTorch; OpenVINO, for many images on a CPU, takes half of it."""
    backbone = load_backbone(config.view.backbone, may_download=config.view.download)
    embed = embedder(backbone, spec.size, device, count=0, mirror=config.view.mirror)
    embed(pixels[:2])
    started = time.perf_counter()
    embed(pixels)
    seconds = (time.perf_counter() - started) / len(pixels)
    return seconds / 2 if device.type == "cpu" and count >= FEW else seconds


def _network(config: FilterConfig, spec: ImageSpec, num_classes: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        return models.build(config.train.arch, num_classes, spec.size, config.train.weights)


def _backbone(config: FilterConfig, spec: ImageSpec) -> nn.Module:
    """The pretrained network, which looks at images of the spec's size."""
    backbone = load_backbone(config.view.backbone, may_download=config.view.download)
    size = network_size(spec.size)
    enlarged = None if size == spec.size else size
    network = backbone.of_last_layer().network.requires_grad_(True)
    return models.enlarged_by(network, spec.size, enlarged).train()


def _step(
    config: FilterConfig,
    train: TrainConfig,
    network: nn.Module,
    spec: ImageSpec,
    device: torch.device,
) -> float:
    """Seconds an image of a network that learns."""
    dtype = runtime.choose_precision(config.runtime.precision, device)
    with torch.random.fork_rng(devices=[]):
        images = torch.randn(train.batch_size, 3, spec.size, spec.size)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = images.to(device, memory_format=torch.channels_last)
    seconds = 0.0
    for step in range(1 + TRIED_STEPS):
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            logits = network(images)
        logits.float().logsumexp(dim=1).mean().backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds += (time.perf_counter() - started) * (step > 0)
    return seconds / TRIED_STEPS / train.batch_size


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    if seconds < 5400:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"
