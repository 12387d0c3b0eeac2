"""What a report and a person's decisions say of each row's class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from report_data import meta_of

from labelclean.data.samples import NO_LABEL, OK, UNLABELLED, SampleTable
from labelclean.decisions.decision import Decision
from labelclean.report.report import Report
from labelclean.workflows.beliefs import Beliefs, believe, label_likelihood, soft_labels

NAMES = ("a", "b", "c", "d")
ROWS = [
    # image, given, suggested, issue?, issue_probability, suggested_probability, second
    ("kept", "a", "a", False, 0.1, 0.9, "b"),
    ("wrong", "a", "c", True, 0.8, 0.6, "a"),
    ("doubtful", "b", "d", True, 0.6, 0.3, "b"),
    ("bare", "", "b", False, np.nan, 0.7, "c"),
    ("unjudged", "d", "d", False, np.nan, np.nan, ""),
]


def _report() -> Report:
    columns = {
        "image": [row[0] for row in ROWS],
        "given_label": [row[1] for row in ROWS],
        "suggested_label": [row[2] for row in ROWS],
        "is_label_issue": [row[3] for row in ROWS],
        "label_score": [0.5] * len(ROWS),
        "issue_probability": [row[4] for row in ROWS],
        "suggested_probability": [row[5] for row in ROWS],
        "second_label": [row[6] for row in ROWS],
        "margin": [0.0] * len(ROWS),
        "status": [OK if row[1] else UNLABELLED for row in ROWS],
    }
    meta = meta_of(class_names=NAMES, image_root=None)
    return Report.from_columns(columns, meta)


def _table(report: Report) -> SampleTable:
    numbers = {name: k for k, name in enumerate(NAMES)}
    given = report.frame["given_label"]
    return SampleTable(
        images=None,  # type: ignore[arg-type]  # no image is read here
        paths=tuple(report.frame["image"]),
        labels=np.array([numbers.get(name, NO_LABEL) for name in given]),
        class_names=NAMES,
        status=report.frame["status"].to_numpy(dtype=object),
        held_out=np.zeros(len(report), dtype=bool),
        root=None,
    )


def _probs(beliefs: Beliefs) -> np.ndarray:
    every = torch.arange(len(beliefs.given))
    return beliefs.soft.rows(every, len(beliefs.class_names)).numpy()


def _said(image: str, action: str, label: str | None, before: str = "a") -> dict[str, Decision]:
    decision = Decision(
        image=image, action=action, label=label, before=before, reviewer="", at="2026-01-01"
    )
    return {image: decision}


def test_the_probabilities_are_those_of_the_report():
    report = _report()
    probs = _probs(believe(report, _table(report), {}))
    assert probs.sum(axis=1) == pytest.approx(np.ones(len(ROWS)))
    # an issue: 1 - .8 for the given label, .6 for the suggestion, .2 left for the other two
    assert probs[1] == pytest.approx([0.2, 0.1, 0.6, 0.1])
    # suggestions have on average (.6/.8 + .3/.6) / 2 = .625 of what the given label lacks
    assert probs[0] == pytest.approx([0.9, 0.0625, 0.01875, 0.01875])
    assert probs[3] == pytest.approx([0.1, 0.7, 0.1, 0.1])
    assert probs[4] == pytest.approx([0, 0, 0, 1])


def test_with_two_classes_what_is_not_the_label_is_the_other_class():
    one, two = np.array([0]), np.array([1])
    for sure in (0.7, 0.5):  # what is missing to 1 is spread in proportion
        found = soft_labels(one, two, one, np.array([True]), np.array([0.7]), np.array([sure]))
        probs = found.rows(torch.tensor([0]), 2)[0].tolist()
        assert probs == pytest.approx([0.3 / (0.3 + sure), sure / (0.3 + sure)])


def test_issues_are_not_kept_and_the_best_class_is_the_most_probable_one():
    report = _report()
    beliefs = believe(report, _table(report), {})
    assert beliefs.is_kept.tolist() == [True, False, False, False, True]
    assert beliefs.best.tolist() == [0, 2, 1, 1, 3]


def test_a_row_without_label_and_suggestion_is_known_to_be_nothing():
    nothing = np.array([NO_LABEL])
    nan = np.array([np.nan])
    found = soft_labels(nothing, nothing, nothing, np.array([False]), nan, nan)
    assert found.best.tolist() == [NO_LABEL]


@pytest.mark.parametrize(
    ("action", "label", "kept"), [("accept", "c", True), ("keep", "a", True), ("other", "d", True)]
)
def test_a_persons_label_is_certain(action: str, label: str, kept: bool):
    report = _report()
    beliefs = believe(report, _table(report), _said("wrong", action, label))
    assert beliefs.given[1] == NAMES.index(label)
    assert _probs(beliefs)[1].tolist() == [float(name == label) for name in NAMES]
    assert beliefs.is_kept[1] and beliefs.is_certain[1] and beliefs.is_used[1]


def test_an_excluded_row_is_not_used_and_an_unsure_one_stays_as_reported():
    report = _report()
    table = _table(report)
    excluded = believe(report, table, _said("kept", "exclude", None))
    assert not excluded.is_used[0] and not excluded.is_kept[0]
    unsure, untouched = believe(report, table, _said("wrong", "unsure", None)), _untouched()
    assert (_probs(unsure) == _probs(untouched)).all() and not unsure.is_certain.any()
    assert (unsure.is_kept == untouched.is_kept).all() and unsure.is_used.all()


def _untouched() -> Beliefs:
    report = _report()
    return believe(report, _table(report), {})


def test_a_class_that_a_person_added_comes_after_the_others():
    report = _report()
    beliefs = believe(report, _table(report), _said("wrong", "other", "zebra"))
    assert beliefs.class_names == (*NAMES, "zebra")
    assert _probs(beliefs)[1].tolist() == [0, 0, 0, 0, 1]
    assert beliefs.best.tolist() == [0, 4, 1, 1, 3]


def test_a_given_label_is_as_probable_as_its_column_of_the_transition_matrix_says():
    report = _report()
    matrix = ((0.7, 0.1, 0.1, 0.1), (0, 0.9, 0.1, 0), (0.2, 0, 0.8, 0), (0, 0, 0.5, 0.5))
    meta = replace(report.meta, transition_matrix=matrix)
    decided = {**_said("wrong", "other", "c"), **_said("kept", "other", "new")}
    beliefs = believe(report, _table(report), decided)
    found = label_likelihood(meta, beliefs, np.array([0, 1, 2, 4]))
    expected = [
        [0, 0, 0, 0, 1],  # a person's word: of a class that the report does not know
        [0, 0, 1, 0, 0],
        [0.1, 0.9, 0, 0, 0],  # b: as often as each class is called so
        [0.1, 0, 0, 0.5, 0],
    ]
    assert found == pytest.approx(np.array(expected))


def test_without_a_transition_matrix_wrong_labels_are_taken_to_be_spread_evenly():
    report = _report()
    meta = replace(report.meta, transition_matrix=None, noise_rate=0.4)
    found = label_likelihood(meta, believe(report, _table(report), {}), np.array([2]))
    assert found == pytest.approx(np.array([[0.1, 0.7, 0.1, 0.1]]))
