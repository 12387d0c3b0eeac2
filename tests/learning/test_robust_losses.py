"""The losses of other methods against closed-form gradients and plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from labelclean.learning import losses, robust_losses

LABELS = torch.arange(8) % 5


def _logits(seed: int = 0, scale: float = 2.0) -> Tensor:
    drawn = torch.randn(8, 5, generator=torch.Generator().manual_seed(seed))
    return (scale * drawn).double().requires_grad_()


def _gradient(loss: Tensor, logits: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    return gradient


def _close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-5, atol=1e-6)


def _transition() -> Tensor:
    drawn = torch.rand(5, 5, generator=torch.Generator().manual_seed(3)) + 2 * torch.eye(5)
    return drawn / drawn.sum(dim=1, keepdim=True)


def test_gce_is_its_formula_and_its_gradient_that_of_cross_entropy_times_p_to_the_q():
    logits = _logits()
    p = logits.detach().softmax(dim=1)
    by_hand = [(1 - p[k, y].item() ** 0.7) / 0.7 for k, y in enumerate(LABELS.tolist())]
    found = robust_losses.generalised_cross_entropy(logits, LABELS)
    _close(found, torch.tensor(by_hand))
    one_hot = torch.nn.functional.one_hot(LABELS, 5)
    p_y = p.gather(1, LABELS[:, None])
    _close(_gradient(found, logits), p_y**0.7 * (p - one_hot))


def test_gce_lies_between_cross_entropy_and_the_mean_absolute_error():
    logits = _logits().detach()
    p_y = logits.softmax(dim=1).gather(1, LABELS[:, None])[:, 0]
    _close(robust_losses.generalised_cross_entropy(logits, LABELS, q=1.0), 1 - p_y)
    near = robust_losses.generalised_cross_entropy(logits.float(), LABELS, q=1e-3)
    torch.testing.assert_close(near, losses.cross_entropy(logits, LABELS), rtol=0.01, atol=0.001)


def test_nce_is_log_p_y_over_the_sum_of_all_log_p():
    logits = _logits()
    p = logits.detach().softmax(dim=1).tolist()
    by_hand = [
        math.log(row[y]) / sum(map(math.log, row))
        for row, y in zip(p, LABELS.tolist(), strict=True)
    ]
    _close(robust_losses.normalised_cross_entropy(logits, LABELS), torch.tensor(by_hand))


def _focal_by_hand(logits: Tensor, label: int, gamma: float) -> Tensor:
    """For one image, differentiable, without logarithms of 1 - p."""
    exponentials = [each.exp() for each in logits.unbind()]
    p = [each / sum(exponentials) for each in exponentials]
    focal = [-((1 - each) ** gamma) * each.log() for each in p]
    found: Tensor = focal[label] / sum(focal)
    return found


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_nfl_and_its_gradient_are_those_of_the_formula(gamma: float):
    logits = _logits()
    by_hand = torch.stack(
        [_focal_by_hand(row, y, gamma) for row, y in zip(logits, LABELS.tolist(), strict=True)]
    )
    found = robust_losses.normalised_focal(logits, LABELS, gamma)
    _close(found, by_hand)
    _close(_gradient(found, logits), _gradient(by_hand, logits))


@pytest.mark.parametrize(
    "loss", [robust_losses.normalised_cross_entropy, robust_losses.normalised_focal]
)
def test_a_normalised_loss_sums_to_one_over_all_labels(loss: Callable[[Tensor, Tensor], Tensor]):
    logits = _logits().detach()
    total = sum(loss(logits, torch.full((8,), y)) for y in range(5))
    _close(total, torch.ones(8))


def test_rce_is_the_sum_of_p_times_minus_a_over_the_other_classes():
    logits = _logits()
    p = logits.detach().softmax(dim=1)
    for log_zero in (-4.0, -9.0):
        by_hand = [
            -sum(p[k, j].item() * (0.0 if j == y else log_zero) for j in range(5))
            for k, y in enumerate(LABELS.tolist())
        ]
        found = robust_losses.reverse_cross_entropy(logits, LABELS, log_zero)
        _close(found, torch.tensor(by_hand))


def test_forward_correction_looks_at_the_given_label_through_the_matrix():
    logits, matrix = _logits(), _transition()
    p = logits.detach().softmax(dim=1)
    by_hand = [
        -math.log(sum(matrix[i, y].item() * p[k, i].item() for i in range(5)))
        for k, y in enumerate(LABELS.tolist())
    ]
    found = robust_losses.forward_corrected(logits, LABELS, matrix)
    _close(found, torch.tensor(by_hand))
    # d/df_i = p_i - p_i T_iy / (Tᵀ p)_y: what the label says after the noise is known
    reached = p * matrix.T[LABELS]
    _close(_gradient(found, logits), p - reached / reached.sum(dim=1, keepdim=True))


def test_forward_correction_without_noise_is_cross_entropy():
    logits = _logits()
    found = robust_losses.forward_corrected(logits, LABELS, torch.eye(5))
    _close(found, losses.cross_entropy(logits, LABELS))
    p = logits.detach().softmax(dim=1)
    one_hot = torch.nn.functional.one_hot(LABELS, 5)
    _close(_gradient(found, logits), p - one_hot)  # log 0 of the other rows harms nothing


def test_the_symmetric_divergence_is_the_sum_of_both_directions():
    first, second = _logits(0), _logits(1)
    p, q = (each.detach().softmax(dim=1).tolist() for each in (first, second))
    by_hand = [
        sum(a * math.log(a / b) + b * math.log(b / a) for a, b in zip(*rows, strict=True))
        for rows in zip(p, q, strict=True)
    ]
    found = robust_losses.symmetric_divergence(first, second)
    _close(found, torch.tensor(by_hand))
    _close(robust_losses.symmetric_divergence(second, first), found.detach())
    assert robust_losses.symmetric_divergence(first, first).abs().max() == 0


def test_both_networks_are_drawn_together_by_the_divergence():
    first, second = _logits(0), _logits(1)
    p, q = (each.detach().softmax(dim=1) for each in (first, second))
    found = robust_losses.symmetric_divergence(first, second)
    gradients = torch.autograd.grad(found.sum(), (first, second))
    for gradient, (own, other) in zip(gradients, ((p, q), (q, p)), strict=True):
        ratio = (own / other).log()
        divergence = (own * ratio).sum(dim=1, keepdim=True)
        _close(gradient, own * (ratio - divergence) + own - other)


def test_the_gradient_of_early_learning_pulls_towards_the_targets():
    logits, targets = _logits(), _logits(4).detach().softmax(dim=1)
    p = logits.detach().softmax(dim=1)
    expected = torch.zeros(8, 5, dtype=torch.float64)
    for n in range(8):
        rest = 1 - sum(p[n, k] * targets[n, k] for k in range(5))
        for i in range(5):
            pull = sum((targets[n, k] - targets[n, i]) * p[n, k] for k in range(5))
            expected[n, i] = p[n, i] / rest * pull
    found = robust_losses.early_learning(logits, targets)
    _close(_gradient(found, logits), expected)
    _close(found, torch.log(1 - (p * targets).sum(dim=1)))


def test_the_targets_of_early_learning_receive_no_gradient_through_the_memory():
    logits, targets = _logits(), torch.full((8, 5), 0.2)
    robust_losses.early_learning(logits, targets).sum().backward()
    assert targets.grad is None


SATURATED = torch.tensor([[80.0, 0.0, -80.0], [0.0, 80.0, 0.0], [500.0, -500.0, 0.0]])


@pytest.mark.parametrize(
    "loss",
    [
        robust_losses.generalised_cross_entropy,
        robust_losses.normalised_cross_entropy,
        robust_losses.normalised_focal,
        robust_losses.reverse_cross_entropy,
        lambda logits, labels: robust_losses.forward_corrected(
            logits, labels, torch.full((3, 3), 1 / 3)
        ),
        lambda logits, labels: robust_losses.symmetric_divergence(logits, -logits),
        lambda logits, labels: robust_losses.early_learning(
            logits, torch.nn.functional.one_hot(logits.argmax(dim=1), 3).float()
        ),
    ],
    ids=["gce", "nce", "nfl", "rce", "forward", "divergence", "early-learning"],
)
@pytest.mark.parametrize("label", [0, 1, 2])
def test_a_sure_network_gives_finite_losses_and_gradients(
    loss: Callable[[Tensor, Tensor], Tensor], label: int
):
    logits = SATURATED.clone().requires_grad_()
    found = loss(logits, torch.full((3,), label))
    assert torch.isfinite(found).all()
    assert torch.isfinite(_gradient(found, logits)).all()


def test_half_precision_is_computed_in_float32():
    logits = _logits().detach().bfloat16()
    found = robust_losses.normalised_focal(logits, LABELS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, robust_losses.normalised_focal(logits.float(), LABELS))
