"""NLNL: negative learning in three stages, each on fewer images than the one before."""

from __future__ import annotations

import torch
from torch import Tensor

from labelclean.learning import losses
from labelclean.learning.methods.base import Memory, Outputs, StepContext, StepResult
from labelclean.learning.methods.jnpl import negative

EPOCHS = 10  # epochs over which the authors average the confidence that decides
CONFIDENT = 0.5  # γ of Kim et al. 2019: p_y from which SelPL trusts a label


def memory(rows: int, classes: int) -> Memory:
    """p_y of every row in its last epochs, NaN before the first one."""
    return {"p_given": torch.full((rows, EPOCHS), torch.nan)}


def nlnl(batch: Outputs, context: StepContext) -> StepResult:
    """NL, then SelNL (p_y > 1/c), then SelPL (p_y > 0.5), Kim et al. 2019.

    A third of the run each: the authors give 720 epochs to each. p_y is the mean of what the
    network said of the row in its last ten epochs (as in the authors' code, the paper has
    no such detail), or in the last score_epochs where these are fewer. The mean loss is that
    over the images taken.
    """
    labels, num_classes = batch.labels, batch.logits.shape[1]
    p_given = batch.logits.detach().softmax(dim=1).gather(1, labels[:, None])[:, 0]
    confidence = _remembered(batch.index, p_given, context)
    if context.progress < 1 / 3:
        is_taken = torch.ones_like(confidence, dtype=torch.bool)
    elif context.progress < 2 / 3:
        is_taken = confidence > 1 / num_classes
    else:
        is_taken = confidence > CONFIDENT
    if context.progress < 2 / 3:
        scale = context.config.nl_scale
        per_image = scale * negative(batch.logits, labels, context, is_plus=False)
    else:
        per_image = losses.cross_entropy(batch.logits, labels)
    per_image = context.weighted(per_image, labels) * is_taken
    loss = per_image.sum() / is_taken.sum().clamp(min=1)  # none taken: zero
    return StepResult(loss, is_taken.float().mean())


def _remembered(index: Tensor, p_given: Tensor, context: StepContext) -> Tensor:
    """The mean p_y (b,) of the rows in the epochs before this one, which is then noted too.

    In the first epoch of a row: what the network says now.
    """
    history = context.memory["p_given"]
    epochs = min(EPOCHS, context.config.score_epochs)
    epoch = int(context.progress * (context.config.epochs or 1) + 1e-6)  # 1e-6: rounding
    mean = history[index, :epochs].nanmean(dim=1)
    history[index, epoch % epochs] = p_given
    return torch.where(mean.isnan(), p_given, mean)
