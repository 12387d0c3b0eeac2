"""The losses against the paper's closed-form gradients and against plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labelclean.learning import losses


def _logits(rows: int, classes: int, seed: int = 0, scale: float = 2.0) -> torch.Tensor:
    drawn = torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))
    return (scale * drawn).double().requires_grad_()


def _gradient(loss: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    return gradient


def test_nl_gradient_is_equation_3():
    logits = _logits(8, 5)
    drawn = torch.arange(8) % 5
    p = logits.detach().softmax(dim=1)
    p_drawn = p.gather(1, drawn[:, None])
    expected = (-p_drawn / (1 - p_drawn) * p).scatter(1, drawn[:, None], p_drawn)
    found = _gradient(losses.nl(logits, drawn[:, None]), logits)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_nl_plus_gradient_is_equation_6():
    logits = _logits(8, 5)
    drawn = torch.arange(8) % 5
    p = logits.detach().softmax(dim=1)
    p_drawn = p.gather(1, drawn[:, None])
    expected = (-p_drawn * p).scatter(1, drawn[:, None], p_drawn * (1 - p_drawn))
    found = _gradient(losses.nl_plus(logits, drawn[:, None]), logits)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_max", [0, 1, 2, 3])
def test_pl_plus_gradient_for_the_predicted_class_is_equation_8(n_max: int):
    logits = _logits(9, 4)
    predicted = logits.detach().argmax(dim=1)
    p = logits.detach().softmax(dim=1).gather(1, predicted[:, None])[:, 0]
    found = _gradient(losses.pl_plus(logits, predicted, n_max), logits)
    expected = -(1 - p ** (2 ** (n_max + 1)))
    torch.testing.assert_close(
        found.gather(1, predicted[:, None])[:, 0], expected, rtol=1e-5, atol=1e-6
    )


def test_nl_plus_over_all_classes_has_the_gradient_of_the_mean_absolute_error():
    # The sum over ȳ of p_ȳ is 1 - p_y, and Eq. 6 is the gradient of p_ȳ.
    logits = _logits(7, 6)
    labels = torch.arange(7) % 6
    found = _gradient(losses.nl_plus_all(logits, labels), logits)
    absolute_error = 1 - logits.softmax(dim=1).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(found, _gradient(absolute_error, logits), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("drawn_loss", "all_loss"),
    [(losses.nl, losses.nl_all), (losses.nl_plus, losses.nl_plus_all)],
)
def test_all_complementary_labels_at_once_equal_their_plain_sum(drawn_loss, all_loss):
    logits, labels = _logits(5, 4), torch.tensor([0, 1, 2, 3, 0])
    for row, label in enumerate(labels.tolist()):
        others = torch.tensor([[k for k in range(4) if k != label]])
        one = logits[row : row + 1]
        torch.testing.assert_close(all_loss(one, labels[row : row + 1]), drawn_loss(one, others))


def test_several_complementary_labels_are_summed_as_in_nlnl():
    logits = _logits(3, 5)
    both = torch.tensor([[1, 1], [0, 2], [3, 4]])
    apart = losses.nl(logits, both[:, :1]) + losses.nl(logits, both[:, 1:])
    torch.testing.assert_close(losses.nl(logits, both), apart)


@given(
    st.lists(st.floats(-300, 300, width=32), min_size=2, max_size=6),
    st.integers(0, 5),
)
def test_losses_and_gradients_are_finite_for_any_logits(row: list[float], label: int):
    logits = torch.tensor([row]).requires_grad_()
    labels = torch.tensor([label % len(row)])
    predicted = logits.detach().argmax(dim=1)
    for loss in (
        losses.cross_entropy(logits, labels),
        losses.nl_all(logits, labels),
        losses.nl_plus_all(logits, labels),
        losses.nl(logits, labels[:, None]),
        losses.nl_plus(logits, labels[:, None]),
        losses.pl_plus(logits, predicted),
    ):
        assert torch.isfinite(loss).all()
        assert torch.isfinite(_gradient(loss, logits)).all()


def test_log_complement_is_exact_where_float32_rounds_the_probability_to_one():
    logits = torch.tensor([[40.0, 0.0, 0.0]])
    others = losses.log_complement(logits)[0, 0].item()
    assert others == pytest.approx(math.log(2) - 40, rel=1e-6)


def _algorithm_1(logits: torch.Tensor, drawn: list[float]) -> float:
    """The paper's Algorithm 1 and Eq. 7 as plain loops."""
    kept = []
    for row, u in zip(logits.tolist(), drawn, strict=True):
        exps = [math.exp(value - max(row)) for value in row]
        p = [value / sum(exps) for value in exps]
        predicted = p.index(max(p))
        if all(p[i] < 1 / len(p) for i in range(len(p)) if i != predicted) and u < p[predicted]:
            product = 1.0
            for n in range(4):
                product *= 1 + p[predicted] ** (2**n)
            kept.append(-product * math.log(p[predicted]))
    return sum(kept) / len(kept) if kept else 0.0


def test_pl_plus_is_algorithm_1_in_plain_loops():
    logits = _logits(200, 5, scale=1.5).detach()
    predicted, taken = losses.select_pl_plus(logits, torch.Generator().manual_seed(3))
    drawn = torch.rand(200, generator=torch.Generator().manual_seed(3)).tolist()
    expected = _algorithm_1(logits, drawn)
    assert 20 < int(taken.sum()) < 180
    found = losses.pl_plus(logits, predicted)[taken].mean().item()
    assert found == pytest.approx(expected, rel=1e-5)


def test_drawn_complementary_labels_are_uniform_over_the_other_classes():
    labels = torch.full((1000,), 2)
    drawn = losses.draw_complementary(labels, 5, 12, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn.reshape(-1), minlength=5)
    assert drawn.shape == (1000, 12)
    assert counts[2] == 0
    assert (counts[[0, 1, 3, 4]] - 3000).abs().max() < 4 * math.sqrt(3000 * 0.75)


def test_complementary_labels_of_another_batch_are_refused():
    with pytest.raises(ValueError, match=r"complementary is \(3,\), not \(4, k\)"):
        losses.nl_plus(torch.zeros(4, 3), torch.zeros(3, dtype=torch.long))
