"""The losses of JNPL and its baselines: pure functions, one value per image, the caller reduces."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Positive learning, paper Eq. 1: -log p_y.

    logits   (b, c)  any float dtype; computed in float32
    labels   (b,)    int64 in [0, c)
    returns  (b,)    nats per image
    """
    return F.cross_entropy(logits.float(), labels, reduction="none")


def nl(logits: Tensor, complementary: Tensor) -> Tensor:
    """Negative learning, paper Eq. 2: -log(1 - p_ȳ), summed over the ȳ of an image.

    logits         (b, c)  any float dtype; computed in float32
    complementary  (b, k)  int64 in [0, c): classes the image is said not to be
    returns        (b,)    nats per image; several ȳ are summed as in NLNL, not averaged
    """
    return _over_drawn(logits, complementary, power=0.0)


def nl_plus(logits: Tensor, complementary: Tensor) -> Tensor:
    """NL+, paper Eq. 5: -(1 - p_ȳ) log(1 - p_ȳ), summed over the ȳ of an image.

    The factor is "a constant weighting factor" (Sec. 4.1), so it is detached and the
    gradient is that of Eq. 6. Shapes as in nl.
    """
    return _over_drawn(logits, complementary, power=1.0)


def nl_all(logits: Tensor, labels: Tensor, power: float = 0.0) -> Tensor:
    """NL summed over all c - 1 complementary labels: c - 1 times its expectation over ȳ.

    Each term is weighted by (1 - p_ȳ)^power, held constant: power 0 is NL (Eq. 2),
    power 1 is NL+ (Eq. 5). One softmax serves all classes, without sampling noise.

    logits   (b, c)
    labels   (b,)    int64 in [0, c): the given labels
    returns  (b,)    nats per image
    """
    terms = _weighted_terms(logits, power)
    return terms.sum(dim=1) - terms.gather(1, labels[:, None])[:, 0]


def nl_plus_all(logits: Tensor, labels: Tensor) -> Tensor:
    """NL+ summed over all c - 1 complementary labels; shapes as in nl_all."""
    return nl_all(logits, labels, power=1.0)


def pl_plus(logits: Tensor, predicted: Tensor, n_max: int = 3) -> Tensor:
    """PL+, paper Eq. 7: -prod_{n=0..N} (1 + p_ŷ^(2^n)) log p_ŷ, the product held constant.

    The gradient for f_ŷ is that of Eq. 8: -(1 - p_ŷ^(2^(N+1))).

    logits     (b, c)
    predicted  (b,)    int64: ŷ, the class of maximum probability
    n_max              N of the paper, 3 throughout Sec. 5 and 6
    returns    (b,)    nats per image
    """
    log_p = logits.float().log_softmax(dim=1).gather(1, predicted[:, None])[:, 0]
    p = log_p.detach().exp()
    weight = torch.ones_like(p)
    for n in range(n_max + 1):
        weight = weight * (1 + p ** (2**n))
    return -weight * log_p


def select_pl_plus(logits: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """The images that PL+ trains on and their labels, paper Algorithm 1.

    A candidate has p_i < 1/c for every class but ŷ; it is taken with probability p_ŷ.

    logits     (b, c)
    generator          on the device of logits
    returns    (b,) int64 ŷ and (b,) bool: taken
    """
    probs = logits.detach().float().softmax(dim=1)
    top = probs.topk(2, dim=1)
    is_candidate = top.values[:, 1] < 1 / probs.shape[1]
    drawn = torch.rand(len(probs), device=probs.device, generator=generator)
    return top.indices[:, 0], is_candidate & (drawn < top.values[:, 0])


def draw_complementary(
    labels: Tensor, num_classes: int, count: int, generator: torch.Generator | None
) -> Tensor:
    """Complementary labels, uniform over the classes other than the given one.

    labels   (b,)        int64 in [0, c)
    returns  (b, count)  int64; drawn independently, so a class can come twice (NLNL does so)
    """
    shift = torch.randint(
        1, num_classes, (len(labels), count), device=labels.device, generator=generator
    )
    return (labels[:, None] + shift) % num_classes


def log_complement(logits: Tensor) -> Tensor:
    """log(1 - p_k) of every class, finite where float32 rounds p_k to 1.

    Only the largest class can have 1 - p_k too small for log1p; for it the other
    classes are summed in log space.

    logits   (b, c)
    returns  (b, c)  at most 0
    """
    log_p = logits.float().log_softmax(dim=1)
    top = log_p.argmax(dim=1, keepdim=True)
    others = log_p.scatter(1, top, float("-inf")).logsumexp(dim=1, keepdim=True)
    # p of the top class is replaced before log1p: its infinite slope would turn 0 * inf into NaN
    below_top = torch.log1p(-log_p.exp().scatter(1, top, 0.0))
    return below_top.scatter(1, top, others)


def _weighted_terms(logits: Tensor, power: float) -> Tensor:
    log_not = log_complement(logits)
    return -(power * log_not.detach()).exp() * log_not


def _over_drawn(logits: Tensor, complementary: Tensor, power: float) -> Tensor:
    if complementary.ndim != 2 or len(complementary) != len(logits):
        raise ValueError(f"complementary is {tuple(complementary.shape)}, not ({len(logits)}, k)")
    return _weighted_terms(logits, power).gather(1, complementary).sum(dim=1)
