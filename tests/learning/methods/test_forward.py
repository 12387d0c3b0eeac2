"""Forward correction: the estimate of the matrix, and when it is made and used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from labelclean.config import TrainConfig
from labelclean.learning import losses, robust_losses
from labelclean.learning.methods import METHODS, Outputs, StepContext, find, forward
from labelclean.learning.methods.base import Memory

TRUE = torch.tensor([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0], [0.0, 0.2, 0.8]])
WEIGHTS = torch.tensor([0.5, 1.0, 2.0])


def _context(progress: float, memory: Memory, **options: Any) -> StepContext:
    return StepContext(
        progress=progress,
        step_share=0.1,
        config=TrainConfig(method="forward", epochs=10, **{"start": 0.4, **options}),
        class_weights=WEIGHTS,
        generator=torch.Generator(),
        memory=memory,
    )


def _batch(probs: Tensor, index: Tensor | None = None) -> Outputs:
    rows = torch.arange(len(probs)) if index is None else index
    return Outputs(each=(probs.log(),), labels=rows % 3, index=rows)


def _noisy_posteriors(count: int = 300) -> Tensor:
    """What a network says that learned the noise: true class k % 3, some images unclear."""
    sure = torch.nn.functional.one_hot(torch.arange(count) % 3, 3).float()
    doubt = torch.linspace(0, 0.6, count)[:, None]
    return ((1 - doubt) * sure + doubt / 3) @ TRUE + 1e-9


def _estimated_in_loops(probs: np.ndarray, percentile: float | None) -> np.ndarray:
    """As the authors do it: what lies at or above the percentile is no anchor."""
    rows = []
    for k in range(probs.shape[1]):
        column = probs[:, k].copy()
        if percentile is not None:
            bar = np.percentile(column, percentile, method="higher")
            column[column >= bar] = 0
        rows.append(probs[column.argmax()])
    return np.array(rows)


@pytest.mark.parametrize("count", [300, 101, 7, 2])
def test_the_anchor_of_a_class_is_the_surest_image_below_the_97th_percentile(count: int):
    drawn = torch.rand(count, 4, generator=torch.Generator().manual_seed(count)) ** 4
    probs = drawn / drawn.sum(dim=1, keepdim=True)
    expected = _estimated_in_loops(probs.numpy(), 97)
    np.testing.assert_array_equal(forward.estimated(probs).numpy(), expected)


def test_the_anchor_of_a_rare_class_is_the_surest_image_of_all():
    drawn = torch.rand(500, 40, generator=torch.Generator().manual_seed(0)) ** 4
    probs = drawn / drawn.sum(dim=1, keepdim=True)  # 2.5 % each
    expected = _estimated_in_loops(probs.numpy(), None)
    np.testing.assert_array_equal(forward.estimated(probs).numpy(), expected)


def test_rows_that_were_not_seen_do_not_count():
    probs = _noisy_posteriors()
    scattered = torch.full((1000, 3), -1.0)
    scattered[torch.randperm(1000, generator=torch.Generator().manual_seed(0))[:300]] = probs
    torch.testing.assert_close(forward.estimated(scattered), forward.estimated(probs))


def test_the_matrix_of_the_noise_is_found_after_the_start():
    memory = METHODS["forward"].memory(300, 3)
    probs = _noisy_posteriors()
    for half in torch.arange(300).chunk(2):
        find("forward").step(_batch(probs[half], half), _context(0.3, memory))
    assert torch.equal(memory["transition"], torch.eye(3))
    batch = _batch(probs[:6].flip(0))
    found = find("forward").step(batch, _context(0.4, memory))
    # three images in a hundred are passed over, so an anchor is a little unclear
    torch.testing.assert_close(memory["transition"], TRUE, atol=0.06, rtol=0)
    per_image = robust_losses.forward_corrected(batch.logits, batch.labels, memory["transition"])
    torch.testing.assert_close(found.loss, (WEIGHTS[batch.labels] * per_image).mean())


def test_the_start_is_cross_entropy():
    memory, batch = METHODS["forward"].memory(6, 3), _batch(_noisy_posteriors(6))
    found = find("forward").step(batch, _context(0.39, memory))
    per_image = losses.cross_entropy(batch.logits, batch.labels)
    torch.testing.assert_close(found.loss, (WEIGHTS[batch.labels] * per_image).mean())


def test_the_matrix_stays_after_its_first_step():
    memory = METHODS["forward"].memory(6, 3)
    find("forward").step(_batch(_noisy_posteriors(6)), _context(0.3, memory))
    find("forward").step(_batch(_noisy_posteriors(6)), _context(0.4, memory))
    memory["transition"].copy_(TRUE)
    find("forward").step(_batch(_noisy_posteriors(6)), _context(0.51, memory))
    assert torch.equal(memory["transition"], TRUE)


def test_a_preset_without_a_start_takes_half_of_the_run():
    memory = METHODS["forward"].memory(6, 3)
    batch = _batch(_noisy_posteriors(6))
    per_image = WEIGHTS[batch.labels] * losses.cross_entropy(batch.logits, batch.labels)
    found = find("forward").step(batch, _context(0.49, memory, start=0.0))
    torch.testing.assert_close(found.loss, per_image.mean())
    found = find("forward").step(batch, _context(0.5, memory, start=0.0))
    assert found.loss != per_image.mean()
    assert not torch.equal(memory["transition"], torch.eye(3))


def test_of_many_rows_an_even_sample_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(forward, "SAMPLE", 4)
    memory = METHODS["forward"].memory(10, 3)
    assert memory["probs"].shape == (5, 3)  # every third row, and the place of all others
    probs = _noisy_posteriors(10)
    find("forward").step(_batch(probs), _context(0.1, memory))
    torch.testing.assert_close(memory["probs"][:-1], probs[::3], atol=1e-6, rtol=0)


def test_rows_that_are_not_in_the_sample_do_not_count(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(forward, "SAMPLE", 4)
    memory = METHODS["forward"].memory(10, 3)
    probs = torch.randn(10, 3, generator=torch.Generator().manual_seed(2)).softmax(dim=1)
    probs[torch.arange(10) % 3 > 0] = torch.tensor([0.98, 0.01, 0.01])
    find("forward").step(_batch(probs), _context(0.3, memory))
    find("forward").step(_batch(probs), _context(0.4, memory))
    torch.testing.assert_close(memory["transition"], forward.estimated(probs[::3]))
