"""The methods: each is one training step from logits to a loss, all under the same loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from labelclean.config import TrainConfig
from labelclean.learning import losses


@dataclass(frozen=True)
class StepResult:
    """loss: scalar to minimise; taken: share of the batch that PL+ trained on, if it ran."""

    loss: Tensor
    taken: Tensor | None = None


@dataclass(frozen=True)
class Moment:
    """When and with what a step happens.

    progress       share of the run that is done, [0, 1)
    class_weights  (c,) factor of the loss of an image with that given label
    """

    progress: float
    config: TrainConfig
    class_weights: Tensor
    generator: torch.Generator


Step = Callable[[Tensor, Tensor, Moment], StepResult]  # logits (b, c), given labels (b,), moment


def ce(logits: Tensor, labels: Tensor, moment: Moment) -> StepResult:
    """Plain cross-entropy on the given labels, paper Eq. 1: the baseline."""
    weight = moment.class_weights[labels]
    return StepResult((weight * losses.cross_entropy(logits, labels)).mean())


def nl(logits: Tensor, labels: Tensor, moment: Moment) -> StepResult:
    """Negative learning, paper Eq. 2, the first stage of NLNL."""
    weight = moment.class_weights[labels]
    per_image = _negative(logits, labels, moment, is_plus=False)
    return StepResult(moment.config.nl_scale * (weight * per_image).mean())


def jnpl(logits: Tensor, labels: Tensor, moment: Moment) -> StepResult:
    """NL+ and λ PL+ together, paper Eq. 4, after a start by cross-entropy.

    From random weights NL+ & PL+ alone tend to one constant class, so cross-entropy gives the
    first direction and yields to NL+ over the ramp; PL+ joins at pl_start. With start, ramp
    and pl_start at 0 this is the paper's method from the first step.
    """
    config = moment.config
    weight = moment.class_weights[labels]
    share = _risen(moment.progress, config.start, config.ramp)
    loss = logits.new_zeros((), dtype=torch.float32)
    if share < 1:
        loss = loss + (1 - share) * (weight * losses.cross_entropy(logits, labels)).mean()
    if share > 0:
        per_image = _negative(logits, labels, moment, is_plus=True)
        loss = loss + share * config.nl_scale * (weight * per_image).mean()
    if config.pl_weight == 0 or moment.progress < config.pl_start:
        return StepResult(loss)
    predicted, is_taken = losses.select_pl_plus(logits, moment.generator)
    per_image = losses.pl_plus(logits, predicted) * is_taken
    mean_taken = per_image.sum() / is_taken.sum().clamp(min=1)  # Algorithm 1; none taken: zero
    return StepResult(loss + config.pl_weight * mean_taken, is_taken.float().mean())


METHODS: dict[str, Step] = {"jnpl": jnpl, "nl": nl, "ce": ce}


def drawn_per_image(complementary: str, num_classes: int) -> int:
    """How many ȳ a step draws; "paper": c(c - 1)/90, which is 1 for CIFAR-10 and 110 for -100."""
    if complementary == "paper":
        return max(1, round(num_classes * (num_classes - 1) / 90))
    return int(complementary)


def class_weights(labels: Tensor, num_classes: int) -> Tensor:
    """NLNL's weights, max count / count of the given label, scaled to a mean of 1 per image.

    The scaling keeps the learning rate's meaning when classes are uneven.

    labels   (t,)  int64: given labels of the training rows
    returns  (c,)  0 for a class without rows
    """
    count = torch.bincount(labels, minlength=num_classes).float()
    weight = torch.where(count > 0, count.max() / count.clamp(min=1), 0.0)
    return weight * len(labels) / (weight * count).sum()


def _negative(logits: Tensor, labels: Tensor, moment: Moment, *, is_plus: bool) -> Tensor:
    complementary = moment.config.complementary
    if complementary == "all":
        return (losses.nl_plus_all if is_plus else losses.nl_all)(logits, labels)
    num_classes = logits.shape[1]
    count = drawn_per_image(complementary, num_classes)
    drawn = losses.draw_complementary(labels, num_classes, count, moment.generator)
    return (losses.nl_plus if is_plus else losses.nl)(logits, drawn)


def _risen(progress: float, start: float, ramp: float) -> float:
    """0 until start, then linearly to 1 over ramp."""
    if progress < start:
        return 0.0
    return 1.0 if ramp == 0 else min(1.0, (progress - start) / ramp)
