"""distort: strong augmentation for consistency training.

On the device and for a whole batch, each image by its own draw, from the step's generator: the
transforms of torchvision draw once a batch, from a generator that no resumed run or team shares.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TURN = math.radians(20)  # at most, either way; a 6 stays a 6
ZOOM = 0.2  # by a factor of up to e ** ZOOM, either way
SLANT = 0.2  # of a column over the image's height, as a share of its width
BRIGHTNESS = 25.0  # of 255 levels, either way
CONTRAST = 0.4  # factors from 1 - CONTRAST to 1 + CONTRAST
SATURATION = 0.8
HIDDEN = 0.5  # side of the square that is hidden, as a share of the image's


def distort(
    images: Tensor, hidden: Tensor, of: int, own: slice, generator: torch.Generator
) -> Tensor:
    """Turns, zooms, slants and recolours each image, and hides a square of it (cutout).

    Hues stay: a class may be a colour. Nothing is mirrored or moved: Batches does that.

    images   (b, h, w, 3) uint8, the share `own` of the step's `of` images
    hidden   (3,) the colour, 0 to 255, of what is hidden
    returns  (b, h, w, 3) float32, which may lie somewhat outside of 0 to 255
    """

    def draw(low: float, high: float) -> Tensor:
        """(b, 1, 1, 1), drawn for all images of the step: an image gets the same whoever has it."""
        drawn = torch.rand((of, 1, 1, 1), device=images.device, generator=generator)
        return low + (high - low) * drawn[own]

    seen = images.float().permute(0, 3, 1, 2)
    seen = _warped(seen, draw(-TURN, TURN), draw(-ZOOM, ZOOM).exp(), draw(-SLANT, SLANT))
    # the same for the three colours: what differs between them is what a hue is
    grey = seen.mean(dim=(1, 2, 3), keepdim=True)
    seen = (seen - grey) * draw(1 - CONTRAST, 1 + CONTRAST) + grey + draw(-BRIGHTNESS, BRIGHTNESS)
    grey = seen.mean(dim=1, keepdim=True)
    seen = (seen - grey) * draw(1 - SATURATION, 1 + SATURATION) + grey
    is_hidden = _square(seen.shape[2:], draw(0, 1), draw(0, 1))
    seen = torch.where(is_hidden, hidden.float()[:, None, None], seen)
    return seen.permute(0, 2, 3, 1).contiguous()


def _warped(images: Tensor, turn: Tensor, zoom: Tensor, slant: Tensor) -> Tensor:
    """Each image (b, 3, h, w) through its own affine map; beyond the border it is mirrored."""
    cos, sin = turn.cos() * zoom, turn.sin() * zoom
    zero = torch.zeros_like(cos)
    rows = [torch.cat([cos, slant - sin, zero], dim=3), torch.cat([sin, cos, zero], dim=3)]
    grid = F.affine_grid(torch.cat(rows, dim=2)[:, 0], list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _square(size: torch.Size, down: Tensor, across: Tensor) -> Tensor:
    """(b, 1, h, w) bool: a square about a point that lies at those shares of height and width."""
    height, width = size
    rows = (torch.arange(height, device=down.device) + 0.5)[:, None] / height
    columns = (torch.arange(width, device=down.device) + 0.5) / width
    half = HIDDEN / 2
    return ((rows - down).abs() < half) & ((columns - across).abs() < half)
