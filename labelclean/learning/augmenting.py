"""Stronger augmentation than moving and mirroring: squares cut out, pairs of images mixed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelclean.data.batches import Batch, Batches

_OWN = 1  # set apart from the randomness that a step draws from Batches.generator


class StrongBatches:
    """Batches whose training images lose a square and are mixed in pairs; the rest is unchanged.

    partner  (n,) int64: the row that was mixed into each row when it last came up
    share    (n,) float32: how much of the row itself is left, 1: all

    A method reads these two by `index`, to mix its targets alike (mixup, Zhang et al. 2018).
    """

    def __init__(self, batches: Batches, *, cutout: float, alpha: float, seed: int) -> None:
        """cutout: side of the square, in sides of the image; alpha: of Beta(alpha, alpha)."""
        self._batches, self._seed = batches, seed
        self._cutout, self._alpha = cutout, alpha
        device = batches.labels.device
        self.partner = torch.arange(len(batches.labels), device=device)
        self.share = torch.ones(len(batches.labels), device=device)

    @property
    def labels(self) -> Tensor:
        return self._batches.labels

    @property
    def train_rows(self) -> NDArray[np.int64]:
        return self._batches.train_rows

    @property
    def steps_per_epoch(self) -> int:
        return self._batches.steps_per_epoch

    def generator(self, epoch: int, step: int) -> torch.Generator:
        return self._batches.generator(epoch, step)

    def in_order(self, rows: NDArray[np.int64]) -> Iterator[Batch]:
        return self._batches.in_order(rows)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        for step, batch in enumerate(self._batches.epoch(epoch, first_step), start=first_step):
            drawn = np.random.default_rng((self._seed, epoch, step, _OWN))
            images, index = batch.images, batch.index
            if self._cutout > 0:
                images = cut_out(images, self._cutout, drawn)
            if self._alpha > 0:
                # batches are shuffled already: the neighbour is a random partner
                share = float(drawn.beta(self._alpha, self._alpha))
                share = max(share, 1 - share)
                images = share * images + (1 - share) * images.roll(1, dims=0)
                self.partner[index] = index.roll(1)
                self.share[index] = share
            yield Batch(images, batch.labels, index)


def cut_out(images: Tensor, side: float, generator: np.random.Generator) -> Tensor:
    """A square of the mean colour somewhere in each image (DeVries & Taylor 2017).

    images  (b, 3, h, w) normalised, so the mean colour is 0
    side    of the square, in sides of the image; its middle is anywhere in the image
    """
    height, width = images.shape[2:]
    places = []
    for length in (height, width):
        middle = torch.from_numpy(generator.integers(0, length, (len(images), 1)))
        distance = (torch.arange(length) - middle).abs().to(images.device)
        places.append(distance < side * length / 2)
    inside = places[0][:, None, :, None] & places[1][:, None, None, :]
    return images.masked_fill(inside, 0.0)
