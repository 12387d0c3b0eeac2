"""Two networks that choose images by a small loss: Co-teaching and JoCoR."""

from __future__ import annotations

from torch import Tensor

from labelclean.learning import losses, robust_losses
from labelclean.learning.methods.base import Moment, Outputs, StepResult, risen

# R(T) rises over 10 of the authors' 200 epochs; in a short run over a quarter at most, since
# ten epochs would be half of it.
RISE_EPOCHS, RISE_SHARE = 10, 0.25


def co_teaching(batch: Outputs, moment: Moment) -> StepResult:
    """Each network learns from the images that have the smallest loss in the other one.

    Han et al. 2018, Algorithm 1: 1 - R(T) of the batch, see forget_rate.
    """
    first, second = (losses.cross_entropy(logits, batch.labels) for logits in batch.each)
    count = _kept(len(batch.labels), moment)
    for_first, for_second = smallest(second, count), smallest(first, count)
    weight = moment.class_weights[batch.labels]
    loss = (weight * first)[for_first].mean() + (weight * second)[for_second].mean()
    return StepResult(loss, loss.new_full((), count / len(batch.labels)))


def jocor(batch: Outputs, moment: Moment) -> StepResult:
    """Both networks learn from the images with the smallest joint loss, Wei et al. 2020.

    (1 - λ)(CE of the first + CE of the second) + λ (KL of either from the other), over
    1 - R(T) of the batch as in Co-teaching.
    """
    first, second = batch.each
    agreeing = agreement_weight(first.shape[1])
    entropies = losses.cross_entropy(first, batch.labels)
    entropies = entropies + losses.cross_entropy(second, batch.labels)
    divergence = robust_losses.symmetric_divergence(first, second)
    joint = (1 - agreeing) * entropies + agreeing * divergence
    count = _kept(len(batch.labels), moment)
    weight = moment.class_weights[batch.labels]
    loss = (weight * joint)[smallest(joint, count)].mean()
    return StepResult(loss, loss.new_full((), count / len(batch.labels)))


def agreement_weight(num_classes: int) -> float:
    """λ of JoCoR: the authors' 0.9 for CIFAR-10, 0.85 for CIFAR-100."""
    return 0.9 if num_classes <= 10 else 0.85


def forget_rate(moment: Moment) -> float:
    """R(T), the share of a batch that is left out: rises linearly to the noise rate.

    The noise rate is that of all labels: half of the nominal one for CIFAR-10 with asymmetric
    noise, which is what the authors of JoCoR use there.

    Raises ValueError if the run has no noise rate.
    """
    config = moment.config
    if config.noise_rate is None:
        raise ValueError(f"{config.method} has no noise_rate")
    rise = min(RISE_EPOCHS / (config.epochs or 1), RISE_SHARE)
    return config.noise_rate * risen(moment.progress, 0.0, rise)


def smallest(per_image: Tensor, count: int) -> Tensor:
    """Places (count,) of the smallest of (b,) losses."""
    return per_image.detach().topk(count, largest=False, sorted=False).indices


def _kept(images: int, moment: Moment) -> int:
    """Rounded down, as the authors do: of few images more are left out rather than none."""
    return max(1, int((1 - forget_rate(moment)) * images + 1e-6))  # 1e-6: rounding of floats
