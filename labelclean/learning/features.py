"""A frozen backbone: its features are computed once, then only a head learns, in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelclean.data.batches import Batch, Batches
from labelclean.learning import team
from labelclean.learning.models import Classifier


@dataclass(frozen=True)
class FeatureBatches:
    """Batches whose images are feature vectors (b, f); order and seeds are those of `images`.

    features   (n, f) float32, on the device of the labels: the backbone's, minus `mean`, over `std`
    mean, std  (f,)
    """

    images: Batches
    features: Tensor
    mean: Tensor
    std: Tensor

    @property
    def labels(self) -> Tensor:
        return self.images.labels

    @property
    def train_rows(self) -> NDArray[np.int64]:
        return self.images.train_rows

    @property
    def steps_per_epoch(self) -> int:
        return self.images.steps_per_epoch

    def generator(self, epoch: int, step: int) -> torch.Generator:
        return self.images.generator(epoch, step)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        for part in self.images.shuffled(epoch)[first_step:]:
            yield self._batch(part)

    def in_order(self, rows: NDArray[np.int64]) -> Iterator[Batch]:
        for part in self.images.dealt(rows):
            yield self._batch(part)

    def fitted_to_backbone(self, head: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state of a linear head that learned on `features`, for those of the backbone."""
        weight = head["weight"] / self.std
        return {"weight": weight, "bias": head["bias"] - weight @ self.mean}

    def _batch(self, part: NDArray[np.int64]) -> Batch:
        index = torch.from_numpy(part).to(self.labels.device)
        own = index[self.images.own(len(index))]
        return Batch(self.features[own], self.labels[index], index)


@torch.no_grad()
def extract(
    model: Classifier,
    batches: Batches,
    rows: NDArray[np.int64],
    dtype: torch.dtype,
    on_rows: Callable[[int], None],
) -> FeatureBatches:
    """The backbone's features of the given rows, each scaled to mean 0 and deviation 1.

    The features of an image and its mirror image are averaged where the images are mirrored.
    """
    model.eval()
    features = torch.zeros(len(batches.labels), model.head.in_features)
    features = features.to(batches.labels.device)
    for batch in batches.in_order(rows):
        with torch.autocast(batch.images.device.type, dtype, enabled=dtype != torch.float32):
            found = model.backbone(batch.images)
            if batches.flip:
                found = (found + model.backbone(batch.images.flip(3))) / 2
        features[batch.index] = team.whole(found.float(), len(batch.index))
        on_rows(len(batch.index))
    seen = features[torch.from_numpy(batches.train_rows).to(features.device)]
    mean, std = seen.mean(dim=0), seen.std(dim=0)
    std = std.where(std > 1e-6, 1.0)  # of a dead feature: no weight may outgrow float32
    return FeatureBatches(batches, features.sub_(mean).div_(std), mean, std)
