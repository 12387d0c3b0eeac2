"""EfficientNet-Lite0 (Tan & Le 2019, without squeeze-and-excitation, ReLU6 in place of swish).

Built here because timm, which has it too, takes seconds to be imported: each `filter` starts with
this network. A test compares it with timm's tf_efficientnet_lite0.

Its features are those of the last layer, and of two before it where that is asked for. The last
layer knows what tells the classes of ImageNet apart, in photos of its size; the earlier ones see
what it passes over, which counts in small images and for other classes (examples/benchmark,
view_quality.py).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TOP = 1280  # features of the last layer
# of each stage: expansion, kernel, stride, channels, blocks
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_STEM, _EPS = 32, 1e-3
# Blocks whose widest layer is seen too: the last ones before the sides are halved, and before TOP.
SEEN = {10: 672, 15: 1152}


class Lite0(nn.Module):
    """images (b, 3, h, w) -> features (b, width), those of the last layer first."""

    def __init__(self, *, has_depths: bool = False) -> None:
        """has_depths: the widest layers of the blocks SEEN give features too."""
        super().__init__()
        self.seen = SEEN if has_depths else {}
        self.width = TOP + sum(self.seen.values())
        self.stem = _conv(3, _STEM, kernel=3, stride=2)
        blocks: list[nn.Module] = []
        inputs = _STEM
        for expansion, kernel, stride, outputs, count in _STAGES:
            for k in range(count):
                blocks.append(_Block(inputs, outputs, expansion, kernel, 1 if k else stride))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.top = _conv(inputs, TOP, kernel=1)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu6(self.stem(images))
        seen = []
        for k, block in enumerate(self.blocks):
            x, wide = block(x)
            if k in self.seen:
                seen.append(wide)
        seen.append(F.relu6(self.top(x)))
        return torch.cat([each.mean(dim=(2, 3)) for each in reversed(seen)], dim=1)


class _Block(nn.Module):
    """Inverted residual: wider, each channel by itself, narrower; added to the input if it fits.

    forward(x (b, inputs, h, w)) gives the output and the widest layer (b, inputs * expansion, ...).
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.wider = _conv(inputs, wide, kernel=1) if expansion > 1 else None
        self.depthwise = _conv(wide, wide, kernel=kernel, stride=stride, groups=wide)
        self.narrower = _conv(wide, outputs, kernel=1)
        self.is_added = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wide = F.relu6(self.depthwise(x if self.wider is None else F.relu6(self.wider(x))))
        y = self.narrower(wide)
        return x + y if self.is_added else y, wide


class _SameConv(nn.Conv2d):
    """Zeros are added as TensorFlow does: where they are odd in number, one more at the end."""

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if kernel == 1:
            return super().forward(x)
        pads: list[int] = []
        for side in (x.shape[3], x.shape[2]):
            missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [missing // 2, missing - missing // 2]
        return super().forward(F.pad(x, pads))


def _conv(
    inputs: int, outputs: int, *, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        _SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=_EPS),
    )
