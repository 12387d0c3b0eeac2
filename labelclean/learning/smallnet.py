"""SmallNet: the network for CPUs; a whitening first layer makes few epochs go a long way."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALL_IMAGE = 64  # px; up to here the first layer keeps the resolution, as the paper's CIFAR nets
WIDTHS = (32, 64, 128)
NOTHING = 1e-6  # variance of a direction that images do not have, such as colour in grey ones
EPSILON = 5e-3  # added to the variances: without it the smallest, mere noise, would be blown up


class SmallNet(nn.Module):
    """Three pairs of 3x3 convolutions behind fixed whitening filters.

    The form is that of cifar10-airbench (Jordan 2024), at a twentieth of its cost: frozen
    filters that whiten patches, convolutions that start as the identity, pooling between
    convolution and norm. Images up to 64 px are whitened in 2x2 patches at every place,
    larger ones in 4x4 patches side by side, which leaves a quarter of the resolution.
    """

    def __init__(self, image_size: int) -> None:
        super().__init__()
        is_small = image_size <= SMALL_IMAGE
        patch, stride = (2, 1) if is_small else (4, 4)
        filters = 2 * 3 * patch**2 if is_small else 3 * patch**2
        self.whitening = nn.Conv2d(3, filters, patch, stride)
        self.whitening.weight.requires_grad_(False)
        nn.init.zeros_(self.whitening.bias)  # type: ignore[arg-type]  # Conv2d has one by default
        layers: list[nn.Module] = [nn.GELU()]
        side = (image_size - patch) // stride + 1
        for inputs, outputs in zip((filters, *WIDTHS), WIDTHS, strict=False):
            layers += [
                _identity_convolution(inputs, outputs),
                nn.MaxPool2d(2) if side > 1 else nn.Identity(),
                nn.BatchNorm2d(outputs),
                nn.GELU(),
                _identity_convolution(outputs, outputs),
                nn.BatchNorm2d(outputs),
                nn.GELU(),
            ]
            side = max(1, side // 2)
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(self.whitening(images))
        return features

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Sets the first filters to the principal directions of patches, each of variance 1.

        Directions without variance are replaced by mixtures of the others: the norm behind would
        blow up the rounding errors of such a channel, and its gradients, until nothing is learned.

        images  (m, 3, h, w) normalised: a sample of the training images
        """
        weight = self.whitening.weight
        patch = weight.shape[-1]
        patches = (
            F.unfold(images.float(), patch, stride=4).transpose(1, 2).reshape(-1, 3 * patch**2)
        )
        patches = patches - patches.mean(dim=0)
        # on the CPU in float64: the same filters on every device
        covariance = (patches.T @ patches / len(patches)).double().cpu()
        variances, directions = torch.linalg.eigh(covariance)
        filters = (directions / (variances + EPSILON).sqrt()).T.flip(0)
        live = max(1, int((variances > NOTHING).sum()))
        if live < len(filters):
            generator = torch.Generator().manual_seed(0)
            shape = (len(filters) - live, live)
            mixture = torch.randn(shape, generator=generator, dtype=filters.dtype)
            filters[live:] = F.normalize(mixture) @ filters[:live]
        both_signs = torch.cat([filters, -filters])[: len(weight)]
        weight.copy_(both_signs.reshape(weight.shape))


def _identity_convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution whose first filters pass their channel on; the others are drawn."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(layer.weight[:inputs])
    return layer
