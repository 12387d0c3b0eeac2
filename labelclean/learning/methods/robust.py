"""Methods that are a loss and nothing else: GCE and the Active Passive Losses."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from labelclean.learning import robust_losses
from labelclean.learning.methods.base import Outputs, StepContext, StepResult


def gce(batch: Outputs, context: StepContext) -> StepResult:
    """Generalised cross-entropy with the authors' q = 0.7, without their truncated variant.

    The truncated one also prunes images with p_y below 0.5 from time to time.
    """
    per_image = robust_losses.generalised_cross_entropy(batch.logits, batch.labels)
    return StepResult(context.weighted(per_image, batch.labels).mean())


def nce_rce(batch: Outputs, context: StepContext) -> StepResult:
    """α NCE + β RCE, Ma et al. 2020."""
    return _active_passive(robust_losses.normalised_cross_entropy, batch, context)


def nfl_rce(batch: Outputs, context: StepContext) -> StepResult:
    """α NFL + β RCE, Ma et al. 2020, with γ = 0.5."""
    return _active_passive(robust_losses.normalised_focal, batch, context)


def active_passive_weights(num_classes: int) -> tuple[float, float]:
    """α and β of the authors: 1 and 1 for CIFAR-10, 10 and 0.1 for CIFAR-100."""
    return (1.0, 1.0) if num_classes <= 10 else (10.0, 0.1)


def _active_passive(
    active: Callable[[Tensor, Tensor], Tensor], batch: Outputs, context: StepContext
) -> StepResult:
    alpha, beta = active_passive_weights(batch.logits.shape[1])
    passive = robust_losses.reverse_cross_entropy(batch.logits, batch.labels)
    per_image = alpha * active(batch.logits, batch.labels) + beta * passive
    return StepResult(context.weighted(per_image, batch.labels).mean())
