"""The weight of each class in the loss."""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST = 10.0  # of a class, where that of the largest is 1


def class_weights(labels: Tensor, num_classes: int) -> Tensor:
    """NLNL's weights, max count / count of the given label, scaled to a mean of 1 per image.

    The scaling keeps the learning rate's meaning when classes are uneven. No weight is more than
    LARGEST times another: beside a class of 1,000 images one of 1 image made steps so large that
    right labels of the large class were called wrong.

    labels   (t,)  int64: given labels of the training rows
    returns  (c,)  0 for a class without rows
    """
    count = torch.bincount(labels, minlength=num_classes).float()
    weight = torch.where(count > 0, (count.max() / count.clamp(min=1)).clamp(max=LARGEST), 0.0)
    return weight * len(labels) / (weight * count).sum()
