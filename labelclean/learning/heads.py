"""Linear heads on frozen features, many at once: seeds and folds for the price of one pass.

Every image is left out of some of the heads, so that what is said of it comes from heads that never
saw its label: nothing memorised can enter the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelclean.data.batches import Batch, dealt_rows, step_generator
from labelclean.data.large_arrays import ROWS_AT_ONCE, blocks_of
from labelclean.learning.methods import Method, Outputs, StepContext, StepResult
from labelclean.learning.soft_labels import SoftLabels

BYTE = 256  # values of a byte


class Heads(nn.Module):
    """k linear classifiers on the same features, each with its own weights.

    forward(features (b, f)) gives logits (k, b, c). The weights start at zero; in training a share
    `dropout` of the d inputs is left out, to the nearest 256th; `gain` over the root of d scales
    the logits, so that one learning rate suits every d.
    """

    mean: Tensor
    std: Tensor
    basis: Tensor | None

    def __init__(
        self,
        mean: Tensor,
        std: Tensor,
        *,
        heads: int,
        num_classes: int,
        dropout: float,
        gain: float,
        basis: Tensor | None = None,
    ) -> None:
        """Heads whose weights are zero.

        mean, std  (f,) of the features that are trained on
        basis      (f, d) directions of the standardised features that are the inputs; None: these
                   themselves, d is f
        """
        super().__init__()
        self.register_buffer("mean", mean.float())
        self.register_buffer("std", std.float())
        self.register_buffer("basis", basis)
        self.width = len(mean) if basis is None else basis.shape[1]
        self.weight = nn.Parameter(torch.zeros(self.width, heads * num_classes))
        self.bias = nn.Parameter(torch.zeros(heads * num_classes))
        self.dropped = round(dropout * BYTE)
        self.heads, self.num_classes = heads, num_classes
        self.scale = gain / math.sqrt(self.width)

    def forward(self, features: Tensor) -> Tensor:
        seen, scale = self.inputs(features), self.scale
        if self.training and self.dropped:
            seen = seen * (_random_bytes(seen) >= self.dropped)
            scale *= BYTE / (BYTE - self.dropped)
        logits = scale * (seen @ self.weight) + self.bias
        each: Tensor = logits.view(-1, self.heads, self.num_classes).transpose(0, 1)
        return each

    def inputs(self, features: Tensor) -> Tensor:
        """Inputs (b, d) of features (b, f): the trained ones' mean and deviation taken out."""
        standardised = (features.float() - self.mean) / self.std
        return standardised if self.basis is None else standardised @ self.basis

    @torch.no_grad()
    def as_linear(self) -> nn.Linear:
        """The mean of the heads as one linear layer (f) -> (c) on raw features."""
        weight = self.scale * self.weight.view(-1, self.heads, self.num_classes).mean(dim=1)
        if self.basis is not None:
            weight = self.basis @ weight
        bias = self.bias.view(self.heads, self.num_classes).mean(dim=0)
        linear = nn.Linear(len(self.mean), self.num_classes)
        linear.weight.copy_((weight / self.std[:, None]).T)
        linear.bias.copy_(bias - (self.mean / self.std) @ weight)
        return linear


