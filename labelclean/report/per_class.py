"""How good a report is among the rows of each given label."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from labelclean.report import metrics
from labelclean.report.judged import JudgedRows


@dataclass(frozen=True, kw_only=True)
class ClassQuality:
    """The rows that were given one label, whatever they truly are. NaN: no meaning, or unknown.

    noise_rate            share of them whose label is wrong
    estimated_noise_rate  their mean issue_probability
    """

    given_label: str
    rows: int
    wrong_labels: int
    average_precision: float
    precision: float
    recall: float
    f1: float
    suggestion_accuracy: float
    noise_rate: float
    estimated_noise_rate: float

    def to_json(self) -> dict[str, Any]:
        """Figures by name, None for NaN."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: None if value != value else value for name, value in values.items()}


def class_qualities(rows: JudgedRows) -> tuple[ClassQuality, ...]:
    """One for each label that was given, in the order of rows.class_names."""
    order = np.argsort(rows.given, kind="stable")  # one pass, however many classes
    counts = np.bincount(rows.given, minlength=len(rows.class_names))
    ends = np.cumsum(counts)
    return tuple(
        _class_quality(rows.class_names[k], rows.take(order[ends[k] - counts[k] : ends[k]]))
        for k in np.flatnonzero(counts).tolist()
    )


def _class_quality(name: str, rows: JudgedRows) -> ClassQuality:
    is_noisy, is_issue, suggested = rows.is_noisy, rows.is_issue, rows.suggested
    score, probability = rows.label_score, rows.issue_probability
    nan = math.nan
    return ClassQuality(
        given_label=name,
        rows=len(rows),
        wrong_labels=int(is_noisy.sum()),
        average_precision=nan if score is None else metrics.average_precision(score, is_noisy),
        precision=nan if is_issue is None else metrics.precision(is_issue, is_noisy),
        recall=nan if is_issue is None else metrics.recall(is_issue, is_noisy),
        f1=nan if is_issue is None else metrics.f1(is_issue, is_noisy),
        suggestion_accuracy=nan
        if suggested is None
        else metrics.suggestion_accuracy(suggested, rows.given, rows.truth),
        noise_rate=metrics.share(is_noisy),
        estimated_noise_rate=nan if probability is None else metrics.share(probability),
    )
