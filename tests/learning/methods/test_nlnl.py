"""NLNL: which stage it is, and which images it trains on, by the authors' bookkeeping."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from labelclean.config import TrainConfig
from labelclean.learning import losses
from labelclean.learning.methods import METHODS, Outputs, StepContext, find
from labelclean.learning.methods.base import Memory

LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


def _context(progress: float, memory: Memory, **options: Any) -> StepContext:
    return StepContext(
        progress=progress,
        step_share=0.01,
        config=TrainConfig(method="nlnl", **{"epochs": 30, "score_epochs": 10, **options}),
        class_weights=torch.tensor([0.5, 1.0, 2.0, 1.5]),
        generator=torch.Generator().manual_seed(5),
        memory=memory,
    )


def _batch(seed: int = 1, scale: float = 3.0) -> Outputs:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed)) * scale
    return Outputs(each=(logits,), labels=LABELS, index=torch.tensor([3, 0, 4, 8, 7, 2]))


def _memory(confidence: list[float] | None = None) -> Memory:
    memory = METHODS["nlnl"].memory(9, 4)
    if confidence is not None:
        memory["p_given"][_batch().index] = torch.tensor(confidence)[:, None]
    return memory


def test_the_first_third_is_negative_learning_on_all_images():
    context = _context(0.33, _memory([0.0] * 6))
    found = find("nlnl").step(_batch(), context)
    torch.testing.assert_close(found.loss, find("nl").step(_batch(), context).loss)
    assert found.taken == 1


def test_sel_nl_trains_on_images_above_one_over_c():
    context = _context(0.34, _memory([0.2, 0.3, 0.26, 0.24, 0.9, 0.1]), nl_scale=2.0)
    found = find("nlnl").step(_batch(), context)
    per_image = 2.0 * losses.nl_all(_batch().logits, LABELS)
    by_hand = [context.class_weights[LABELS[k]] * per_image[k] for k in (1, 2, 4)]
    torch.testing.assert_close(found.loss, sum(by_hand) / 3)
    assert found.taken == 0.5


def test_sel_pl_trains_by_cross_entropy_on_images_above_one_half():
    context = _context(0.67, _memory([0.2, 0.3, 0.51, 0.49, 0.9, 0.1]), nl_scale=2.0)
    found = find("nlnl").step(_batch(), context)
    per_image = losses.cross_entropy(_batch().logits, LABELS)
    by_hand = [context.class_weights[LABELS[k]] * per_image[k] for k in (2, 4)]
    torch.testing.assert_close(found.loss, sum(by_hand) / 2)
    assert found.taken == pytest.approx(2 / 6)


def test_where_no_image_is_trusted_the_loss_is_zero_and_has_a_gradient():
    batch = _batch()
    batch.logits.requires_grad_()
    found = find("nlnl").step(batch, _context(0.9, _memory([0.0] * 6)))
    found.loss.backward()
    assert found.loss == 0 and found.taken == 0
    assert (batch.logits.grad == 0).all()


@pytest.mark.parametrize(("score_epochs", "averaged"), [(10, 10), (3, 3), (20, 10)])
def test_the_confidence_is_the_mean_of_the_last_epochs_before(score_epochs: int, averaged: int):
    memory, epochs, said = _memory(), 30, []
    for epoch in range(epochs):
        batch = _batch(seed=epoch, scale=2.0)
        context = _context(epoch / epochs, memory, score_epochs=score_epochs)
        found = find("nlnl").step(batch, context)
        now = [
            math.exp(row[y]) / sum(map(math.exp, row))
            for row, y in zip(batch.logits.tolist(), LABELS.tolist(), strict=True)
        ]
        bar = (0.0, 1 / 4, 0.5)[3 * epoch // epochs]
        if said:
            last = said[-averaged:]
            means = [sum(each) / len(last) for each in zip(*last, strict=True)]
        else:
            means = now
        said.append(now)
        assert found.taken == pytest.approx(sum(mean > bar for mean in means) / 6)


def test_a_row_that_was_never_seen_is_judged_by_what_the_network_says_now():
    batch = _batch()
    p_given = batch.logits.softmax(dim=1).gather(1, LABELS[:, None])[:, 0]
    found = find("nlnl").step(batch, _context(0.9, _memory()))
    assert found.taken == pytest.approx((p_given > 0.5).float().mean().item())
