"""Quality figures against plain loops, hand-made cases and sklearn's other paths."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from labelclean.report import metrics as m

# Few distinct values, so that equal scores are common.
cases = st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.booleans()), max_size=30)


def arrays(case):
    scores = np.array([s / 6 for s, _, _ in case], dtype=np.float64)
    noisy = np.array([n for _, n, _ in case], dtype=bool)
    issue = np.array([i for _, _, i in case], dtype=bool)
    return scores, noisy, issue


def same(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or one == pytest.approx(other, abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(cases)
def test_average_precision_is_precision_summed_over_steps_of_recall(case):
    scores, noisy, _ = arrays(case)
    for positive, suspicion, figure in (
        (noisy, -scores, m.average_precision),
        (~noisy, scores, m.average_precision_clean),
    ):
        total, before = 0.0, 0.0
        for threshold in sorted(set(suspicion.tolist()), reverse=True):
            taken = suspicion >= threshold
            reached = positive[taken].sum() / max(positive.sum(), 1)
            total += (reached - before) * positive[taken].mean()
            before = reached
        assert same(figure(scores, noisy), total if positive.any() else math.nan)


@settings(max_examples=200, deadline=None)
@given(cases)
def test_auroc_is_the_share_of_pairs_in_order(case):
    scores, noisy, _ = arrays(case)
    pairs = [(a < b) + (a == b) / 2 for a, b in product(scores[noisy], scores[~noisy])]
    assert same(m.auroc(scores, noisy), float(np.mean(pairs)) if pairs else math.nan)


@settings(max_examples=200, deadline=None)
@given(cases)
def test_verdict_figures_count_hits_misses_and_false_alarms(case):
    _, noisy, issue = arrays(case)
    hits = sum(n and i for n, i in zip(noisy, issue, strict=True))
    alarms, wrong = int(issue.sum()), int(noisy.sum())
    assert same(m.precision(issue, noisy), hits / alarms if alarms else math.nan)
    assert same(m.recall(issue, noisy), hits / wrong if wrong else math.nan)
    assert same(m.f1(issue, noisy), 2 * hits / (alarms + wrong) if alarms + wrong else math.nan)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40))
def test_calibration_error_is_that_of_plain_loops_over_15_bins(case):
    total = 0.0
    for k in range(15):
        inside = [(p, n) for p, n in case if min(int(p * 15), 14) == k]
        if inside:
            confidence = sum(p for p, _ in inside) / len(inside)
            share = sum(n for _, n in inside) / len(inside)
            total += len(inside) / len(case) * abs(confidence - share)
    p = np.array([p for p, _ in case], dtype=np.float64)
    noisy = np.array([n for _, n in case], dtype=bool)
    expected = total if case else math.nan
    assert same(m.expected_calibration_error(p, noisy), expected)


def test_a_calibrated_probability_has_no_error_and_a_reversed_one_all():
    p = np.array([0.8] * 10 + [0.0] * 10)
    noisy = np.array([True] * 8 + [False] * 12)
    assert m.expected_calibration_error(p, noisy) == pytest.approx(0)
    assert m.expected_calibration_error(np.array([0.0, 1.0]), np.array([True, False])) == 1


@settings(max_examples=200, deadline=None)
@given(cases, st.integers(0, 40))
def test_missed_share_at_a_budget_is_the_mean_over_orders_of_equal_scores(case, budget):
    scores, noisy, _ = arrays(case)
    if not noisy.any():
        assert math.isnan(m.fnr_at_budget(scores, noisy, budget))
        return
    found, left = 0.0, budget
    for score in sorted(set(scores.tolist())):
        group = noisy[scores == score]
        taken = min(left, len(group))
        found += group.mean() * taken
        left -= taken
    assert same(m.fnr_at_budget(scores, noisy, budget), 1 - found / noisy.sum())


def test_the_budget_is_by_default_the_number_of_wrong_labels():
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    assert m.fnr_at_budget(scores, np.array([True, False, False, True])) == 0.5


def test_labels_are_right_after_the_true_suggestions_are_followed():
    truth = np.array(["a", "a", "b", "b", "c"], dtype=object)
    labels = np.array(["a", "b", "a", "c", "c"], dtype=object)
    suggested = np.array(["a", "a", "c", "b", "a"], dtype=object)
    issue = np.array([False, True, True, False, True])
    assert m.suggestion_accuracy(suggested, labels, truth) == pytest.approx(2 / 3)
    assert m.corrected_accuracy(issue, suggested, labels, truth) == pytest.approx(2 / 5)


def test_transition_error_is_half_the_mean_distance_of_the_rows_that_occur():
    truth = np.array([0, 0, 0, 0, 1, 1])
    labels = np.array([0, 0, 0, 1, 1, 1])
    estimate = np.array([[0.5, 0.5, 0], [0.1, 0.8, 0.1], [0, 0, 1]])
    rows = [abs(0.5 - 0.75) + abs(0.5 - 0.25), 0.1 + 0.2 + 0.1]
    assert m.transition_error(estimate, labels, truth) == pytest.approx(sum(rows) / 2 / 2)
    assert math.isnan(m.transition_error(estimate, labels[:0], truth[:0]))


def test_calibration_bins_are_those_of_sklearn():
    rng = np.random.default_rng(0)
    probability = rng.random(500) ** 3
    noisy = rng.random(500) < probability
    bins = m.calibration_bins(probability, noisy, 10)
    found, said = calibration_curve(noisy, probability, n_bins=10)
    filled = bins.rows > 0
    np.testing.assert_allclose(bins.noisy[filled], found)
    np.testing.assert_allclose(bins.probability[filled], said)
    assert bins.rows.sum() == 500
    empty = m.calibration_bins(np.array([0.05, 1.0]), np.array([False, True]), 10)
    assert empty.rows.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert np.isnan(empty.noisy[1:-1]).all() and np.isnan(empty.probability[1:-1]).all()
