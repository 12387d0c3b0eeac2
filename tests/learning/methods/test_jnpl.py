"""One step of each method, against sums written by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from labelclean.config import TrainConfig
from labelclean.learning import losses
from labelclean.learning.methods import Outputs, StepContext, StepResult, find, jnpl
from labelclean.learning.methods.class_weights import class_weights


def _step(
    name: str, logits: torch.Tensor, labels: torch.Tensor, context: StepContext
) -> StepResult:
    batch = Outputs(each=(logits,), labels=labels, index=torch.arange(len(labels)))
    return find(name).step(batch, context)


def _context(
    progress: float = 0.5, weights: torch.Tensor | None = None, **options: Any
) -> StepContext:
    return StepContext(
        progress=progress,
        step_share=0.01,
        config=TrainConfig(epochs=1, **options),
        class_weights=torch.ones(4) if weights is None else weights,
        generator=torch.Generator().manual_seed(5),
        memory={},
    )


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)) * 3
    return logits, torch.tensor([0, 1, 2, 3, 0, 1])


def test_jnpl_without_a_start_is_equation_4_from_the_first_step():
    logits, labels = _batch()
    context = _context(
        0.0, start=0.0, ramp=0.0, pl_start=0.0, pl_weight=0.01, nl_scale=1.0, complementary="1"
    )
    found = _step("jnpl", logits, labels, context)
    same = torch.Generator().manual_seed(5)
    drawn = losses.draw_complementary(labels, 4, 1, same)
    predicted, taken = losses.select_pl_plus(logits, same)
    expected = losses.nl_plus(logits, drawn).mean()
    expected += 0.01 * losses.pl_plus(logits, predicted)[taken].mean()
    torch.testing.assert_close(found.loss, expected)
    assert found.taken == taken.float().mean()


def test_jnpl_starts_as_cross_entropy_and_yields_to_nl_plus_linearly():
    logits, labels = _batch()
    options: dict[str, Any] = {"start": 0.2, "ramp": 0.4, "nl_scale": 3.0, "pl_weight": 0.0}
    ce = losses.cross_entropy(logits, labels).mean()
    nl_plus = 3.0 * losses.nl_plus_all(logits, labels).mean()
    for progress, share in ((0.1, 0.0), (0.3, 0.25), (0.4, 0.5), (0.6, 1.0), (0.9, 1.0)):
        found = _step("jnpl", logits, labels, _context(progress, **options))
        torch.testing.assert_close(found.loss, (1 - share) * ce + share * nl_plus)


def test_nl_plus_is_jnpl_without_pl_plus():
    logits, labels = _batch()
    context = _context(0.95, pl_weight=0.0)
    found = _step("nl-plus", logits, labels, _context(0.95, pl_weight=0.5))
    torch.testing.assert_close(found.loss, _step("jnpl", logits, labels, context).loss)
    assert found.taken is None


def test_pl_plus_takes_nothing_where_no_image_is_a_candidate():
    logits = torch.zeros(6, 4).requires_grad_()  # every class at 1/c: none is below it
    found = _step("jnpl", logits, torch.arange(6) % 4, _context(start=0.0, ramp=0.0, pl_start=0.0))
    found.loss.backward()
    assert found.taken == 0
    assert torch.isfinite(logits.grad).all()


def test_class_weights_are_those_of_nlnl_up_to_a_mean_of_one():
    labels = torch.tensor([0] * 6 + [1] * 3 + [3])
    weights = class_weights(labels, 4)
    assert weights[2] == 0
    torch.testing.assert_close(weights[[1, 3]] / weights[0], torch.tensor([2.0, 6.0]))
    assert weights[labels].mean() == pytest.approx(1.0)


def test_class_weights_scale_the_losses_of_their_class():
    logits, labels = _batch()
    weights = torch.tensor([2.0, 0.0, 1.0, 0.5])
    found = _step("ce", logits, labels, _context(weights=weights))
    by_hand = [
        weights[y].item() * losses.cross_entropy(logits[k : k + 1], labels[k : k + 1]).item()
        for k, y in enumerate(labels.tolist())
    ]
    assert found.loss.item() == pytest.approx(sum(by_hand) / 6)


@pytest.mark.parametrize(("classes", "count"), [(10, 1), (100, 110), (2, 1), (14, 2)])
def test_the_paper_draws_one_complementary_label_for_10_classes_and_110_for_100(classes, count):
    assert jnpl.drawn_per_image("paper", classes) == count
