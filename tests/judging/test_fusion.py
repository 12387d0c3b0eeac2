"""Two views become one: what each counts, and what ranks the rows of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulated_networks import said

from labelclean.judging.fusion import Shares, evidence, join, weigh
from labelclean.predictions import Predictions

CLASSES = 4


def view(truth: np.ndarray, given: np.ndarray, *, noise: float, seed: int) -> Predictions:
    """Predictions of a network whose logits are those of the truth and noise."""
    logits = np.random.default_rng(seed).normal(0, noise, (len(truth), CLASSES))
    logits[np.arange(len(truth)), truth] += 3.0
    nothing = np.full(len(truth), np.nan, np.float32)
    return replace(said(logits, given), epoch_p_given=nothing, epoch_margin=nothing)


@pytest.fixture
def labels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, CLASSES, 600)
    wrong = rng.random(600) < 0.15
    return truth, np.where(wrong, (truth + 1) % CLASSES, truth)


def test_the_view_that_separates_planted_labels_better_counts_more(labels):
    truth, given = labels
    planted = np.flatnonzero(truth != given)
    good, bad = (view(truth, given, noise=noise, seed=1) for noise in (0.5, 4.0))
    first = weigh(good, bad, rows=np.arange(600), planted_rows=planted)
    second = weigh(bad, good, rows=np.arange(600), planted_rows=planted)
    assert first.shares[0] > 0.5 and second.shares[1] > 0.5
    few = weigh(good, bad, rows=np.arange(600), planted_rows=planted[:5])
    assert few.shares == (0.5, 0.5) and few.auroc is None


def test_what_ranks_the_first_view_is_joined_with_the_second_at_equal_deviation(labels):
    truth, given = labels
    first, ranking, second = (view(truth, given, noise=1.0, seed=seed) for seed in (1, 2, 3))
    scaled = np.random.default_rng(2).normal(0, 1.0, (600, CLASSES))
    scaled[np.arange(600), truth] += 3.0
    nothing = np.full(600, np.nan, np.float32)
    sharper = replace(said(9 * scaled, given), epoch_p_given=nothing, epoch_margin=nothing)
    shares = Shares(shares=(0.5, 0.5), deviations=(2.0, 2.0), auroc=None)
    assert join(first, second, shares, CLASSES).ranking is None
    for each in (ranking, sharper):
        joined = join(replace(first, ranking=each), second, shares, CLASSES)
        assert joined.ranking is not None
        np.testing.assert_array_equal(joined.p_given, join(first, second, shares, CLASSES).p_given)
        with_ranking = np.corrcoef(evidence(joined.ranking), evidence(each))[0, 1]
        with_second = np.corrcoef(evidence(joined.ranking), evidence(second))[0, 1]
        assert with_ranking == pytest.approx(with_second, abs=0.1)  # however sharp it is
