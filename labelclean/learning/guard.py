"""The collapse guard: notices a network that gives nearly every image the same few classes."""

from __future__ import annotations

import torch
from torch import Tensor

LEFT = 0.4  # share of the diversity of the given labels, above one class, that must be left


def diversity(shares: Tensor) -> float:
    """The number of classes that are effectively in use: exp of the entropy of shares (c,)."""
    return float(torch.special.entr(shares.double()).sum().exp())


class ClassCounts:
    """Counts what the network predicts in an epoch, on the device, without a sync point."""

    def __init__(self, num_classes: int, device: torch.device) -> None:
        self.predicted = torch.zeros(num_classes, device=device)
        self.probs = torch.zeros(num_classes, device=device)

    def add(self, logits: Tensor) -> None:
        probs = logits.softmax(dim=1)
        self.probs += probs.sum(dim=0)
        self.predicted += torch.bincount(probs.argmax(dim=1), minlength=len(self.predicted))

    def is_collapsed(self, given_shares: Tensor) -> bool:
        """Whether the predictions use far fewer classes than the given labels (c,) do.

        Both the arg-max counts and the mean probabilities are looked at: nearly uniform
        outputs with one class just ahead are an undecided net, not a collapsed one.
        """
        least = 1 + LEFT * (diversity(given_shares) - 1)
        predicted = diversity(self.predicted / self.predicted.sum().clamp(min=1))
        mean_probs = diversity(self.probs / self.probs.sum().clamp(min=1e-12))
        return predicted < least and mean_probs < least
