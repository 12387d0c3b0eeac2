"""Transform: from one picture to the tensor that a trained network expects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from labelclean.data.images import ImageSpec, square, to_8_bit


@dataclass(frozen=True, kw_only=True)
class Transform:
    """Upright, 8 bits, on white, resized, cropped and normalised, as for the training.

    spec  the square that every image becomes
    mean  of the three colours, 0 to 255, and std
    """

    spec: ImageSpec
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, image: Image.Image) -> Tensor:
        """(3, size, size) float32."""
        upright = ImageOps.exif_transpose(image)
        pixels = np.array(
            square(to_8_bit(upright, self.spec.values), self.spec)
        )  # a copy that torch may own
        return self.normalised(torch.from_numpy(pixels)[None])[0]

    def normalised(self, pixels: Tensor) -> Tensor:
        """pixels (b, size, size, 3) uint8 -> (b, 3, size, size) float32 on the same device."""
        mean = torch.tensor(self.mean, device=pixels.device)
        std = torch.tensor(self.std, device=pixels.device)
        return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)
