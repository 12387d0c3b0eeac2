"""Quality figures against plain loops, hand-made cases and sklearn's other paths."""

from __future__ import annotations

import json
import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, brier_score_loss, precision_score, recall_score, roc_curve

from labelclean.report import metrics as m
from labelclean.report.table import COLUMNS

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


# evaluate


def frame_of(n=400, seed=0):
    rng = np.random.default_rng(seed)
    names = np.array(["cat", "dog", "emu"], dtype=object)
    truth = rng.integers(0, 3, n)
    labels = np.where(rng.random(n) < 0.3, rng.integers(0, 3, n), truth)
    probability = np.clip((labels != truth) * 0.6 + rng.random(n) * 0.4, 0, 1)
    columns = dict.fromkeys(COLUMNS, "") | {
        "image": [f"{k}.png" for k in range(n)],
        "given_label": names[labels],
        "suggested_label": names[np.where(rng.random(n) < 0.8, truth, 0)],
        "is_label_issue": probability > 0.5,
        "label_score": 1 - probability + rng.normal(0, 0.2, n),
        "issue_probability": probability,
        "suggested_probability": 0.5,
        "margin": 0.1,
        "status": "ok",
    }
    return pd.DataFrame(columns), names[truth].tolist(), labels, truth


def test_evaluate_agrees_with_other_paths_through_sklearn():
    frame, names, labels, truth = frame_of()
    quality = m.evaluate(frame, names)
    noisy = labels != truth
    assert (quality.rows, quality.left_out, quality.wrong_labels) == (400, 0, noisy.sum())
    assert quality.precision.value == pytest.approx(precision_score(noisy, frame.is_label_issue))
    assert quality.recall.value == pytest.approx(recall_score(noisy, frame.is_label_issue))
    area = auc(*roc_curve(noisy, -frame.label_score)[:2])
    assert quality.auroc.value == pytest.approx(area)
    assert quality.brier.value == pytest.approx(brier_score_loss(noisy, frame.issue_probability))
    error = abs(frame.issue_probability.mean() - noisy.mean())
    assert quality.noise_rate_error.value == pytest.approx(error)
    assert quality.auroc.low is None and math.isnan(quality.transition_error.value)


def test_rows_of_unknown_truth_without_label_or_score_are_left_out():
    frame, names, _, _ = frame_of()
    whole = m.evaluate(frame.iloc[4:], names[4:])
    frame.loc[0, ["label_score", "issue_probability"]] = math.nan
    frame.loc[1, "status"] = "unlabelled"
    names[2] = names[3] = None
    part = m.evaluate(frame, names)
    assert (part.rows, part.left_out) == (396, 4)
    assert part.to_json() == whole.to_json() | {"left_out": 4}


def test_estimates_of_the_report_are_measured_when_given():
    frame, names, labels, truth = frame_of()
    counts = np.zeros((3, 3))
    np.add.at(counts, (truth, labels), 1)
    transition = counts / counts.sum(axis=1, keepdims=True)
    options = {"transition": transition, "class_names": ["cat", "dog", "emu"]}
    quality = m.evaluate(frame, names, noise_rate=float((labels != truth).mean()), **options)
    assert quality.noise_rate_error.value == quality.transition_error.value == 0
    names[:3] = ["yak"] * 3  # a true class that the report does not know
    assert m.evaluate(frame, names, **options).transition_error.value < 0.02


def test_bootstrap_intervals_hold_the_value_are_reproducible_and_narrow_with_rows():
    small, many = frame_of(100), frame_of(3000)
    first = m.evaluate(*small[:2], bootstrap=40, seed=3)
    assert first.to_json() == m.evaluate(*small[:2], bootstrap=40, seed=3).to_json()
    wide, narrow = first.auroc, m.evaluate(*many[:2], bootstrap=40).auroc
    assert wide.low < wide.value < wide.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 2


def test_a_report_without_wrong_labels_gives_null_in_json():
    frame, names, _, _ = frame_of(20)
    frame["given_label"] = names
    figures = m.evaluate(frame, names, bootstrap=20).to_json()
    assert json.loads(json.dumps(figures, allow_nan=False))["average_precision"] is None
    assert figures["average_precision_clean"] == 1
    assert len(figures["brier_interval"]) == 2
    empty = m.evaluate(frame, [None] * 20, bootstrap=20).to_json()
    assert (empty["rows"], empty["left_out"], empty["f1"]) == (0, 20, None)


def test_a_broken_contract_is_a_value_error():
    frame, names, _, _ = frame_of(10)
    with pytest.raises(ValueError, match="9 true labels for 10 rows"):
        m.evaluate(frame, names[:9])
    with pytest.raises(ValueError, match="transition"):
        m.evaluate(frame, names, transition=np.eye(2), class_names=["a"])
