"""ELR: holds the network to what it said early, before it memorised wrong labels."""

from __future__ import annotations

import torch

from labelclean.learning import losses, robust_losses
from labelclean.learning.methods.base import Memory, Outputs, StepContext, StepResult

LEAST = 1e-4  # probability that a target gives to any class at least


def memory(rows: int, classes: int) -> Memory:
    """t of every row: a moving average of its probabilities, 0 before the first one."""
    return {"targets": torch.zeros(rows, classes)}


def elr(batch: Outputs, context: StepContext) -> StepResult:
    """Cross-entropy + λ log(1 - <p, t>), with t = β t + (1 - β) p, Liu et al. 2020.

    p is held above 1e-4 in t, as in the authors' code.
    """
    momentum, strength = constants(batch.logits.shape[1])
    probs = batch.logits.detach().softmax(dim=1).clamp(LEAST, 1 - LEAST)
    probs = probs / probs.sum(dim=1, keepdim=True)
    targets = momentum * context.memory["targets"][batch.index] + (1 - momentum) * probs
    context.memory["targets"][batch.index] = targets
    per_image = losses.cross_entropy(batch.logits, batch.labels)
    per_image = per_image + strength * robust_losses.early_learning(batch.logits, targets)
    return StepResult(context.weighted(per_image, batch.labels).mean())


def constants(num_classes: int) -> tuple[float, float]:
    """β and λ of the authors: 0.7 and 3 for CIFAR-10, 0.9 and 7 for CIFAR-100."""
    return (0.7, 3.0) if num_classes <= 10 else (0.9, 7.0)