def _random_bytes(like: Tensor) -> Tensor:
    """Uniform bytes (b, f); on a CPU eight a draw, since one for each takes 20 times as long."""
    if like.device.type != "cpu":
        return torch.randint(BYTE, like.shape, dtype=torch.uint8, device=like.device)
    words = torch.empty(-(-like.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    return words.view(torch.uint8)[: like.numel()].view_as(like)


def moments_of(features: NDArray[np.float16], rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Mean and deviation (f,) of the features of the rows; 1 for a feature that never changes."""
    if len(rows) > ROWS_AT_ONCE:
        mean, std = _moments_in_blocks(features, rows)
    else:
        seen = torch.from_numpy(features[rows].astype(np.float32))
        mean, std = seen.mean(dim=0), seen.std(dim=0, correction=0)
    return mean, torch.where(std > 1e-6, std, 1.0)


def _moments_in_blocks(
    features: NDArray[np.float16], rows: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    """Mean and deviation (f,) by blocks, shifted by the first row, so that squares lose nothing."""
    shift = features[rows[0]].astype(np.float64)
    total, squares = np.zeros((2, len(shift)))
    for part in blocks_of(len(rows)):
        seen = features[rows[part]].astype(np.float64) - shift
        total += seen.sum(axis=0)
        squares += np.square(seen).sum(axis=0)
    mean = total / len(rows)
    variance = np.maximum(squares / len(rows) - np.square(mean), 0.0)
    return torch.from_numpy(mean + shift).float(), torch.from_numpy(np.sqrt(variance)).float()


def draw_folds(
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    folds: int,
    repeats: int,
    seed: int,
) -> NDArray[np.bool_]:
    """Which heads a row is left out of (n, repeats x folds): of each repeat, one in `folds`.

    labels  (n,) given labels, dealt evenly to the folds
    rows    (t,) rows that are trained on; all others are left out of all heads
    groups  (n,) rows of one group share their fold: copies must not learn from each other
    """
    left_out = np.ones((len(labels), repeats * folds), dtype=np.bool_)
    left_out[rows] = False
    generator = np.random.Generator(np.random.PCG64((seed, 2)))
    for repeat in range(repeats):
        leaders, which = np.unique(groups[rows], return_inverse=True)
        first = np.full(len(leaders), len(labels), np.int64)
        np.minimum.at(first, which.reshape(-1), rows)
        shuffled = generator.permutation(len(leaders))
        by_label = shuffled[np.argsort(labels[first[shuffled]], kind="stable")]
        fold = np.empty(len(leaders), np.int64)
        fold[by_label] = (np.arange(len(leaders)) + generator.integers(folds)) % folds
        left_out[rows, repeat * folds + fold[which.reshape(-1)]] = True
    return left_out


def folded(method: Method, left_out: Tensor) -> Method:
    """The method for heads that each learn from the rows that they are not left out of.

    method    of one network and one view; its memory is read, not written
    left_out  (n, k) bool, on the device of the labels
    """
    if method.networks != 1 or method.views != 1:
        raise ValueError("heads learn by methods of one network and one view")
    heads = left_out.shape[1]

    def step(batch: Outputs, context: StepContext) -> StepResult:
        logits = torch.stack(batch.each, dim=1)  # (b, k, c)
        learns = ~left_out[batch.index]
        labels = batch.labels[:, None].expand(-1, heads)[learns]
        index = batch.index[:, None].expand(-1, heads)[learns]
        result = method.step(Outputs(each=(logits[learns],), labels=labels, index=index), context)
        return StepResult(result.loss * heads, result.taken)  # each head as if it learned alone

    return Method(step=step, networks=heads, has_start=method.has_start, memory=method.memory)


@dataclass(frozen=True, kw_only=True)
class FeatureBatches:
    """Batches whose images are feature vectors (b, f); the same for the same seed and epoch.

    features    (n, f) float16 or float32
    labels      (n,) int64, on the device that learns
    train_rows  (t,)
    """

    features: NDArray[np.float16]
    labels: Tensor
    train_rows: NDArray[np.int64]
    batch_size: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.train_rows) // self.batch_size)

    def generator(self, epoch: int, step: int) -> torch.Generator:
        return step_generator(self.seed, epoch, step, self.labels.device)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        parts = dealt_rows(self.train_rows, self.steps_per_epoch, self.seed, epoch)
        for part in parts[first_step:]:
            yield self._batch(part)

    def in_order(self, rows: NDArray[np.int64]) -> Iterator[Batch]:
        for start in range(0, len(rows), 8 * self.batch_size):
            yield self._batch(rows[start : start + 8 * self.batch_size])

    def take(self, index: Tensor) -> Batch:
        return self._batch(index.cpu().numpy())

    def _batch(self, part: NDArray[np.int64]) -> Batch:
        device = self.labels.device
        index = torch.from_numpy(part).to(device)
        seen = torch.from_numpy(np.asarray(self.features[part])).to(device)
        return Batch(seen, self.labels[index], index)


@torch.no_grad()
def out_of_fold(
    heads: Heads,
    batches: FeatureBatches,
    rows: NDArray[np.int64],
    left_out: Tensor,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows (b,) and mean logits (b, c) of the heads that each row was left out of."""
    heads.eval()
    for batch in batches.in_order(rows):
        logits = heads(batch.images).transpose(0, 1)  # (b, k, c)
        weight = left_out[batch.index].float()
        yield batch.index, (logits * weight[:, :, None]).sum(dim=1) / weight.sum(dim=1)[:, None]
        on_rows(len(batch.index))


class Prototypes:
    """Cosine of a row to the mean direction of each class's rows, itself and its copies left out.

    A second view of the same features: it has no weights to fit, so it errs at other rows than the
    heads, above all where few images are or where wrong labels go to one other class.
    """

    def __init__(
        self,
        batches: FeatureBatches,
        heads: Heads,
        num_classes: int,
        targets: SoftLabels,
        groups: NDArray[np.int64],
    ) -> None:
        """targets: how much each row counts for each class; groups (n,): copies of one image."""
        self._heads, self._batches = heads, batches
        device = batches.labels.device
        self._targets = targets.to(device)
        count = len(batches.labels)
        self._weight = torch.zeros(count, device=device)
        rows = torch.from_numpy(batches.train_rows).to(device)
        self._weight[rows] = 1.0
        self.sums = torch.zeros(num_classes, heads.width, device=device)
        for batch in batches.in_order(batches.train_rows):
            self.sums += self._counts(batch.index).T @ self._directions(batch.images)
        # of an image that is there several times, what all of them count
        leaders, which = torch.from_numpy(groups).to(device).unique(return_inverse=True)
        is_repeated = torch.bincount(which, minlength=len(leaders)) > 1
        place = (is_repeated.cumsum(0) - 1).where(is_repeated, -1)
        self._place = place[which]
        repeated = (self._place >= 0).nonzero()[:, 0]
        self._together = torch.zeros(int(is_repeated.sum()), num_classes, device=device)
        self._together.index_add_(0, self._place[repeated], self._counts(repeated))

    def cosines(self, index: Tensor) -> Tensor:
        """Rows (b,) -> (b, c); 0 for a class that has no other row."""
        seen = self._directions(self._batches.take(index).images)
        own = self._counts(index)
        place = self._place[index]
        own[place >= 0] = self._together[place[place >= 0]]
        # |s - w v|^2 = |s|^2 - 2 w s.v + w^2 for a direction v of length 1
        along = seen @ self.sums.T
        square = self.sums.square().sum(dim=1) - 2 * own * along + own.square()
        is_left = square > 1e-6
        return ((along - own) / square.clamp(min=1e-6).sqrt()) * is_left

    def _counts(self, index: Tensor) -> Tensor:
        return self._targets.rows(index, len(self.sums)) * self._weight[index][:, None]

    def _directions(self, features: Tensor) -> Tensor:
        return nn.functional.normalize(self._heads.inputs(features), dim=1)
