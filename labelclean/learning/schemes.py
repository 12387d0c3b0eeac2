"""Schemes: ways to train a classifier on a report, as Methods whose memory holds targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor

from labelclean.learning.methods import Method, Outputs, StepContext, StepResult
from labelclean.learning.methods.base import Memory, risen
from labelclean.learning.soft_labels import SoftLabels

LAST = 10  # epochs whose outputs the authors average into the targets of the second stage,
LAST_SHARE = 0.25  # of 480; of a short stage no more than this share: its first outputs know little
OWN = 0.6  # weight in the end of what labels and network say together, beside the labels alone;
OWN_START, OWN_RAMP = 0.3, 0.2  # shares of the run: before it the network's opinion is poor


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """-sum_k t_k log p_k: cross-entropy for targets that are probabilities.

    logits   (b, c)  any float dtype; computed in float32
    targets  (b, c)  rows that sum to 1
    returns  (b,)    nats per image
    """
    return -(targets * logits.float().log_softmax(dim=1)).sum(dim=1)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """The mean of values (b,) with weights (b,); zero, with its graph, where all weigh nothing."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def on_targets(targets: Tensor, weights: Tensor) -> Method:
    """Cross-entropy on fixed targets (n, c), each row with its weight (n,)."""
    start = {"targets": targets, "weights": weights}
    return _on(start, lambda memory, index, classes: memory["targets"][index])


def on_labels(labels: SoftLabels, weights: Tensor | None = None) -> Method:
    """The same on soft labels, for any number of rows and classes; without weights all weigh 1.

    Where they are calibrated probabilities of the true class, the net that fits them best is the
    one that would fit the true labels best: their errors average out; those of hard arg-max labels
    do not.
    """
    weights = torch.ones(len(labels)) if weights is None else weights

    return _on({**vars(labels), "weights": weights}, _soft_rows)


def consistent(labels: SoftLabels) -> Method:
    """Cross-entropy of each image, and of it distorted, on what its label and the network say.

    The target is (1 - a) t + a t q / Σ_k t_k q_k with the soft label t, the network's
    probabilities q for the image as it is, and a that rises to OWN: Bayes' rule, if the two were
    independent. To say of the distorted image what it says of the plain one teaches a network
    also where the label is doubted (FixMatch, Sohn et al. 2020, with soft labels instead of
    thresholded pseudo-labels). A label that is certain stays so.
    """

    def step(batch: Outputs, context: StepContext) -> StepResult:
        plain, distorted = batch.each
        soft = _soft_rows(context.memory, batch.index, plain.shape[1])
        together = (soft.log() + plain.detach().log_softmax(dim=1)).softmax(dim=1)
        targets = soft.lerp(together, OWN * risen(context.progress, OWN_START, OWN_RAMP))
        loss = soft_cross_entropy(plain, targets) + soft_cross_entropy(distorted, targets)
        return StepResult(loss.mean() / 2)

    return Method(step=step, views=2, memory=_copies(vars(labels)))


def _on(start: Memory, targets_of: Callable[[Memory, Tensor, int], Tensor]) -> Method:
    """Cross-entropy on what targets_of (memory, index (b,), classes) gives; rows have weights."""

    def step(batch: Outputs, context: StepContext) -> StepResult:
        memory = context.memory
        targets = targets_of(memory, batch.index, batch.logits.shape[1])
        loss = soft_cross_entropy(batch.logits, targets)
        return StepResult(weighted_mean(loss, memory["weights"][batch.index]))

    return Method(step=step, memory=_copies(start))


def _soft_rows(memory: Memory, index: Tensor, classes: int) -> Tensor:
    """The targets (b, c) of the soft labels that the memory holds."""
    known = SoftLabels(**{each.name: memory[each.name] for each in fields(SoftLabels)})
    return known.rows(index, classes)


def _copies(start: Memory) -> Callable[[int, int], Memory]:
    """A memory that begins with these tensors, which stay as they are for the next fit."""
    return lambda rows, classes: {name: tensor.clone() for name, tensor in start.items()}


def collecting(labels: SoftLabels, weights: Tensor, *, first: float) -> Method:
    """The same, and the sum of the outputs (n, c) from the share `first` of the run on.

    Rows that weigh nothing are looked at without being learnt: the authors' first stage, whose
    mean outputs are the targets of the second (paper Sec. 6.1, NLNL's code).
    """
    fixed = on_labels(labels, weights)

    def step(batch: Outputs, context: StepContext) -> StepResult:
        if context.progress >= first:
            probs = batch.logits.detach().softmax(dim=1)
            context.memory["said"].index_add_(0, batch.index, probs)
        return fixed.step(batch, context)

    def memory(rows: int, classes: int) -> Memory:
        return {**fixed.memory(rows, classes), "said": torch.zeros(rows, classes)}

    return Method(step=step, memory=memory)


def inverse_frequency(targets: Tensor, is_used: Tensor) -> Tensor:
    """The authors' weights (n,): most rows of a class / rows of this one, by the arg-max.

    targets  (n, c)
    is_used  (n,) bool: other rows weigh nothing and do not count
    """
    best = targets.argmax(dim=1)
    count = torch.bincount(best[is_used], minlength=targets.shape[1]).float()
    weight = count.max() / count.clamp(min=1)
    return torch.where(is_used, weight[best], 0.0)
