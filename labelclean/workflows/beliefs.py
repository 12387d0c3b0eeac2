"""Beliefs: what a report and a person's decisions say of each row's class, before training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from labelclean.data.samples import NO_LABEL, SampleTable
from labelclean.decisions.decision import LABELLING, Decision
from labelclean.learning.soft_labels import SoftLabels
from labelclean.report.meta import ReportMeta
from labelclean.report.report import Report


@dataclass(frozen=True, kw_only=True)
class Beliefs:
    """The beliefs about each row, (n,) in the report's order.

    class_names  the report's, and after them those that a person added
    given        int64: the given labels, a person's word in their place; NO_LABEL: none
    soft         the probability of each class; of a row with NO_LABEL twice nothing is known
    is_kept      the label is believed: `given` holds it
    is_certain   a person said so
    is_used      no person excluded the row
    """

    class_names: tuple[str, ...]
    given: NDArray[np.int64]
    soft: SoftLabels
    is_kept: NDArray[np.bool_]
    is_certain: NDArray[np.bool_]
    is_used: NDArray[np.bool_]

    @property
    def best(self) -> NDArray[np.int64]:
        """The more probable of the two classes that a row names; NO_LABEL where it names none."""
        return self.soft.best.numpy()


def believe(report: Report, table: SampleTable, decisions: Mapping[str, Decision]) -> Beliefs:
    """The report's beliefs, overridden by the decisions (by image).

    table      the report's own rows, as read_source gives them
    decisions  as a DecisionBook of the report has them
    """
    frame = report.frame
    numbers = {name: k for k, name in enumerate(report.meta.class_names)}
    suggested = _numbers(frame["suggested_label"].tolist(), numbers)
    is_issue = frame["is_label_issue"].to_numpy(dtype=bool)
    has_label = table.labels != NO_LABEL
    beliefs = Beliefs(
        class_names=report.meta.class_names,
        given=table.labels.copy(),
        soft=soft_labels(
            table.labels,
            suggested,
            _numbers(frame["second_label"].tolist(), numbers),
            is_issue,
            frame["issue_probability"].to_numpy(dtype=np.float64),
            frame["suggested_probability"].to_numpy(dtype=np.float64),
        ),
        is_kept=has_label & ~is_issue,
        is_certain=np.zeros(len(table), dtype=bool),
        is_used=np.ones(len(table), dtype=bool),
    )
    return _overridden(beliefs, table, decisions) if decisions else beliefs


def soft_labels(
    given: NDArray[np.int64],
    suggested: NDArray[np.int64],
    second: NDArray[np.int64],
    is_issue: NDArray[np.bool_],
    wrong: NDArray[np.float64],
    sure: NDArray[np.float64],
) -> SoftLabels:
    """The report's figures as a probability of each class.

    given, suggested, second  (n,) classes, NO_LABEL: none
    wrong  (n,) issue_probability, NaN where the label was not judged
    sure   (n,) suggested_probability

    The given label has 1 - wrong. Of an issue the suggestion has its own probability; elsewhere
    the second label has that share of `wrong` which suggestions have on average. What is left is
    spread evenly over the other classes.
    """
    has_label = given != NO_LABEL
    # a label that was not judged (no other image like it) is taken as it is
    wrong = np.where(has_label, np.nan_to_num(wrong, nan=0.0), 1.0)
    sure = np.minimum(np.nan_to_num(sure, nan=0.0), wrong)
    judged = is_issue & (wrong > 0)
    usual = float((sure[judged] / wrong[judged]).mean()) if judged.any() else 0.5
    other = np.where(is_issue | ~has_label, suggested, second)
    share = np.where(is_issue | ~has_label, sure, usual * wrong)
    other = np.where((share == 0) | (other == given), NO_LABEL, other)
    return SoftLabels(
        first=torch.from_numpy(given),
        p_first=torch.from_numpy((1 - wrong).astype(np.float32)),
        second=torch.from_numpy(other),
        p_second=torch.from_numpy(np.where(other == NO_LABEL, 0, share).astype(np.float32)),
    )


def label_likelihood(
    meta: ReportMeta, beliefs: Beliefs, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """How probable the given label of each row (b,) is if its class is k: (b, c).

    By the report's transition matrix; a label that a person gave is that of its class alone, and
    a row without a label is as probable under each. Other
    than the soft labels it does not hold what a network said of the image.
    """
    known, count = len(meta.class_names), len(beliefs.class_names)
    matrix = np.eye(count, dtype=np.float32)  # of classes that a person added
    if meta.transition_matrix is not None:
        matrix[:known, :known] = meta.transition_matrix
    else:
        matrix[:known, :known] *= 1 - meta.noise_rate
        matrix[:known, :known] += meta.noise_rate / known
    certain = np.eye(count, dtype=np.float32)
    given = beliefs.given[rows]
    likelihood = np.where(beliefs.is_certain[rows][:, None], certain[given], matrix.T[given])
    likelihood[given == NO_LABEL] = 1.0
    return likelihood


def _overridden(beliefs: Beliefs, table: SampleTable, decisions: Mapping[str, Decision]) -> Beliefs:
    index = {image: row for row, image in enumerate(table.paths)}
    added = sorted(
        {
            decision.label
            for decision in decisions.values()
            if decision.label is not None and decision.label not in beliefs.class_names
        }
    )
    names = (*beliefs.class_names, *added)
    numbers = {name: k for k, name in enumerate(names)}
    given, is_kept = beliefs.given.copy(), beliefs.is_kept.copy()
    is_certain, is_used = beliefs.is_certain.copy(), beliefs.is_used.copy()
    for image, decision in decisions.items():
        row = index[image]
        if decision.action in LABELLING and decision.label is not None:
            given[row] = numbers[decision.label]
            is_kept[row] = is_certain[row] = True
        elif decision.action == "exclude":
            is_used[row] = is_kept[row] = False
        # unsure: looked at and not decided, so the report stays all that is known
    rows = np.flatnonzero(is_certain)
    return replace(
        beliefs,
        class_names=names,
        given=given,
        soft=beliefs.soft.with_certain(rows, given[rows]),
        is_kept=is_kept,
        is_certain=is_certain,
        is_used=is_used,
    )


def _numbers(names: list[str], numbers: Mapping[str, int]) -> NDArray[np.int64]:
    return np.array([numbers.get(name, NO_LABEL) for name in names], dtype=np.int64)
