"""How good a report is against known truth: pure functions, arrays in, one figure out.

Where a figure has no meaning (no wrong label among the rows, no verdict), it is NaN. Throughout:

label_score        (n,) low = suspicious
is_noisy           (n,) bool: the given label is not the true one
is_issue           (n,) bool: the verdict
issue_probability  (n,) 0 to 1
given, suggested, truth  (n,) class names or numbers, of one kind
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Names = NDArray[Any]

NUM_BINS = 15  # of the calibration error


def average_precision(label_score: Floats, is_noisy: Flags) -> float:
    """Area under precision over recall of the wrong labels, most suspicious first."""
    if not is_noisy.any():
        return math.nan
    return min(1.0, float(sk.average_precision_score(is_noisy, -label_score)))  # rounding


def average_precision_clean(label_score: Floats, is_noisy: Flags) -> float:
    """The same for the right labels, least suspicious first; paper Fig. 5 counts so or so."""
    return average_precision(-label_score, ~is_noisy)


def auroc(label_score: Floats, is_noisy: Flags) -> float:
    """Chance that a wrong label has a lower score than a right one; equal scores count half."""
    if is_noisy.all() or not is_noisy.any():
        return math.nan
    return float(sk.roc_auc_score(is_noisy, -label_score))


def precision(is_issue: Flags, is_noisy: Flags) -> float:
    """Share of the verdicts that are right."""
    return share(is_noisy[is_issue])


def recall(is_issue: Flags, is_noisy: Flags) -> float:
    """Share of the wrong labels that the verdict finds."""
    return share(is_issue[is_noisy])


def f1(is_issue: Flags, is_noisy: Flags) -> float:
    """Harmonic mean of precision and recall; 0 where nothing is found."""
    if not is_issue.any() and not is_noisy.any():
        return math.nan
    return float(sk.f1_score(is_noisy, is_issue))


def fnr_at_budget(label_score: Floats, is_noisy: Flags, budget: int | None = None) -> float:
    """Share of the wrong labels missed when only the `budget` most suspicious rows are looked at.

    budget  rows, by default as many as there are wrong labels; equal scores at the edge count by
            the share of them that fits
    """
    if not is_noisy.any():
        return math.nan
    budget = int(is_noisy.sum()) if budget is None else min(budget, len(is_noisy))
    if budget <= 0:
        return 1.0
    edge = np.partition(label_score, budget - 1)[budget - 1]
    below, at = label_score < edge, label_score == edge
    fits = (budget - below.sum()) / at.sum()
    caught = (is_noisy & below).sum() + fits * (is_noisy & at).sum()
    return float(1 - caught / is_noisy.sum())


def suggestion_accuracy(suggested: Names, given: Names, truth: Names) -> float:
    """Share of the truly wrong labels for which the true class is suggested."""
    return share((suggested == truth)[given != truth])


def corrected_accuracy(is_issue: Flags, suggested: Names, given: Names, truth: Names) -> float:
    """Share of all labels that are true after every verdict is followed."""
    return share(np.where(is_issue, suggested, given) == truth)


def noise_rate_error(noise_rate: float, is_noisy: Flags) -> float:
    """Distance of the estimated from the true share of wrong labels."""
    return abs(noise_rate - share(is_noisy))


def transition_error(transition: Floats, given: Names, truth: Names) -> float:
    """Total variation between estimated and true rows (true class → given class), over classes.

    transition  (c, c)
    given, truth  (n,) int in [0, c); classes that never are true do not count
    """
    if not len(truth):
        return math.nan
    counts = sk.confusion_matrix(truth, given, labels=np.arange(len(transition)))
    sizes = counts.sum(axis=1)
    occurs = sizes > 0
    actual = counts[occurs] / sizes[occurs, None]
    return float(np.abs(transition[occurs] - actual).sum(axis=1).mean() / 2)


@dataclass(frozen=True, kw_only=True)
class CalibrationBins:
    """Bins of equal width from 0 to 1, by issue_probability.

    rows         (b,) how many fall into the bin
    probability  (b,) their mean issue_probability, NaN of an empty bin
    noisy        (b,) their share of wrong labels, NaN of an empty bin
    """

    rows: NDArray[np.int64]
    probability: Floats
    noisy: Floats


def calibration_bins(
    issue_probability: Floats, is_noisy: Flags, num_bins: int = NUM_BINS
) -> CalibrationBins:
    """The bins of a reliability diagram; 1 falls into the last one."""
    bins = np.minimum((issue_probability * num_bins).astype(np.int64), num_bins - 1)
    rows = np.bincount(bins, minlength=num_bins)
    sums = [
        np.bincount(bins, weights=each, minlength=num_bins)
        for each in (issue_probability, is_noisy.astype(np.float64))
    ]
    with np.errstate(invalid="ignore"):
        probability, noisy = (total / rows for total in sums)
    return CalibrationBins(rows=rows, probability=probability, noisy=noisy)


def expected_calibration_error(
    issue_probability: Floats, is_noisy: Flags, num_bins: int = NUM_BINS
) -> float:
    """Distance of probability and share of wrong labels over bins of equal width, by their rows."""
    if not len(is_noisy):
        return math.nan
    bins = calibration_bins(issue_probability, is_noisy, num_bins)
    filled = bins.rows > 0
    gap = np.abs(bins.probability - bins.noisy)[filled]
    return float((gap * bins.rows[filled]).sum() / len(is_noisy))


def brier(issue_probability: Floats, is_noisy: Flags) -> float:
    """Mean squared distance of the probability from what is so."""
    return float(np.square(issue_probability - is_noisy).mean()) if len(is_noisy) else math.nan


def share(flags: Flags | Floats) -> float:
    """The mean; NaN of nothing."""
    return float(flags.mean()) if len(flags) else math.nan
