"""ELR: the moving average of each row, and the loss that looks at it."""

from __future__ import annotations

import math

import pytest
import torch

from labelclean.config import TrainConfig
from labelclean.learning.methods import METHODS, Outputs, StepContext, elr, find
from labelclean.learning.methods.base import Memory

WEIGHTS = [0.5, 1.0, 2.0]
LABELS = [0, 1, 2, 0]


def _context(memory: Memory, classes: int = 3) -> StepContext:
    return StepContext(
        progress=0.5,
        step_share=0.01,
        config=TrainConfig(method="elr", epochs=1),
        class_weights=torch.tensor(WEIGHTS) if classes == 3 else torch.ones(classes),
        generator=torch.Generator(),
        memory=memory,
    )


def _batch(seed: int, rows: list[int], scale: float = 2.0) -> Outputs:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed)) * scale
    return Outputs(each=(logits,), labels=torch.tensor(LABELS), index=torch.tensor(rows))


def test_targets_and_loss_are_those_of_the_paper_over_some_epochs():
    memory = METHODS["elr"].memory(6, 3)
    targets = [[0.0] * 3 for _ in range(6)]
    for epoch, rows in enumerate(([0, 2, 4, 5], [5, 0, 1, 2], [2, 1, 0, 4])):
        batch = _batch(epoch, rows)
        found = find("elr").step(batch, _context(memory))
        by_hand = []
        for row, y, p in zip(rows, LABELS, batch.logits.softmax(dim=1).tolist(), strict=True):
            targets[row] = [0.7 * t + 0.3 * each for t, each in zip(targets[row], p, strict=True)]
            inner = sum(t * each for t, each in zip(targets[row], p, strict=True))
            by_hand.append(WEIGHTS[y] * (-math.log(p[y]) + 3 * math.log(1 - inner)))
        assert found.loss.item() == pytest.approx(sum(by_hand) / 4, rel=1e-3)
    torch.testing.assert_close(memory["targets"], torch.tensor(targets), atol=1e-4, rtol=0)


def test_the_gradient_is_cross_entropy_with_a_pull_towards_the_targets():
    memory = METHODS["elr"].memory(4, 3)
    memory["targets"] = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.2, 0.2], [0, 0, 0.9], [0, 1, 0]])
    batch = _batch(0, [0, 1, 2, 3], scale=1.0)
    batch.logits.requires_grad_()
    find("elr").step(batch, _context(memory)).loss.backward()
    p, t = batch.logits.detach().softmax(dim=1), memory["targets"]  # as the step left them
    for n, y in enumerate(LABELS):
        inner = (p[n] * t[n]).sum()
        for i in range(3):
            pull = 3 * p[n, i] / (1 - inner) * sum((t[n, k] - t[n, i]) * p[n, k] for k in range(3))
            expected = WEIGHTS[y] / 4 * (p[n, i] - float(i == y) + pull)
            assert batch.logits.grad[n, i].item() == pytest.approx(expected.item(), abs=1e-6)


def test_a_saturated_network_has_finite_targets_loss_and_gradient():
    memory = METHODS["elr"].memory(4, 3)
    for _ in range(60):
        batch = _batch(0, [0, 1, 2, 3], scale=1000.0)
        batch.logits.requires_grad_()
        loss = find("elr").step(batch, _context(memory)).loss
        loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(batch.logits.grad).all()
    assert (memory["targets"].sum(dim=1) <= 1 + 1e-5).all() and (memory["targets"] > 0).all()


def test_the_constants_are_those_of_the_authors():
    assert elr.constants(10) == (0.7, 3.0)
    assert elr.constants(100) == (0.9, 7.0)
