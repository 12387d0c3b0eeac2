"""How good a report is against the true labels: every figure, with its bootstrap interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from labelclean.report import metrics
from labelclean.report.judged import JudgedRows
from labelclean.report.metrics import Floats
from labelclean.report.per_class import ClassQuality, class_qualities
from labelclean.report.resampling import Resampling

Advance = Callable[[float, float, str], None]  # resamplings done, all of them, what else to say


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure, with its 95 % bootstrap interval where one was asked for. NaN: not available."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A report against the truth. rows: judged and of known truth; left_out: all others.

    notes  one line each: what is not available and why, and what to beware of
    """

    rows: int
    left_out: int
    wrong_labels: int
    noise_rate: float
    estimated_noise_rate: float
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
    per_class: tuple[ClassQuality, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Figures by name: numbers, None for NaN, and `<name>_interval` where there is one."""
        out: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            number = value.value if isinstance(value, Estimate) else value
            out[each.name] = None if number != number else number
            if isinstance(value, Estimate) and value.low is not None:
                out[f"{each.name}_interval"] = [value.low, value.high]
        out["per_class"] = [each.to_json() for each in self.per_class]
        out["notes"] = list(self.notes)
        return out


def evaluate(
    rows: JudgedRows,
    *,
    noise_rate: float | None = None,
    transition: Floats | None = None,
    bootstrap: int = 0,
    seed: int = 0,
    advance: Advance = lambda done, total, words: None,
) -> Quality:
    """The quality of a report's rows.

    noise_rate  the report's estimate; by default the mean issue_probability, if there is one
    transition  (c, c) the report's estimate in the order of the first c of rows.class_names; rows
                of another class do not count for it
    bootstrap   resamplings of the rows for the intervals, 0: none. Bootstrap errors are biased
                upwards, so each interval is widened to contain its estimate

    Raises ValueError if transition is no square of at most that many classes.
    """
    if transition is not None:
        size = len(transition)
        if transition.shape != (size, size) or size > len(rows.class_names):
            raise ValueError(
                f"transition is {transition.shape}, of {len(rows.class_names)} classes"
            )
    values = _figures(rows, noise_rate, transition)
    estimates: dict[str, Any] = {name: Estimate(value=value) for name, value in values.items()}
    if bootstrap and len(rows):
        generator = np.random.Generator(np.random.PCG64(seed))
        resampling = Resampling(rows, noise_rate, transition)
        drawn = []
        for done in range(bootstrap):
            advance(done, bootstrap, "")
            drawn.append(resampling.figures(rows.draw_counts(generator)))
        for name, value in values.items():
            draws = [draw.get(name, math.nan) for draw in drawn]
            known = [draw for draw in draws if not math.isnan(draw)]
            if known and not math.isnan(value):
                low, high = np.quantile(known, [0.025, 0.975]).tolist()
                low, high = min(low, value), max(high, value)
                estimates[name] = Estimate(value=value, low=low, high=high)
    return Quality(
        rows=len(rows),
        left_out=rows.left_out,
        wrong_labels=int(rows.is_noisy.sum()),
        noise_rate=metrics.share(rows.is_noisy),
        estimated_noise_rate=_estimated_rate(rows, noise_rate),
        per_class=class_qualities(rows),
        **estimates,
    )


def _estimated_rate(rows: JudgedRows, noise_rate: float | None) -> float:
    if noise_rate is not None:
        return noise_rate
    return math.nan if rows.issue_probability is None else metrics.share(rows.issue_probability)


def _figures(
    rows: JudgedRows, noise_rate: float | None, transition: Floats | None
) -> dict[str, float]:
    """Every Estimate of Quality by its name; NaN where the report lacks what it needs."""
    is_noisy, is_issue, suggested = rows.is_noisy, rows.is_issue, rows.suggested
    values = {each.name: math.nan for each in fields(Quality) if each.type == "Estimate"}
    if rows.label_score is not None:
        score = rows.label_score
        values["average_precision"] = metrics.average_precision(score, is_noisy)
        values["average_precision_clean"] = metrics.average_precision_clean(score, is_noisy)
        values["auroc"] = metrics.auroc(score, is_noisy)
        values["fnr_at_noise_rate"] = metrics.fnr_at_budget(score, is_noisy)
    if is_issue is not None:
        values["precision"] = metrics.precision(is_issue, is_noisy)
        values["recall"] = metrics.recall(is_issue, is_noisy)
        values["f1"] = metrics.f1(is_issue, is_noisy)
    if suggested is not None:
        values["suggestion_accuracy"] = metrics.suggestion_accuracy(
            suggested, rows.given, rows.truth
        )
        if is_issue is not None:
            values["corrected_accuracy"] = metrics.corrected_accuracy(
                is_issue, suggested, rows.given, rows.truth
            )
    if rows.issue_probability is not None:
        probability = rows.issue_probability
        values["expected_calibration_error"] = metrics.expected_calibration_error(
            probability, is_noisy
        )
        values["brier"] = metrics.brier(probability, is_noisy)
    values["noise_rate_error"] = metrics.noise_rate_error(
        _estimated_rate(rows, noise_rate), is_noisy
    )
    if transition is not None:
        known = (rows.given < len(transition)) & (rows.truth < len(transition))
        values["transition_error"] = metrics.transition_error(
            transition, rows.given[known], rows.truth[known]
        )
    return values
