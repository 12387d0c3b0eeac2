"""Two networks that choose images by a small loss: Co-teaching and JoCoR."""

from __future__ import annotations

from torch import Tensor

from labelclean.learning import losses, robust_losses
from labelclean.learning.methods.base import Outputs, StepContext, StepResult, risen

# R(T) rises over 10 of the authors' 200 epochs; in a short run over a quarter at most, since
# ten epochs would be half of it.
RISE_EPOCHS, RISE_SHARE = 10, 0.25
# λ of JoCoR. The authors give 0.5 to 0.9, to be chosen anew for networks with batch norm; 0.9,
# their best for CIFAR-10, slows short runs down: 2,000 CIFAR-10 images, symm 40 %, 8 epochs of
# the quick preset, one seed: average precision 73 % with 0.5, 55 % with 0.9 not divided by
# 1 - λ, and with 0.9 divided a collapse.
AGREEMENT = 0.5


def co_teaching(batch: Outputs, context: StepContext) -> StepResult:
    """Each network learns from the images that have the smallest loss in the other one.

    Han et al. 2018, Algorithm 1: 1 - R(T) of the batch, see forget_rate.
    """
    first, second = (losses.cross_entropy(logits, batch.labels) for logits in batch.each)
    count = _kept(len(batch.labels), context)
    for_first, for_second = smallest(second, count), smallest(first, count)
    loss = context.weighted(first, batch.labels)[for_first].mean()
    loss = loss + context.weighted(second, batch.labels)[for_second].mean()
    return StepResult(loss, loss.new_full((), count / len(batch.labels)))


def jocor(batch: Outputs, context: StepContext) -> StepResult:
    """Both networks learn from the images with the smallest joint loss, Wei et al. 2020.

    (1 - λ)(CE of the first + CE of the second) + λ (KL of either from the other), over
    1 - R(T) of the batch as in Co-teaching; divided by 1 - λ, so that cross-entropy counts as
    in the other methods: SGD feels that factor, the authors' Adam does not.
    """
    first, second = batch.each
    entropies = losses.cross_entropy(first, batch.labels)
    entropies = entropies + losses.cross_entropy(second, batch.labels)
    divergence = robust_losses.symmetric_divergence(first, second)
    joint = entropies + AGREEMENT / (1 - AGREEMENT) * divergence
    count = _kept(len(batch.labels), context)
    loss = context.weighted(joint, batch.labels)[smallest(joint, count)].mean()
    return StepResult(loss, loss.new_full((), count / len(batch.labels)))


def forget_rate(context: StepContext) -> float:
    """R(T), the share of a batch that is left out: rises linearly to the noise rate.

    The noise rate is that of all labels: half of the nominal one for CIFAR-10 with asymmetric
    noise, which is what the authors of JoCoR use there.

    Raises ValueError if the run has no noise rate.
    """
    config = context.config
    if config.noise_rate is None:
        raise ValueError(f"{config.method} has no noise_rate")
    rise = min(RISE_EPOCHS / (config.epochs or 1), RISE_SHARE)
    return config.noise_rate * risen(context.progress, 0.0, rise)


def smallest(per_image: Tensor, count: int) -> Tensor:
    """Places (count,) of the smallest of (b,) losses."""
    return per_image.detach().topk(count, largest=False, sorted=False).indices


def _kept(images: int, context: StepContext) -> int:
    """Rounded down, as the authors do: of few images more are left out rather than none."""
    return max(1, int((1 - forget_rate(context)) * images + 1e-6))  # 1e-6: rounding of floats
