"""The weight of each class in the loss."""

from __future__ import annotations

import torch
from torch import Tensor


def class_weights(labels: Tensor, num_classes: int) -> Tensor:
    """NLNL's weights, max count / count of the given label, scaled to a mean of 1 per image.

    The scaling keeps the learning rate's meaning when classes are uneven.

    labels   (t,)  int64: given labels of the training rows
    returns  (c,)  0 for a class without rows
    """
    count = torch.bincount(labels, minlength=num_classes).float()
    weight = torch.where(count > 0, count.max() / count.clamp(min=1), 0.0)
    return weight * len(labels) / (weight * count).sum()
