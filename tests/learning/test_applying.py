"""A trained network applied to pixels, also where memory is short."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from labelclean.data.images import ImageSpec
from labelclean.data.transform import Transform
from labelclean.errors import RunError
from labelclean.learning.inference import logits_of

TRANSFORM = Transform(spec=ImageSpec(size=4, resize=4), mean=(0, 0, 0), std=(1, 1, 1))


class _Hungry(nn.Module):
    """Sums of the colours; runs out of memory for more than so many images."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return images.sum(dim=(2, 3))


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_logits_are_the_same_in_parts_that_fit_into_memory(most: int):
    pixels = np.random.default_rng(0).integers(0, 256, (11, 4, 4, 3)).astype(np.uint8)
    found = logits_of(_Hungry(most), TRANSFORM, pixels, torch.device("cpu"))
    np.testing.assert_allclose(found, pixels.sum(axis=(1, 2), dtype=np.float32))


def test_where_one_image_does_not_fit_a_line_says_so():
    pixels = np.zeros((5, 4, 4, 3), dtype=np.uint8)
    with pytest.raises(RunError, match="out of memory on cpu with one image; give --device cpu"):
        logits_of(_Hungry(0), TRANSFORM, pixels, torch.device("cpu"))
