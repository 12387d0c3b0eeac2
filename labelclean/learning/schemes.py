"""Schemes: ways to train a classifier on a report, as Methods whose memory holds targets."""

from __future__ import annotations

import torch
from torch import Tensor

from labelclean.learning.methods import Method, Moment, Outputs, StepResult
from labelclean.learning.methods.base import Memory, risen

LAST = 10  # epochs whose outputs the authors average into the targets of the second stage,
LAST_SHARE = 0.25  # of 480; of a short stage no more than this share: its first outputs know little
REFINE_START, REFINE_RAMP = 0.3, 0.3  # shares of the run: when the net's own opinion joins
KEPT = 0.7  # of what was held of a row, at each new look at it
FLOOR = 0.02  # spread evenly over the classes of an uncertain prior: nothing is ruled out


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

    def step(batch: Outputs, moment: Moment) -> StepResult:
        memory = moment.memory
        loss = soft_cross_entropy(batch.logits, memory["targets"][batch.index])
        return StepResult(weighted_mean(loss, memory["weights"][batch.index]))

    def memory(rows: int, classes: int) -> Memory:
        return {"targets": targets.clone(), "weights": weights.clone()}

    return Method(step=step, memory=memory)


def collecting(targets: Tensor, weights: Tensor, *, first: float) -> Method:
    """The same, and the sum of the outputs (n, c) from the share `first` of the run on.

    Rows that weigh nothing are looked at without being learnt: the authors' first stage, whose
    mean outputs are the targets of the second (paper Sec. 6.1, NLNL's code).
    """
    fixed = on_targets(targets, weights)

    def step(batch: Outputs, moment: Moment) -> StepResult:
        if moment.progress >= first:
            probs = batch.logits.detach().softmax(dim=1)
            moment.memory["said"].index_add_(0, batch.index, probs)
        return fixed.step(batch, moment)

    def memory(rows: int, classes: int) -> Memory:
        return {**fixed.memory(rows, classes), "said": torch.zeros(rows, classes)}

    return Method(step=step, memory=memory)


def refining(prior: Tensor, weights: Tensor) -> Method:
    """What the report holds of each row, joined more and more by what the net says of it.

    prior    (n, c)  probability of each class: a certain row stays as it is
    weights  (n,)

    The net's opinion is the running mean of its outputs for a row, over epochs and
    augmentations (temporal ensembling, Laine & Aila 2017). It counts as independent evidence, so
    the target is the product of both: a row that the report is sure of keeps its label, one that
    it isn't goes where the net sends it.
    """

    def step(batch: Outputs, moment: Moment) -> StepResult:
        memory, index = moment.memory, batch.index
        power = risen(moment.progress, REFINE_START, REFINE_RAMP)
        said = memory["said"][index]
        targets = memory["prior"][index]
        if power > 0:
            targets = targets * said.clamp(min=1e-6) ** power
            targets = targets / targets.sum(dim=1, keepdim=True).clamp(min=1e-12)
        loss = weighted_mean(soft_cross_entropy(batch.logits, targets), memory["weights"][index])
        probs = batch.logits.detach().softmax(dim=1)
        memory["said"][index] = KEPT * said + (1 - KEPT) * probs
        return StepResult(loss)

    def memory(rows: int, classes: int) -> Memory:
        uniform = torch.full((rows, classes), 1 / classes)
        is_certain = prior.amax(dim=1, keepdim=True) >= 1
        floored = torch.where(is_certain, prior, (1 - FLOOR) * prior + FLOOR / classes)
        return {"prior": floored, "weights": weights.clone(), "said": uniform}

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
