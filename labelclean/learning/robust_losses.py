"""Losses of other methods for noisy labels: pure functions, one value per image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from labelclean.learning.losses import log_complement

NEARLY_ONE = 1 - 1e-4  # where ELR's inner product is held, so that its logarithm stays finite


def generalised_cross_entropy(logits: Tensor, labels: Tensor, q: float = 0.7) -> Tensor:
    """GCE, Zhang & Sabuncu 2018: (1 - p_y^q) / q, not truncated.

    q near 0 is cross-entropy, q = 1 the mean absolute error.

    logits   (b, c)  any float dtype; computed in float32
    labels   (b,)    int64 in [0, c)
    returns  (b,)    in [0, 1 / q)
    """
    return (1 - (q * _log_p_given(logits, labels)).exp()) / q


def normalised_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """NCE, Ma et al. 2020: log p_y / sum_k log p_k.

    logits   (b, c)
    labels   (b,)    int64 in [0, c)
    returns  (b,)    in [0, 1]
    """
    log_p = logits.float().log_softmax(dim=1)
    return log_p.gather(1, labels[:, None])[:, 0] / log_p.sum(dim=1)


def normalised_focal(logits: Tensor, labels: Tensor, gamma: float = 0.5) -> Tensor:
    """NFL, Ma et al. 2020: the focal loss of y over the sum of those of all classes.

    The focal loss of class k is -(1 - p_k)^γ log p_k. The gradient is that of the whole
    expression, while the authors' code holds (1 - p_k)^γ constant.

    logits   (b, c)
    labels   (b,)    int64 in [0, c)
    returns  (b,)    in [0, 1]
    """
    # in log space, since the slope of (1 - p)^γ is infinite at p = 1
    focal = (gamma * log_complement(logits)).exp() * logits.float().log_softmax(dim=1)
    return focal.gather(1, labels[:, None])[:, 0] / focal.sum(dim=1)


def reverse_cross_entropy(logits: Tensor, labels: Tensor, log_zero: float = -4.0) -> Tensor:
    """RCE, Wang et al. 2019: -sum_k p_k log y_k, with log 0 = A; that is -A (1 - p_y).

    logits    (b, c)
    labels    (b,)    int64 in [0, c)
    log_zero          A: -4 in Ma et al. 2020 (in their code log 1e-4, about -9.2)
    returns   (b,)    in [0, -A]
    """
    return -log_zero * (1 - _log_p_given(logits, labels).exp())


def forward_corrected(logits: Tensor, labels: Tensor, transition: Tensor) -> Tensor:
    """Forward correction, Patrini et al. 2017, Theorem 2: -log (Tᵀ p)_y.

    logits      (b, c)
    labels      (b,)    int64 in [0, c)
    transition  (c, c)  T: row is the true class, column the given one, rows sum to 1
    returns     (b,)    nats per image
    """
    log_p = logits.float().log_softmax(dim=1)
    return -(log_p + transition.T[labels].log()).logsumexp(dim=1)


def symmetric_divergence(first: Tensor, second: Tensor) -> Tensor:
    """Co-regularisation of JoCoR, Wei et al. 2020: KL(p ‖ q) + KL(q ‖ p).

    first, second  (b, c)  logits of two networks; both receive the gradient
    returns        (b,)    nats per image
    """
    log_p, log_q = first.float().log_softmax(dim=1), second.float().log_softmax(dim=1)
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(dim=1)


def early_learning(logits: Tensor, targets: Tensor) -> Tensor:
    """Regulariser of ELR, Liu et al. 2020: log(1 - <p, t>), the targets held constant.

    logits   (b, c)
    targets  (b, c)  t: what the network said of the images so far, sums of at most 1
    returns  (b,)    nats per image, at most 0
    """
    agreement = (logits.float().softmax(dim=1) * targets).sum(dim=1)
    return torch.log1p(-agreement.clamp(max=NEARLY_ONE))


def _log_p_given(logits: Tensor, labels: Tensor) -> Tensor:
    return -F.cross_entropy(logits.float(), labels, reduction="none")
