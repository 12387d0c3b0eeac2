"""The temperature: recovered where it is known, harmless where little is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from labelclean.learning.calibration import FEWEST, cross_entropy, fit_temperature


def _drawn(temperature: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax at that temperature, as rows of 0 and 1."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (count, 4)).astype(np.float32)
    scaled = torch.from_numpy(logits).double() / temperature
    generator = torch.Generator().manual_seed(0)
    labels = torch.multinomial(scaled.softmax(dim=1), 1, generator=generator)[:, 0]
    return logits, np.eye(4, dtype=np.float32)[labels.numpy()]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_the_labels_were_drawn_with_is_found(temperature: float):
    assert fit_temperature(*_drawn(temperature)) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_probabilities_in_place_of_labels_tell_it_exactly(temperature: float):
    logits, _ = _drawn(temperature, FEWEST)
    targets = (torch.from_numpy(logits) / temperature).softmax(dim=1).numpy()
    assert fit_temperature(logits, targets) == pytest.approx(temperature, rel=1e-3)


def test_the_cross_entropy_is_that_of_torch():
    logits, targets = _drawn(1.0, 50)
    targets = 0.7 * targets + 0.3 / 4
    expected = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits).double() / 1.7, torch.from_numpy(targets).double()
    )
    assert cross_entropy(logits, targets, 1.7) == pytest.approx(float(expected))


def test_few_images_change_nothing():
    logits, labels = _drawn(2.5, FEWEST - 1)
    assert fit_temperature(logits, labels) == 1.0


def test_a_network_that_is_always_right_gets_no_absurd_temperature():
    targets = np.eye(4, dtype=np.float32).repeat(50, axis=0)
    temperature = fit_temperature(50 * targets, targets)
    assert 0.05 <= temperature <= 20
