"""A report's rows against the truth: figures, intervals, what is absent, the table of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc, brier_score_loss, precision_score, recall_score, roc_curve

from labelclean.report.judged import judged_rows
from labelclean.report.quality import Estimate, _figures, evaluate
from labelclean.report.quality_text import quality_text
from labelclean.report.report import COLUMNS
from labelclean.report.resampling import Resampling

NAMES = ("cat", "dog", "emu")


def frame_of(n=400, seed=0):
    """A report of n rows, their true names, given and true numbers."""
    rng = np.random.default_rng(seed)
    names = np.array(NAMES, dtype=object)
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
    quality = evaluate(judged_rows(frame, names))
    noisy = labels != truth
    assert (quality.rows, quality.left_out, quality.wrong_labels) == (400, 0, noisy.sum())
    assert quality.precision.value == pytest.approx(precision_score(noisy, frame.is_label_issue))
    assert quality.recall.value == pytest.approx(recall_score(noisy, frame.is_label_issue))
    area = auc(*roc_curve(noisy, -frame.label_score)[:2])
    assert quality.auroc.value == pytest.approx(area)
    assert quality.brier.value == pytest.approx(brier_score_loss(noisy, frame.issue_probability))
    error = abs(frame.issue_probability.mean() - noisy.mean())
    assert quality.noise_rate_error.value == pytest.approx(error)
    assert quality.noise_rate == pytest.approx(noisy.mean())
    assert quality.estimated_noise_rate == pytest.approx(frame.issue_probability.mean())
    suggestions = (frame["suggested_label"] == names)[noisy].mean()
    assert quality.suggestion_accuracy.value == pytest.approx(suggestions)
    assert quality.auroc.low is None and math.isnan(quality.transition_error.value)


def test_rows_of_unknown_truth_without_label_or_score_are_left_out():
    frame, names, _, _ = frame_of()
    whole = evaluate(judged_rows(frame.iloc[5:], names[5:], NAMES))
    frame.loc[0, ["label_score", "issue_probability"]] = math.nan
    frame.loc[1, "status"] = "unlabelled"
    names[2] = names[3] = None
    frame.loc[4, "given_label"] = ""
    part = evaluate(judged_rows(frame, names, NAMES))
    assert (part.rows, part.left_out) == (395, 5)
    assert part.to_json() == whole.to_json() | {"left_out": 5}


def test_figures_are_the_same_in_any_order_of_the_rows():
    frame, names, _, _ = frame_of()
    order = np.random.default_rng(1).permutation(400)
    shuffled = frame.iloc[order].reset_index(drop=True)
    one = evaluate(judged_rows(frame, names, NAMES))
    other = evaluate(judged_rows(shuffled, [names[k] for k in order], NAMES))
    for name, value in one.to_json().items():
        if isinstance(value, float):
            assert other.to_json()[name] == pytest.approx(value), name


def test_estimates_of_the_report_are_measured_when_given():
    frame, names, labels, truth = frame_of()
    counts = np.zeros((3, 3))
    np.add.at(counts, (truth, labels), 1)
    transition = counts / counts.sum(axis=1, keepdims=True)
    rows = judged_rows(frame, names, NAMES)
    rate = float((labels != truth).mean())
    quality = evaluate(rows, noise_rate=rate, transition=transition)
    assert quality.noise_rate_error.value == quality.transition_error.value == 0
    assert quality.estimated_noise_rate == rate
    names[:3] = ["yak"] * 3  # a true class that the report does not know
    rows = judged_rows(frame, names, NAMES)
    assert evaluate(rows, transition=transition).transition_error.value < 0.02


def test_bootstrap_intervals_hold_the_value_are_reproducible_and_narrow_with_rows():
    small, many = judged_rows(*frame_of(100)[:2]), judged_rows(*frame_of(3000)[:2])
    calls = []
    first = evaluate(small, bootstrap=40, seed=3, advance=lambda *call: calls.append(call))
    assert len(calls) == 40 and calls[-1][:2] == (39, 40)
    assert first.to_json() == evaluate(small, bootstrap=40, seed=3).to_json()
    wide, narrow = first.auroc, evaluate(many, bootstrap=40).auroc
    assert wide.low < wide.value < wide.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 2


def test_intervals_are_those_of_resampling_by_index():
    rows = judged_rows(*frame_of(300)[:2])
    found = evaluate(rows, bootstrap=150).recall
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(4000):
        index = rng.integers(0, 300, 300)
        noisy, issue = rows.is_noisy[index], rows.is_issue[index]
        drawn.append(issue[noisy].mean())
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found.low, found.high) == (pytest.approx(low, abs=0.03), pytest.approx(high, abs=0.03))


def test_the_interval_of_a_good_estimate_holds_its_error():
    frame, names, labels, truth = frame_of(300)
    rate = float((labels != truth).mean())
    error = evaluate(judged_rows(frame, names), noise_rate=rate, bootstrap=3).noise_rate_error
    assert (error.value, error.low) == (0, 0) and error.high > 0


def test_rows_are_kept_from_the_least_suspicious_on():
    frame, names, _, _ = frame_of(50)
    rows = judged_rows(frame, names)
    assert (np.diff(rows.label_score) <= 0).all()
    counts = rows.draw_counts(np.random.default_rng(0))
    assert counts.sum() == 50
    assert 20 < (counts > 0).sum() < 40  # 1 - 1/e of them


@pytest.mark.parametrize("has_ties", [False, True])
def test_figures_by_counts_are_those_of_the_rows_that_were_drawn(has_ties: bool):
    frame, names, _, _ = frame_of(400)
    if has_ties:
        for name in ("label_score", "issue_probability"):
            frame[name] = frame[name].round(1)
    rows = judged_rows(frame, names)
    transition = np.full((3, 3), 0.1) + np.eye(3) * 0.7
    resampling = Resampling(rows, None, transition)
    for seed in range(5):
        counts = rows.draw_counts(np.random.default_rng(seed))
        copies = rows.take(np.repeat(np.arange(len(rows)), counts))
        wanted = _figures(copies, None, transition)
        assert resampling.figures(counts) == pytest.approx(wanted, abs=1e-12)
    nothing = np.zeros(len(rows), np.int64)
    nothing[np.flatnonzero(~rows.is_noisy)[:2]] = 1  # no wrong label among them
    figures = resampling.figures(nothing)
    copies = rows.take(np.repeat(np.arange(len(rows)), nothing))
    assert figures == pytest.approx(_figures(copies, None, transition), nan_ok=True)


def test_a_report_without_wrong_labels_gives_null_in_json():
    frame, names, _, _ = frame_of(20)
    frame["given_label"] = names
    figures = evaluate(judged_rows(frame, names), bootstrap=20).to_json()
    assert json.loads(json.dumps(figures, allow_nan=False))["average_precision"] is None
    assert figures["average_precision_clean"] == 1
    assert len(figures["brier_interval"]) == 2
    empty = evaluate(judged_rows(frame, [None] * 20), bootstrap=20).to_json()
    assert (empty["rows"], empty["left_out"], empty["f1"]) == (0, 20, None)
    assert (empty["noise_rate"], empty["per_class"]) == (None, [])


NEEDS = {
    "label_score": {"average_precision", "average_precision_clean", "auroc", "fnr_at_noise_rate"},
    "is_label_issue": {"precision", "recall", "f1", "corrected_accuracy"},
    "suggested_label": {"suggestion_accuracy", "corrected_accuracy"},
    "issue_probability": {"expected_calibration_error", "brier", "noise_rate_error"},
}


@pytest.mark.parametrize("column", NEEDS)
def test_only_the_figures_that_need_an_absent_column_are_not_available(column: str):
    frame, names, _, _ = frame_of(50)
    whole = evaluate(judged_rows(frame, names))
    part = evaluate(judged_rows(frame.drop(columns=column), names), bootstrap=5)
    for name in set().union(*NEEDS.values()):
        value = getattr(part, name).value
        assert math.isnan(value) == (name in NEEDS[column]), name
        assert math.isnan(value) or value == pytest.approx(getattr(whole, name).value), name
        assert (getattr(part, name).low is None) == (name in NEEDS[column])


def test_a_broken_contract_is_a_value_error():
    frame, names, _, _ = frame_of(10)
    with pytest.raises(ValueError, match="9 true labels for 10 rows"):
        judged_rows(frame, names[:9])
    with pytest.raises(ValueError, match="transition"):
        evaluate(judged_rows(frame, names), transition=np.eye(4))


def test_the_table_has_a_line_a_figure_a_line_a_class_and_the_notes():
    frame, names, _, _ = frame_of()
    frame["given_label"] = frame["given_label"].replace("emu", "e\x1bmu[b]\n")
    names = [name.replace("emu", "e\x1bmu[b]\n") for name in names]
    quality = evaluate(judged_rows(frame, names), bootstrap=5)
    quality = replace(quality, notes=("a\u202e note",), auroc=Estimate(value=0.5, low=0.25, high=1))
    text = quality_text(quality)
    lines = text.split("\n")
    assert lines[0] == f"400 labels compared, {quality.wrong_labels} of them wrong, 0 rows left out"
    assert (
        "AUROC               0.500   0.250 to 1.000   of the ranking, the same for either" in lines
    )
    assert any(line.startswith("transition error    not available") for line in lines)
    heading = next(k for k, line in enumerate(lines) if line == "By given label")
    shown = {line.split()[0]: line.split()[1:] for line in lines[heading + 2 : heading + 5]}
    assert set(shown) == {"cat", "dog", r"e\x1bmu[b]\n"}
    cat = next(each for each in quality.per_class if each.given_label == "cat")
    assert shown["cat"][:3] == [
        f"{cat.rows}",
        f"{cat.wrong_labels}",
        f"{cat.average_precision:.3f}",
    ]
    assert lines[-1] == r"note: a\u202e note"


def test_of_many_classes_those_with_the_most_wrong_labels_are_shown():
    names = [f"c{k}" for k in range(30) for _ in range(40)]
    frame = pd.DataFrame({"given_label": names, "label_score": 0.5})
    truth = [f"c{(k // 40 + (k % 40 < k // 40)) % 30}" for k in range(1200)]  # k of class k wrong
    lines = quality_text(evaluate(judged_rows(frame, truth))).split("\n")
    start = lines.index("By given label") + 2
    assert [line.split()[0] for line in lines[start:-1]] == [f"c{k}" for k in range(29, 9, -1)]
    assert lines[-1] == "and 10 labels more, see --json"
