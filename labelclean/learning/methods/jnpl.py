"""JNPL and what it is made of: cross-entropy, NL, NL+, and NL+ with PL+."""

from __future__ import annotations

from torch import Tensor

from labelclean.learning import losses
from labelclean.learning.methods.base import Outputs, StepContext, StepResult, risen


def ce(batch: Outputs, context: StepContext) -> StepResult:
    """Plain cross-entropy on the given labels, paper Eq. 1: the baseline."""
    per_image = losses.cross_entropy(batch.logits, batch.labels)
    return StepResult(context.weighted(per_image, batch.labels).mean())


def nl(batch: Outputs, context: StepContext) -> StepResult:
    """Negative learning, paper Eq. 2, the first stage of NLNL."""
    per_image = negative(batch.logits, batch.labels, context, is_plus=False)
    return StepResult(context.config.nl_scale * context.weighted(per_image, batch.labels).mean())


def nl_plus(batch: Outputs, context: StepContext) -> StepResult:
    """NL+ alone, paper Sec. 4.1, after a start by cross-entropy as in jnpl."""
    return StepResult(_start_then_nl_plus(batch, context))


def jnpl(batch: Outputs, context: StepContext) -> StepResult:
    """NL+ and λ PL+ together, paper Eq. 4, after a start by cross-entropy.

    From random weights NL+ & PL+ alone tend to one constant class, so cross-entropy gives the
    first direction and yields to NL+ over the ramp; PL+ joins at pl_start. With start, ramp
    and pl_start at 0 this is the paper's method from the first step.
    """
    config, logits = context.config, batch.logits
    loss = _start_then_nl_plus(batch, context)
    if config.pl_weight == 0 or context.progress < config.pl_start:
        return StepResult(loss)
    predicted, is_taken = losses.select_pl_plus(logits, context.generator)
    per_image = losses.pl_plus(logits, predicted) * is_taken
    mean_taken = per_image.sum() / is_taken.sum().clamp(min=1)  # Algorithm 1; none taken: zero
    return StepResult(loss + config.pl_weight * mean_taken, is_taken.float().mean())


def _start_then_nl_plus(batch: Outputs, context: StepContext) -> Tensor:
    config, logits, labels = context.config, batch.logits, batch.labels
    share = risen(context.progress, config.start, config.ramp)
    loss = logits.new_zeros(())
    if share < 1:
        per_image = losses.cross_entropy(logits, labels)
        loss = loss + (1 - share) * context.weighted(per_image, labels).mean()
    if share > 0:
        per_image = negative(logits, labels, context, is_plus=True)
        loss = loss + share * config.nl_scale * context.weighted(per_image, labels).mean()
    return loss


def drawn_per_image(complementary: str, num_classes: int) -> int:
    """How many ȳ a step draws; "paper": c(c - 1)/90, which is 1 for CIFAR-10 and 110 for -100."""
    if complementary == "paper":
        return max(1, round(num_classes * (num_classes - 1) / 90))
    return int(complementary)


def negative(logits: Tensor, labels: Tensor, context: StepContext, *, is_plus: bool) -> Tensor:
    """NL or NL+ per image (b,), over all complementary labels or drawn ones."""
    complementary = context.config.complementary
    if complementary == "all":
        return (losses.nl_plus_all if is_plus else losses.nl_all)(logits, labels)
    num_classes = logits.shape[1]
    count = drawn_per_image(complementary, num_classes)
    drawn = losses.draw_complementary(labels, num_classes, count, context.generator)
    return (losses.nl_plus if is_plus else losses.nl)(logits, drawn)
