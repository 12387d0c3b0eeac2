"""The planted flips and their figures."""

from __future__ import annotations

import numpy as np
import pytest

from labelclean.judging import self_test


def test_the_asked_share_of_candidates_is_flipped_and_nothing_else():
    labels = np.arange(1000, dtype=np.int64) % 10
    candidates = np.arange(0, 800)
    planted = self_test.plant(labels, candidates, 10, 0.05, seed=3)
    assert len(planted.rows) == 40
    assert set(planted.rows) <= set(candidates.tolist())
    assert (planted.labels[planted.rows] != labels[planted.rows]).all()
    assert np.array_equal(np.delete(planted.labels, planted.rows), np.delete(labels, planted.rows))


def test_without_a_self_test_nothing_is_flipped_or_measured():
    labels = np.arange(10, dtype=np.int64) % 2
    planted = self_test.plant(labels, np.arange(10), 2, 0.0, seed=0)
    assert planted.labels is labels and len(planted.rows) == 0
    nothing = np.zeros(0, bool)
    assert self_test.measure(nothing, nothing, nothing, 0.1) is None


def test_the_figures_are_plain_shares():
    found = np.array([1] * 8 + [0] * 2, bool)
    restored = np.array([1] * 7 + [0] * 3, bool)
    as_given = np.array([1] * 2 + [0] * 8, bool)
    figures = self_test.measure(found, restored, as_given, noise_rate=0.1)
    assert figures is not None
    assert (figures.planted, figures.recall, figures.suggestion_accuracy) == (10, 0.8, 0.7)
    assert figures.flagged_as_given == 0.2
    assert figures.precision == pytest.approx(0.1 * 0.8 / 0.2)
    low, high = figures.recall_interval
    # Wilson's interval by its formula
    z, n, p = 1.959963984540054, 10, 0.8
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    assert (low, high) == pytest.approx((middle - half, middle + half))
