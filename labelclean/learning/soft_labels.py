"""Soft labels: a probability of each class for every row, in memory that grows with rows alone."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from labelclean.data.samples import NO_LABEL


@dataclass(frozen=True, kw_only=True)
class SoftLabels:
    """Two classes of each row with their probabilities; the others share what is left evenly.

    first, second      (n,) int64, NO_LABEL: nothing is said of one
    p_first, p_second  (n,) float32; with both given they sum to at most 1
    """

    first: Tensor
    p_first: Tensor
    second: Tensor
    p_second: Tensor

    @classmethod
    def certain(cls, labels: NDArray[np.int64]) -> SoftLabels:
        """Soft labels from labels (n,) that are fully trusted."""
        first = torch.from_numpy(labels)
        nothing = torch.zeros(len(labels))
        return cls(
            first=first,
            p_first=(first != NO_LABEL).float(),
            second=torch.full_like(first, NO_LABEL),
            p_second=nothing,
        )

    def __len__(self) -> int:
        return len(self.first)

    @property
    def best(self) -> Tensor:
        """The more probable of the two (n,), NO_LABEL where neither is there."""
        p_first = torch.where(self.first == NO_LABEL, -1.0, self.p_first)
        p_second = torch.where(self.second == NO_LABEL, -1.0, self.p_second)
        return torch.where(p_second > p_first, self.second, self.first)

    def to(self, device: torch.device) -> SoftLabels:
        return SoftLabels(
            **{each.name: getattr(self, each.name).to(device) for each in fields(self)}
        )

    def rows(self, index: Tensor, num_classes: int) -> Tensor:
        """(b,) rows -> (b, c) probabilities that sum to 1."""
        named = torch.stack([self.first[index], self.second[index]], dim=1)
        probs = torch.stack([self.p_first[index], self.p_second[index]], dim=1)
        is_there = named != NO_LABEL
        probs = probs * is_there
        others = num_classes - is_there.sum(dim=1)
        left = (1 - probs.sum(dim=1)).clamp(min=0) / others.clamp(min=1)
        out = left[:, None].expand(-1, num_classes)
        # a column more takes what is said of no class
        out = F.pad(out, (0, 1)).scatter(1, named.where(is_there, num_classes), probs)
        out = out[:, :num_classes]
        return out / out.sum(dim=1, keepdim=True)

    def with_certain(self, rows: NDArray[np.int64], labels: NDArray[np.int64]) -> SoftLabels:
        """The same with labels (k,) that are believed whole on the rows (k,)."""
        changed = {each.name: getattr(self, each.name).clone() for each in fields(self)}
        new = SoftLabels.certain(labels)
        for name, tensor in changed.items():
            tensor[torch.from_numpy(rows)] = getattr(new, name)
        return replace(self, **changed)
