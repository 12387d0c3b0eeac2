"""Forward correction: the loss looks through the transition matrix of the noise."""

from __future__ import annotations

import torch
from torch import Tensor

from labelclean.learning import losses, robust_losses
from labelclean.learning.methods.base import Memory, Outputs, StepContext, StepResult

SAMPLE = 50_000  # rows that the matrix is estimated from: more add memory, not precision
OUTLIERS = 3  # % of the highest probabilities of a class that are not believed
HALF = 0.5  # share of cross-entropy where config.start has none: the authors train twice


def memory(rows: int, classes: int) -> Memory:
    """The last predictions on every stride-th row, -1 before, and the matrix.

    The last row of probs takes what is not kept, so that no step has to wait for a count.
    """
    stride = -(-rows // SAMPLE)
    return {
        "probs": torch.full((-(-rows // stride) + 1, classes), -1.0),
        "stride": torch.tensor(stride),
        "transition": torch.eye(classes),
    }


def forward(batch: Outputs, context: StepContext) -> StepResult:
    """Cross-entropy, then the corrected loss with an estimated matrix, Patrini et al. 2017.

    The authors train one network by cross-entropy for the estimate and another one with it;
    here the same network goes on after the start, as every method has the same time.
    """
    start = context.config.start or HALF
    if context.progress < start:
        _note(batch, context.memory)
        per_image = losses.cross_entropy(batch.logits, batch.labels)
    else:
        matrix = context.memory["transition"]
        if context.is_first_from(start):
            matrix.copy_(estimated(context.memory["probs"][:-1]))
        per_image = robust_losses.forward_corrected(batch.logits, batch.labels, matrix)
    return StepResult(context.weighted(per_image, batch.labels).mean())


def estimated(probs: Tensor) -> Tensor:
    """T from anchor points: row i is what is said of an image that is surely of class i.

    In the paper that image has the largest p_i below its 97th percentile, for
    CIFAR-100 the largest of all. So here the largest one for each class whose share is less than
    twice the 3 % above the percentile, whose images might all be there.

    probs    (m, c)  rows of -1: not known
    returns  (c, c)  row is the true class, column the given one
    """
    seen = (probs[:, 0] >= 0).sum()
    # ascending, the percentile (numpy's "higher") is at place ceil(0.97 (seen - 1))
    below = seen - ((100 - OUTLIERS) * (seen - 1) + 99) // 100
    is_frequent = probs.clamp(min=0).sum(dim=0) * 100 >= 2 * OUTLIERS * seen
    place = torch.where(is_frequent, below, 0)
    order = probs.sort(dim=0, descending=True).indices
    return probs[order.gather(0, place[None])[0]]


def _note(batch: Outputs, memory: Memory) -> None:
    probs, stride = memory["probs"], memory["stride"]
    is_kept = batch.index % stride == 0
    place = torch.where(is_kept, batch.index // stride, len(probs) - 1)
    probs[place] = batch.logits.detach().softmax(dim=1)
