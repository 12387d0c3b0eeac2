"""New verdicts for the rows of a review, and the order that follows from them."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from labelclean.review.pages import Bools, Floats, Ints, ReviewRows


@dataclass(frozen=True, kw_only=True)
class Rescored:
    """New verdicts for every row of a report, decided or not.

    label_score, issue_probability, suggested_probability  (n,) NaN where not judged
    suggested, second  (n,) codes of labels, NO_LABEL where there is none
    is_issue           (n,) bool
    noise_rate         share of wrong labels, by all that is known now
    """

    label_score: Floats
    issue_probability: Floats
    is_issue: Bools
    suggested: Ints
    suggested_probability: Floats
    second: Ints
    noise_rate: float


def with_new_scores(rows: ReviewRows, new: Rescored, is_fixed: Bools) -> ReviewRows:
    """The rows with new verdicts in a new order; fixed ones keep both verdict and place."""
    changed = copy.copy(rows)
    changed.score = np.where(is_fixed, rows.score, new.label_score)
    changed.chance = np.where(is_fixed, rows.chance, new.issue_probability)
    changed.sure = np.where(is_fixed, rows.sure, new.suggested_probability)
    changed.is_issue = np.where(is_fixed, rows.is_issue, new.is_issue)
    changed.suggested = np.where(is_fixed, rows.suggested, new.suggested)
    changed.second = np.where(is_fixed, rows.second, new.second)
    changed.order = reordered(rows.order, is_fixed, new.label_score)
    changed.rank = np.empty(len(rows), np.int64)
    changed.rank[changed.order] = np.arange(len(rows))
    return changed


def reordered(order: Ints, is_fixed: Bools, score: Floats) -> Ints:
    """The rows that are not fixed, from suspicious to trusted, on the places that they had."""
    is_free = ~is_fixed[order]
    free = np.sort(order[is_free])
    suspicion = np.where(np.isnan(score[free]), np.inf, score[free])
    new_order = order.copy()
    new_order[is_free] = free[np.argsort(suspicion, kind="stable")]
    return new_order
