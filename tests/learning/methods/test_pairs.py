"""Co-teaching and JoCoR against their algorithms in plain loops."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from labelclean.config import TrainConfig
from labelclean.learning.methods import Outputs, StepContext, find, pairs

LABELS = torch.arange(10) % 4
WEIGHTS = [0.5, 1.0, 2.0, 1.5]


def _context(progress: float = 0.9, **options: Any) -> StepContext:
    return StepContext(
        progress=progress,
        step_share=0.01,
        config=TrainConfig(method="co-teaching", **{"epochs": 40, "noise_rate": 0.4, **options}),
        class_weights=torch.tensor(WEIGHTS),
        generator=torch.Generator(),
        memory={},
    )


def _batch() -> Outputs:
    generator = torch.Generator().manual_seed(1)
    each = tuple((torch.randn(10, 4, generator=generator) * 2).requires_grad_() for _ in range(2))
    return Outputs(each=each, labels=LABELS, index=torch.arange(10))


def _entropies(logits: Tensor) -> list[float]:
    return [
        math.log(sum(map(math.exp, row))) - row[y]
        for row, y in zip(logits.tolist(), LABELS.tolist(), strict=True)
    ]


def _smallest(per_image: list[float], count: int) -> list[int]:
    return sorted(range(len(per_image)), key=per_image.__getitem__)[:count]


def _weighted_mean(per_image: list[float], rows: list[int]) -> float:
    return sum(WEIGHTS[LABELS[k]] * per_image[k] for k in rows) / len(rows)


def test_each_network_learns_from_what_the_other_one_finds_easy():
    batch = _batch()
    found = find("co-teaching").step(batch, _context())
    first, second = map(_entropies, batch.each)
    for_first, for_second = _smallest(second, 6), _smallest(first, 6)
    assert set(for_first) != set(for_second)
    expected = _weighted_mean(first, for_first) + _weighted_mean(second, for_second)
    assert found.loss.item() == pytest.approx(expected, rel=1e-5)
    assert found.taken.item() == pytest.approx(0.6)
    found.loss.backward()
    for logits, rows in zip(batch.each, (for_first, for_second), strict=True):
        assert logits.grad.abs().sum(dim=1).nonzero()[:, 0].tolist() == sorted(rows)


def test_jocor_chooses_by_the_joint_loss_and_trains_both_networks_on_it():
    batch = _batch()
    found = find("jocor").step(batch, _context())
    p, q = (logits.softmax(dim=1).tolist() for logits in batch.each)
    joint = [
        a + b + sum(x * math.log(x / y) + y * math.log(y / x) for x, y in zip(*rows, strict=True))
        for a, b, rows in zip(*map(_entropies, batch.each), zip(p, q, strict=True), strict=True)
    ]
    rows = _smallest(joint, 6)
    assert found.loss.item() == pytest.approx(_weighted_mean(joint, rows), rel=1e-5)
    found.loss.backward()
    for logits in batch.each:
        assert logits.grad.abs().sum(dim=1).nonzero()[:, 0].tolist() == sorted(rows)


def test_the_forget_rate_rises_over_ten_epochs_to_the_noise_rate():
    for epoch, rate in ((0, 0.0), (5, 0.2), (9, 0.36), (10, 0.4), (150, 0.4)):
        context = _context(epoch / 200, epochs=200)
        assert pairs.forget_rate(context) == pytest.approx(rate)


def test_the_forget_rate_of_a_short_run_rises_over_a_quarter_of_it():
    for progress, rate in ((0.0, 0.0), (0.125, 0.2), (0.25, 0.4), (1.0, 0.4)):
        assert pairs.forget_rate(_context(progress, epochs=8)) == pytest.approx(rate)


@pytest.mark.parametrize("name", ["co-teaching", "jocor"])
def test_how_many_images_are_kept_follows_the_forget_rate(name: str):
    for progress, kept in ((0.0, 10), (0.125, 8), (0.25, 6)):
        found = find(name).step(_batch(), _context(progress))
        assert found.taken.item() == pytest.approx(kept / 10)
    found = find(name).step(_batch(), _context(noise_rate=0.05))
    assert found.taken.item() == pytest.approx(0.9)  # rounded down
    found = find(name).step(_batch(), _context(noise_rate=0.99))
    assert found.taken.item() == pytest.approx(0.1)  # never none


@pytest.mark.parametrize("name", ["co-teaching", "jocor"])
def test_a_run_without_a_noise_rate_is_a_bug(name: str):
    assert find(name).needs_noise_rate
    with pytest.raises(ValueError, match="noise_rate"):
        find(name).step(_batch(), _context(noise_rate=None))
