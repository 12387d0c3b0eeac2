"""Figures of resampled rows by counts: how often a row was drawn is its weight, nothing is copied.

The figures are those of `metrics` on the drawn rows; what does not change between draws, such as
the order of the scores, is worked out once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelclean.report.judged import JudgedRows
from labelclean.report.metrics import NUM_BINS, Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Ranked:
    """Rows from suspicious to trusted; rows of one score are a group.

    order  (n,)  rows
    first  (g,)  place of each group's first row in the order
    """

    order: Ints
    first: Ints

    @classmethod
    def by(cls, score: Floats) -> _Ranked:
        order = np.argsort(score, kind="stable")
        ranked = score[order]
        return cls(order, np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]))

    def sums(self, weights: Floats) -> Floats:
        """(g,) of the groups."""
        return np.add.reduceat(weights[self.order], self.first)


class Resampling:
    """The figures of quality.Quality for any counts of the rows.

    noise_rate, transition  as quality.evaluate has them
    """

    def __init__(
        self, rows: JudgedRows, noise_rate: float | None, transition: Floats | None
    ) -> None:
        self._rows, self._rate, self._transition = rows, noise_rate, transition
        self._noisy = rows.is_noisy.astype(np.float64)
        self._ranked = None if rows.label_score is None else _Ranked.by(rows.label_score)
        if rows.issue_probability is not None:
            bins = (rows.issue_probability * NUM_BINS).astype(np.int64)
            self._bins = np.minimum(bins, NUM_BINS - 1)
            self._squares = np.square(rows.issue_probability - self._noisy)
        if transition is not None:
            size = len(transition)
            self._known = np.flatnonzero((rows.given < size) & (rows.truth < size))
            self._pairs = rows.truth[self._known] * size + rows.given[self._known]

    def figures(self, counts: Ints) -> dict[str, float]:
        """Each figure that there is; NaN where the drawn rows give it no meaning.

        counts  (n,) times that each row was drawn
        """
        rows, noisy = self._rows, self._noisy
        weights = counts.astype(np.float64)
        total, wrong = float(weights.sum()), float(weights @ noisy)
        values: dict[str, float] = {}
        if self._ranked is not None:
            values |= _of_ranking(self._ranked, weights, weights * noisy)
        if rows.is_issue is not None:
            flagged = float(weights @ rows.is_issue)
            hits = float(weights @ (rows.is_issue * noisy))
            values["precision"] = _ratio(hits, flagged)
            values["recall"] = _ratio(hits, wrong)
            values["f1"] = _ratio(2 * hits, flagged + wrong)
        if rows.suggested is not None:
            is_right = rows.suggested == rows.truth
            values["suggestion_accuracy"] = _ratio(float(weights @ (is_right * noisy)), wrong)
            if rows.is_issue is not None:
                true_after = np.where(rows.is_issue, is_right, rows.given == rows.truth)
                values["corrected_accuracy"] = _ratio(float(weights @ true_after), total)
        rate = self._rate
        if rows.issue_probability is not None:
            in_bin, said, is_wrong = (
                np.bincount(self._bins, weights=each, minlength=NUM_BINS)
                for each in (weights, weights * rows.issue_probability, weights * noisy)
            )
            values["expected_calibration_error"] = float(np.abs(said - is_wrong).sum() / total)
            values["brier"] = float(weights @ self._squares / total)
            if rate is None:
                rate = float(weights @ rows.issue_probability / total)
        values["noise_rate_error"] = math.nan if rate is None else abs(rate - wrong / total)
        if self._transition is not None:
            values["transition_error"] = self._transition_error(weights)
        return values

    def _transition_error(self, weights: Floats) -> float:
        transition = self._transition
        assert transition is not None
        if not len(self._known):
            return math.nan
        drawn = np.bincount(
            self._pairs, weights=weights[self._known], minlength=transition.size
        ).reshape(transition.shape)
        sizes = drawn.sum(axis=1)
        occurs = sizes > 0
        if not occurs.any():
            return math.nan
        actual = drawn[occurs] / sizes[occurs, None]
        return float(np.abs(transition[occurs] - actual).sum(axis=1).mean() / 2)


def _of_ranking(ranked: _Ranked, weights: Floats, noisy: Floats) -> dict[str, float]:
    """noisy: the weights of the wrong labels, 0 of the right ones."""
    in_group, wrong = ranked.sums(weights), ranked.sums(noisy)
    right = in_group - wrong
    all_wrong, all_right = float(wrong.sum()), float(right.sum())
    nan = math.nan
    values = {"average_precision": nan, "average_precision_clean": nan, "auroc": nan}
    values["fnr_at_noise_rate"] = nan
    if all_wrong:
        values["average_precision"] = _average_precision(wrong, in_group)
        values["fnr_at_noise_rate"] = _missed(wrong, in_group, all_wrong)
    if all_right:
        values["average_precision_clean"] = _average_precision(right[::-1], in_group[::-1])
    if all_wrong and all_right:
        after = all_right - np.cumsum(right)
        values["auroc"] = float((wrong * (after + right / 2)).sum() / (all_wrong * all_right))
    return values


def _average_precision(wanted: Floats, in_group: Floats) -> float:
    """wanted, in_group: weights (g,) of the groups in the order in which they are looked at."""
    seen = np.maximum(np.cumsum(in_group), 1e-300)
    return min(1.0, float((wanted * np.cumsum(wanted) / seen).sum() / wanted.sum()))


def _missed(wrong: Floats, in_group: Floats, budget: float) -> float:
    """Share of the wrong labels after so many rows; of the group at the edge the part that fits."""
    seen = np.cumsum(in_group)
    edge = int(np.searchsorted(seen, budget))
    before = float(seen[edge - 1]) if edge else 0.0
    fits = (budget - before) / float(in_group[edge])
    return float(1 - (wrong[:edge].sum() + fits * wrong[edge]) / wrong.sum())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
