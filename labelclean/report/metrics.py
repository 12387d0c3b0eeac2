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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import metrics as sk

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Names = NDArray[Any]


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
    return _share(is_noisy[is_issue])


def recall(is_issue: Flags, is_noisy: Flags) -> float:
    """Share of the wrong labels that the verdict finds."""
    return _share(is_issue[is_noisy])


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
    found = (is_noisy & below).sum() + fits * (is_noisy & at).sum()
    return float(1 - found / is_noisy.sum())


def suggestion_accuracy(suggested: Names, given: Names, truth: Names) -> float:
    """Share of the truly wrong labels for which the true class is suggested."""
    return _share((suggested == truth)[given != truth])


def corrected_accuracy(is_issue: Flags, suggested: Names, given: Names, truth: Names) -> float:
    """Share of all labels that are true after every verdict is followed."""
    return _share(np.where(is_issue, suggested, given) == truth)


def noise_rate_error(noise_rate: float, is_noisy: Flags) -> float:
    """Distance of the estimated from the true share of wrong labels."""
    return abs(noise_rate - _share(is_noisy))


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


def expected_calibration_error(
    issue_probability: Floats, is_noisy: Flags, num_bins: int = 15
) -> float:
    """Distance of probability and share of wrong labels over bins of equal width, by their rows."""
    if not len(is_noisy):
        return math.nan
    bins = np.minimum((issue_probability * num_bins).astype(np.int64), num_bins - 1)
    gap = np.bincount(bins, weights=issue_probability - is_noisy, minlength=num_bins)
    return float(np.abs(gap).sum() / len(is_noisy))


def brier(issue_probability: Floats, is_noisy: Flags) -> float:
    """Mean squared distance of the probability from what is so."""
    return float(np.square(issue_probability - is_noisy).mean()) if len(is_noisy) else math.nan


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure, with its 95 % bootstrap interval where one was asked for. NaN: no meaning."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A report against the truth. rows: judged and of known truth; left_out: all others."""

    rows: int
    left_out: int
    wrong_labels: int
    average_precision: Estimate
    average_precision_clean: Estimate
    auroc: Estimate
    precision: Estimate
    recall: Estimate
    f1: Estimate
    fnr_at_noise_rate: Estimate
    suggestion_accuracy: Estimate
    corrected_accuracy: Estimate
    noise_rate_error: Estimate
    transition_error: Estimate
    expected_calibration_error: Estimate
    brier: Estimate

    def to_json(self) -> dict[str, Any]:
        """Figures by name: numbers, None for NaN, and `<name>_interval` where there is one."""
        out: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, Estimate):
                out[each.name] = value
                continue
            out[each.name] = None if math.isnan(value.value) else value.value
            if value.low is not None:
                out[f"{each.name}_interval"] = [value.low, value.high]
        return out


def evaluate(
    frame: pd.DataFrame,
    truth: Sequence[str | None],
    *,
    noise_rate: float | None = None,
    transition: Floats | None = None,
    class_names: Sequence[str] = (),
    bootstrap: int = 0,
    seed: int = 0,
) -> Quality:
    """The quality of a report's rows.

    frame       (n, 10) as in Report.frame; rows without a given label or a score are left out
    truth       (n,) true class of each row, None where unknown
    noise_rate  the report's estimate; by default the mean issue_probability
    transition  (c, c) the report's estimate in the order of class_names; rows of another class
                do not count for it
    bootstrap   resamplings of the rows for the intervals, 0: none

    Raises ValueError if truth is not one class a row, or class_names do not fit transition.
    """
    if len(truth) != len(frame):
        raise ValueError(f"{len(truth)} true labels for {len(frame)} rows")
    if transition is not None and transition.shape != (len(class_names),) * 2:
        raise ValueError(f"transition is {transition.shape}, of {len(class_names)} classes")
    true = np.array(truth, dtype=object)
    given = frame["given_label"].to_numpy(dtype=object)
    figures = frame[["label_score", "issue_probability"]].to_numpy(dtype=np.float64)
    judged = np.array([name is not None for name in truth], dtype=bool)
    judged &= (frame["status"] != "unlabelled").to_numpy() & ~np.isnan(figures).any(axis=1)

    # Class names as numbers: comparing and resampling them is many times quicker.
    numbers = {name: k for k, name in enumerate(class_names)}
    suggested = frame["suggested_label"].to_numpy(dtype=object)
    columns = [
        np.array([numbers.setdefault(name, len(numbers)) for name in names[judged]], dtype=np.int64)
        for names in (given, suggested, true)
    ]
    rows = _Rows(
        label_score=figures[judged, 0],
        issue_probability=figures[judged, 1],
        is_issue=frame["is_label_issue"].to_numpy(dtype=bool)[judged],
        given=columns[0],
        suggested=columns[1],
        truth=columns[2],
    )
    values = _figures(rows, noise_rate, transition)
    estimates = {name: Estimate(value=value) for name, value in values.items()}
    if bootstrap and len(rows.given):
        generator = np.random.Generator(np.random.PCG64(seed))
        drawn = [
            _figures(rows.resampled(generator), noise_rate, transition) for _ in range(bootstrap)
        ]
        for name, value in values.items():
            known = [draw[name] for draw in drawn if not math.isnan(draw[name])]
            if known and not math.isnan(value):
                low, high = np.quantile(known, [0.025, 0.975]).tolist()
                estimates[name] = Estimate(value=value, low=low, high=high)
    return Quality(
        rows=len(rows.given),
        left_out=len(frame) - len(rows.given),
        wrong_labels=int((rows.given != rows.truth).sum()),
        **estimates,
    )


@dataclass(frozen=True, kw_only=True)
class _Rows:
    label_score: Floats
    issue_probability: Floats
    is_issue: Flags
    given: NDArray[np.int64]
    suggested: NDArray[np.int64]
    truth: NDArray[np.int64]

    def resampled(self, generator: np.random.Generator) -> _Rows:
        index = (generator.random(len(self.given)) * len(self.given)).astype(np.int64)
        return _Rows(**{each.name: getattr(self, each.name)[index] for each in fields(self)})


def _figures(rows: _Rows, noise_rate: float | None, transition: Floats | None) -> dict[str, float]:
    is_noisy = rows.given != rows.truth
    estimate = _share(rows.issue_probability) if noise_rate is None else noise_rate
    error = math.nan
    if transition is not None:
        known = (rows.given < len(transition)) & (rows.truth < len(transition))
        error = transition_error(transition, rows.given[known], rows.truth[known])
    by_score: dict[str, Callable[[Floats, Flags], float]] = {
        "average_precision": average_precision,
        "average_precision_clean": average_precision_clean,
        "auroc": auroc,
        "fnr_at_noise_rate": fnr_at_budget,
    }
    return {
        **{name: figure(rows.label_score, is_noisy) for name, figure in by_score.items()},
        "precision": precision(rows.is_issue, is_noisy),
        "recall": recall(rows.is_issue, is_noisy),
        "f1": f1(rows.is_issue, is_noisy),
        "suggestion_accuracy": suggestion_accuracy(rows.suggested, rows.given, rows.truth),
        "corrected_accuracy": corrected_accuracy(
            rows.is_issue, rows.suggested, rows.given, rows.truth
        ),
        "noise_rate_error": noise_rate_error(estimate, is_noisy),
        "transition_error": error,
        "expected_calibration_error": expected_calibration_error(rows.issue_probability, is_noisy),
        "brier": brier(rows.issue_probability, is_noisy),
    }


def _share(flags: Flags | Floats) -> float:
    return float(flags.mean()) if len(flags) else math.nan
