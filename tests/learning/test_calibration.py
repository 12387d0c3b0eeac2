"""The temperature: recovered where it is known, harmless where little is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from labelclean.learning.calibration import (
    FEWEST,
    fit_temperature,
    negative_log_likelihood,
)


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


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_noisy_labels_tell_it_where_their_transition_matrix_is_known(temperature: float):
    matrix = np.array(
        [[0.6, 0.4, 0, 0], [0, 0.7, 0.3, 0], [0.2, 0.2, 0.5, 0.1], [0, 0, 0, 1]], np.float32
    )
    logits, labels = _drawn(temperature)
    rng = np.random.default_rng(1)
    given = np.array([rng.choice(4, p=row / row.sum()) for row in labels @ matrix])
    found = fit_temperature(logits, matrix.T[given])
    assert found == pytest.approx(temperature, rel=0.1)
    taken_as_true = fit_temperature(logits, np.eye(4, dtype=np.float32)[given])
    assert abs(np.log(taken_as_true / temperature)) > 3 * abs(np.log(found / temperature))


def test_the_likelihood_of_true_labels_is_the_cross_entropy_of_torch():
    logits, labels = _drawn(1.0, 50)
    expected = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits).double() / 1.7,
        torch.from_numpy(labels).double(),
        reduction="sum",
    )
    assert negative_log_likelihood(logits, labels, 1.7) == pytest.approx(float(expected))


def test_the_likelihood_sums_over_the_classes_that_a_label_may_stand_for():
    logits, _ = _drawn(1.0, 5)
    likelihood = np.random.default_rng(2).random((5, 4)).astype(np.float32)
    expected = 0.0
    for row, known in zip(logits.astype(float), likelihood, strict=True):
        p = np.exp(row / 0.8) / np.exp(row / 0.8).sum()
        expected -= np.log(sum(p[k] * known[k] for k in range(4)))
    assert negative_log_likelihood(logits, likelihood, 0.8) == pytest.approx(expected, rel=1e-5)


def test_labels_that_tell_nothing_leave_the_probabilities_as_they_are():
    logits, _ = _drawn(1.0, 100)
    assert fit_temperature(logits, np.full((100, 4), 0.25, np.float32)) == pytest.approx(
        1, abs=0.01
    )


def test_few_images_change_nothing():
    logits, labels = _drawn(2.5, FEWEST - 1)
    assert fit_temperature(logits, labels) == 1.0


def test_a_network_that_is_always_right_gets_no_absurd_temperature():
    targets = np.eye(4, dtype=np.float32).repeat(50, axis=0)
    temperature = fit_temperature(50 * targets, targets)
    assert 0.05 <= temperature <= 20
