"""Noise that the image decides: Xia et al. 2020, "Part-dependent Label Noise", Algorithm 2."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from labelclean.data.noise import Labels, Matrix
from labelclean.data.samples import NO_LABEL

SIDE = 32  # px of the square that other images are decoded to; CIFAR's own
RATE_STD = 0.1  # of the flip rate from image to image
_STEPS = 2.0**20  # of the projection, in one unit
_ROWS = 1000  # images at a time


def instance_dependent(
    pixels: NDArray[np.uint8],
    labels: Labels,
    num_classes: int,
    rate: float,
    generator: np.random.Generator,
) -> Labels:
    """Each label wrong by its own coin, and then the class to which its pixels project furthest.

    An image of class y is wrong with probability q ~ N(rate, 0.1²) cut off to [0, 1], and then a
    class drawn from softmax(x W_y) without y, W_y standard normal. x is 0 to 255 as in the
    authors' code, which makes the softmax all but an arg-max.

    pixels   (n, h, w, 3)
    labels   (n,) in [0, num_classes), or NO_LABEL, which stays
    returns  (n,) a copy. The realised rate varies; near 0 and 1 truncation pulls it inwards; rate
             0 changes nothing

    Raises ValueError if the sizes differ or the rate is out of range.
    """
    if len(pixels) != len(labels) or not 0 <= rate <= 1:
        raise ValueError(f"{len(pixels)} images, {len(labels)} labels, rate {rate} not in [0, 1]")
    if num_classes < 2 or not rate:
        return labels.copy()
    low, high = ndtr(np.array([0 - rate, 1 - rate]) / RATE_STD)
    spread = _normal(low + generator.random(len(labels)) * (high - low))
    flip = (rate + RATE_STD * spread).clip(0, 1)
    draw = generator.random(len(labels))
    noisy = labels.copy()
    width = int(np.prod(pixels.shape[1:]))
    for label in range(num_classes):
        # Whole numbers, as the pixels are: their sums are exact, so in any order and everywhere
        # the same.
        weight = np.round(_normal(generator.random((width, num_classes))) * _STEPS)
        rows = np.flatnonzero(labels == label)
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            flat = pixels[part].reshape(len(part), width).astype(np.float64)
            chance = _chances(flat @ weight / _STEPS, label, flip[part])
            upper = np.cumsum(chance, axis=1)
            noisy[part] = (upper <= draw[part, None] * upper[:, -1:]).sum(axis=1)
    noisy[labels == NO_LABEL] = NO_LABEL
    return noisy


def _normal(uniform: Matrix) -> Matrix:
    """Standard normal values from uniform ones, by the inverse of the distribution."""
    values: Matrix = ndtri(np.maximum(uniform, 2.0**-54))  # of 0 it would be -inf
    return values


def _chances(projected: Matrix, label: int, flip: Matrix) -> Matrix:
    """(n, c) probability of each class: 1 - flip for `label`, the softmax of the others."""
    projected[:, label] = -np.inf
    chance: Matrix = np.exp(projected - projected.max(axis=1, keepdims=True))
    chance *= (flip / chance.sum(axis=1))[:, None]
    chance[:, label] = 1 - flip
    return chance
