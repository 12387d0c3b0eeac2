"""Networks: torchvision's ResNets, a small ResNet for CPUs, timm's by name; and their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save as serialise
from torch import Tensor, nn

from labelclean import disk
from labelclean.config import ARCHITECTURES, LITE0, LITE0_DEPTHS, TIMM, TORCHVISION
from labelclean.errors import ConfigError
from labelclean.learning import lite0
from labelclean.learning.smallnet import SMALL_IMAGE, WIDTHS, SmallNet
from labelclean.learning.weights import read_state

LONGEST = 80  # characters of an unknown name in a message


class Classifier(nn.Module):
    """A backbone that gives one feature vector per image, and a linear head on it."""

    def __init__(self, backbone: nn.Module, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(num_features, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """images (b, 3, h, w) -> logits (b, c)."""
        logits: Tensor = self.head(self.backbone(images))
        return logits


class Enlarging(nn.Module):
    """Images (b, 3, size, size) enlarged to (b, 3, wanted, wanted), as Pillow's bicubic does."""

    along: Tensor

    def __init__(self, size: int, wanted: int) -> None:
        super().__init__()
        # it follows from the sizes, so it is no weight
        self.register_buffer("along", enlarging(size, wanted).clone(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.along @ images @ self.along.T


def enlarged_by(backbone: nn.Module, size: int, wanted: int | None) -> nn.Module:
    """The network for images of `size` px, which it first enlarges to `wanted`, if to anything."""
    return backbone if wanted is None else nn.Sequential(Enlarging(size, wanted), backbone)


@lru_cache(maxsize=4)
def enlarging(size: int, wanted: int) -> Tensor:
    """The bicubic enlargement of one side as a matrix (wanted, size): two products on a GPU are ten
    times as fast as PyTorch's own resizing with the same result."""
    identity = torch.eye(size)[None, None]
    resized = F.interpolate(identity, size=(wanted, size), mode="bicubic", antialias=True)
    return resized[0, 0]


class SideBySide(nn.Module):
    """Networks that learn on the same images, for methods in which they teach each other."""

    def __init__(self, networks: Sequence[Classifier]) -> None:
        super().__init__()
        self.first, self.others = networks[0], nn.ModuleList(networks[1:])

    def forward(self, images: Tensor) -> Tensor:
        """images (b, 3, h, w) -> logits of each (k, b, c) in training, else joined (b, c)."""
        logits = torch.stack([network(images) for network in (self.first, *self.others)])
        return logits if self.training else joined(logits.float().unbind())


def joined(each: Sequence[Tensor]) -> Tensor:
    """Logits (b, c) whose softmax is the mean of the networks' probabilities."""
    if len(each) == 1:
        return each[0]
    return torch.stack(list(each)).log_softmax(dim=2).logsumexp(dim=0)


def build(
    arch: str,
    num_classes: int,
    image_size: int,
    weights: str = "none",
    enlarged: int | None = None,
) -> Classifier:
    """A classifier for images of image_size px with freshly drawn head.

    arch      smallnet | resnet10 | resnet18 | resnet34 | resnet50 | efficientnet-lite0 |
              timm:NAME
    weights   none | imagenet | path of a .safetensors file or a state dict
    enlarged  px that the network enlarges the images to before it looks at them; None: it does not

    Raises ConfigError for an unknown architecture, and for weights that are not to be had or
    have other shapes.
    """
    is_small = (enlarged or image_size) <= SMALL_IMAGE
    backbone: nn.Module
    if arch == "smallnet":
        backbone, num_features = SmallNet(enlarged or image_size), WIDTHS[-1]
    elif arch == "resnet10":
        backbone, num_features = _resnet10(is_small)
    elif arch in (LITE0, LITE0_DEPTHS):
        looking = lite0.Lite0(has_depths=arch == LITE0_DEPTHS)
        backbone, num_features = looking, looking.width
    elif arch in TORCHVISION:
        backbone, num_features = _torchvision(arch, is_small, weights)
    elif arch.startswith(TIMM):
        backbone, num_features = _timm(arch, weights)
    else:
        known = ", ".join(ARCHITECTURES)
        raise ConfigError(f"--arch {arch[:LONGEST]} is unknown; there are {known}")
    backbone = enlarged_by(backbone, image_size, enlarged)
    model = Classifier(backbone, num_features, num_classes)
    if weights == "imagenet" and arch in ("smallnet", "resnet10", LITE0, LITE0_DEPTHS):
        raise ConfigError(f"--weights imagenet: there are none for {arch}; try --arch resnet18")
    if weights not in ("none", "imagenet"):
        _load_file(model, Path(weights))
    return model


def whiten(model: nn.Module, images: Tensor, weights: str) -> None:
    """Fits the fixed filters of networks that have some to the images (m, 3, h, w), if new."""
    for part in model.modules() if weights == "none" else ():
        if isinstance(part, SmallNet):
            part.whiten(images)


class _Block(nn.Module):
    """The basic residual block of He et al. 2016."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        nn.init.zeros_(self.bn2.weight)  # each block starts as its shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y))
        out: Tensor = (y + self.shortcut(x)).relu()
        return out


def _resnet10(is_small: bool) -> tuple[nn.Module, int]:
    """Four basic blocks of widths 16 to 128: a tenth of a second a batch on two CPU cores."""
    widths = (16, 32, 64, 128)
    if is_small:
        stem: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False)]
    else:  # a quarter of the resolution, as the 7x7 stem and the pooling of the larger nets
        stem = [nn.Conv2d(3, 16, 7, 4, 3, bias=False)]
    blocks = [
        _Block(i, o, stride)
        for i, o, stride in zip((16, *widths), widths, (1, 2, 2, 2), strict=False)
    ]
    backbone = nn.Sequential(
        *stem, nn.BatchNorm2d(16), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    return backbone, widths[-1]


def _torchvision(arch: str, is_small: bool, weights: str) -> tuple[nn.Module, int]:
    import torchvision  # seconds: only where a network of it is built

    net: Any = torchvision.models.get_model(arch, weights=None)
    if weights == "imagenet":
        _load_imagenet(net, arch)
    if is_small:  # CIFAR's form: 3x3 stem, no max-pool
        net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        net.maxpool = nn.Identity()
    num_features = net.fc.in_features
    net.fc = nn.Identity()
    return net, num_features


def _load_imagenet(net: nn.Module, arch: str) -> None:
    import torchvision

    entry = torchvision.models.get_model_weights(arch).DEFAULT
    try:
        state = entry.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except OSError as error:
        raise ConfigError(
            f"--weights imagenet: {arch} cannot be downloaded from {entry.url} ({error}); "
            "go online once, or give a file by --weights FILE, or --weights none"
        ) from None
    net.load_state_dict(state)


def _timm(arch: str, weights: str) -> tuple[nn.Module, int]:
    try:
        import timm
    except ImportError:
        raise ConfigError(f"--arch {arch} needs timm: pip install 'labelclean[timm]'") from None
    name = arch.removeprefix(TIMM)
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name[:6]}*")[:5]) or "see timm.list_models()"
        raise ConfigError(f"--arch {arch}: timm has no such model; near: {near}")
    try:
        net = timm.create_model(name, pretrained=weights == "imagenet", num_classes=0)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"--arch {arch} --weights {weights}: {reason}; offline? try --weights none or a file"
        ) from None
    return net, net.num_features


def _load_file(model: Classifier, path: Path) -> None:
    """Fills the model from a file: our own names, or those of the plain backbone.

    The head is taken where its shape fits; its absence is no error, since classes differ.
    """
    state = {name.removeprefix("module."): tensor for name, tensor in read_state(path).items()}
    if not any(name.startswith("backbone.") for name in state):
        state = {f"backbone.{name}": tensor for name, tensor in state.items()}
    own = model.state_dict()
    state = {name: tensor for name, tensor in state.items() if name in own}
    head = {name for name in state if name.startswith("head.")}
    for name in head:
        if state[name].shape != own[name].shape:
            del state[name]
    missing = [name for name in own if name not in state and not name.startswith("head.")]
    if missing:
        raise ConfigError(
            f"--weights {path}: lacks {len(missing)} of {len(own)} tensors of the chosen --arch, "
            f"the first is {missing[0].removeprefix('backbone.')}"
        )
    for name, tensor in state.items():
        if tensor.shape != own[name].shape:
            raise ConfigError(
                f"--weights {path}: {name.removeprefix('backbone.')} is {tuple(tensor.shape)}, "
                f"the chosen --arch has {tuple(own[name].shape)}"
            )
    model.load_state_dict({**own, **state})


def save(model: nn.Module, path: Path, description: Mapping[str, str]) -> None:
    """Writes the weights as .safetensors, whole or not at all, with a description in its header.

    Raises OutputError if they cannot be written.
    """
    state = {name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}
    with disk.errors_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    disk.write_files({path: serialise(state, metadata=dict(description))})
