"""Rows of one given label each, against the figures of that part alone."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from labelclean.report.judged import judged_rows
from labelclean.report.per_class import class_qualities

NAMES = ("cat", "dog", "emu")


def test_a_class_has_the_figures_of_the_rows_given_that_label():
    rng = np.random.default_rng(0)
    names = rng.choice(NAMES, 400).tolist()
    score = rng.random(400).round(2)
    columns = {
        "given_label": np.where(rng.random(400) < 0.3, rng.choice(NAMES, 400), names),
        "suggested_label": np.where(rng.random(400) < 0.8, names, "cat"),
        "is_label_issue": score < 0.4,
        "label_score": score,
        "issue_probability": 1 - score,
    }
    frame = pd.DataFrame(columns).astype({"given_label": object, "suggested_label": object})
    classes = class_qualities(judged_rows(frame, names, NAMES))
    assert [each.given_label for each in classes] == list(NAMES)
    assert sum(each.rows for each in classes) == 400
    for each in classes:
        part = frame[frame["given_label"] == each.given_label]
        truth = pd.Series(names, dtype=object)[part.index]
        noisy = (truth != each.given_label).to_numpy()
        assert (each.rows, each.wrong_labels) == (len(part), noisy.sum())
        expected = {
            "average_precision": average_precision_score(noisy, -part["label_score"]),
            "precision": precision_score(noisy, part["is_label_issue"]),
            "recall": recall_score(noisy, part["is_label_issue"]),
            "f1": f1_score(noisy, part["is_label_issue"]),
            "suggestion_accuracy": (part["suggested_label"] == truth)[noisy].mean(),
            "noise_rate": noisy.mean(),
            "estimated_noise_rate": part["issue_probability"].mean(),
        }
        assert {name: getattr(each, name) for name in expected} == pytest.approx(expected)


def test_a_class_that_was_never_given_has_no_row_and_order_is_that_of_the_names():
    frame = pd.DataFrame({"given_label": ["b", "a", "b"], "label_score": [0.1, 0.2, 0.3]})
    classes = class_qualities(judged_rows(frame, ["z", "a", "b"], ("y", "a", "b")))
    assert [(each.given_label, each.rows, each.wrong_labels) for each in classes] == [
        ("a", 1, 0),
        ("b", 2, 1),
    ]
    assert class_qualities(judged_rows(frame, [None] * 3)) == ()


def test_what_is_absent_or_has_no_meaning_is_null():
    frame = pd.DataFrame({"given_label": ["a", "a"], "is_label_issue": [False, False]})
    (only,) = class_qualities(judged_rows(frame, ["a", "a"]))
    assert math.isnan(only.average_precision)
    assert json.loads(json.dumps(only.to_json(), allow_nan=False)) == {
        "given_label": "a",
        "rows": 2,
        "wrong_labels": 0,
        "average_precision": None,
        "precision": None,
        "recall": None,
        "f1": None,
        "suggestion_accuracy": None,
        "noise_rate": 0.0,
        "estimated_noise_rate": None,
    }
