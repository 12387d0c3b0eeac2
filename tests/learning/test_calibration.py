"""The temperature: recovered where it is known, harmless where little is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from labelclean.learning.calibration import FEWEST, fit_temperature, negative_log_likelihood


def _drawn(temperature: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax at that temperature."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (count, 4)).astype(np.float32)
    scaled = torch.from_numpy(logits).double() / temperature
    generator = torch.Generator().manual_seed(0)
    labels = torch.multinomial(scaled.softmax(dim=1), 1, generator=generator)[:, 0]
    return logits, labels.numpy()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_the_labels_were_drawn_with_is_found(temperature: float):
    assert fit_temperature(*_drawn(temperature)) == pytest.approx(temperature, rel=0.05)


def test_the_likelihood_is_that_of_torch():
    logits, labels = _drawn(1.0, 50)
    expected = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits).double() / 1.7, torch.from_numpy(labels)
    )
    assert negative_log_likelihood(logits, labels, 1.7) == pytest.approx(float(expected))


def test_few_images_change_nothing():
    logits, labels = _drawn(2.5, FEWEST - 1)
    assert fit_temperature(logits, labels) == 1.0


def test_a_network_that_is_always_right_gets_no_absurd_temperature():
    logits = 50 * np.eye(4, dtype=np.float32).repeat(50, axis=0)
    temperature = fit_temperature(logits, np.arange(4).repeat(50))
    assert 0.05 <= temperature <= 20
