"""The tuned numbers of the noise model: each of them matters, and another value harms.

Networks are simulated, with known truth. The bounds hold for the tuned numbers with some room; each
of the other values breaks the one that stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from simulated_networks import decide, said, symmetric

from labelclean.config import VerdictConfig
from labelclean.data import noise
from labelclean.judging.transitions import shrunk_rows
from labelclean.judging.tuned import TUNED
from labelclean.predictions import Predictions
from labelclean.report import metrics

SEEDS = range(5)


def pairs(num_classes: int, rate: float) -> np.ndarray:
    """Wrong labels are all of the next class."""
    even = np.eye(num_classes)
    return (1 - rate) * even + rate * np.roll(even, 1, axis=1)


def network(
    count: int,
    transition: np.ndarray,
    seed: int,
    *,
    sureness: float,
    spread: float = 0.4,
    factor: float = 0.7,
    errs: float = 0.0,
    gain: float | None = None,
) -> tuple[np.ndarray, np.ndarray, Predictions]:
    """Truth and given labels (n,), and what a network says of them.

    spread  deviation of the logarithm of an image's sureness
    factor  by which the network is too sure, or too unsure
    errs    share of the images that it sees as others
    gain    what a given label's logit has on top for having been trained on; None: it was not
    """
    rng = np.random.default_rng(seed)
    classes = len(transition)
    logits = sureness * rng.normal(0, 1, (count, classes))
    logits *= np.exp(spread * rng.normal(0, 1, (count, 1)))
    truth = (logits + rng.gumbel(0, 1, logits.shape)).argmax(axis=1)
    given = noise.by_matrix(truth, transition, np.random.Generator(np.random.PCG64(seed)))
    is_error = rng.random(count) < errs
    logits[is_error] = sureness * rng.normal(0, 1, (is_error.sum(), classes))
    logits *= factor
    logits[np.arange(count), given] += gain or 0.0
    predictions = said(logits, given)
    if gain is None:
        nothing = np.full(count, np.nan, dtype=np.float32)
        predictions = replace(predictions, epoch_p_given=nothing, epoch_margin=nothing)
    return truth, given, predictions


def people(seed: int) -> tuple[np.ndarray, np.ndarray, Predictions]:
    """As by `network`; some of the labels are by people to whom images are as unclear."""
    rng = np.random.default_rng(seed)
    logits = 2.5 * rng.normal(0, 1, (4000, 8))
    truth, seen = (logits + rng.gumbel(0, 1, (2, 4000, 8))).argmax(axis=2)
    by_people = np.where(rng.random(4000) < 0.2, seen, truth)
    given = noise.by_matrix(by_people, symmetric(8, 0.15), np.random.default_rng(seed))
    predictions = said(0.7 * logits, given)
    nothing = np.full(4000, np.nan, dtype=np.float32)
    return truth, given, replace(predictions, epoch_p_given=nothing, epoch_margin=nothing)


CASES: dict[str, Callable[[int], Any]] = {
    "easy": lambda s: network(1000, symmetric(8, 0.2), s, sureness=6),
    "clean": lambda s: network(1000, symmetric(8, 0.0), s, sureness=6, errs=0.03),
    "few": lambda s: network(120, symmetric(6, 0.2), s, sureness=5, errs=0.05),
    "few and clean": lambda s: network(120, symmetric(6, 0.0), s, sureness=5, errs=0.08),
    "sixty": lambda s: network(60, symmetric(6, 0.15), s, sureness=4, errs=0.08),
    "two classes": lambda s: network(1500, symmetric(2, 0.45), s, sureness=4),
    "pairs": lambda s: network(600, pairs(6, 0.45), s, sureness=4),
    "many classes": lambda s: network(600, symmetric(60, 0.2), s, sureness=6, errs=0.03),
    "many images": lambda s: network(4000, symmetric(8, 0.1), s, sureness=3),
    "too sure": lambda s: network(
        4000, symmetric(8, 0.2), s, sureness=4, spread=0.6, factor=3.0, errs=0.05
    ),
    "memorised": lambda s: network(1500, symmetric(20, 0.2), s, sureness=5, gain=4.0),
    "people": people,
    "not memorised": lambda s: network(1500, symmetric(20, 0.3), s, sureness=5, gain=0.0),
}


@cache
def case(name: str) -> list[tuple[np.ndarray, np.ndarray, Predictions]]:
    return [CASES[name](seed) for seed in SEEDS]


def judged(name: str, **changed: Any) -> dict[str, float]:
    """Means over the draws of the case."""
    rows = []
    for truth, given, predictions in case(name):
        config = replace(TUNED, **changed)
        classes = int(given.max()) + 1
        verdict = decide(given, predictions, classes, config=config)
        is_wrong = truth != given
        low, high = verdict.noise_rate_interval
        rows.append(
            {
                "bias": verdict.noise_rate - is_wrong.mean(),
                "misses": not low <= is_wrong.mean() <= high,
                "width": high - low,
                "ece": metrics.expected_calibration_error(verdict.issue_probability, is_wrong),
                "f1": metrics.f1(verdict.is_label_issue, is_wrong) if is_wrong.any() else np.nan,
            }
        )
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


@pytest.mark.parametrize(
    ("changed", "name", "figure", "low", "high"),
    [
        ({"spread": 0.0}, "two classes", "ece", 0, 0.11),
        ({"spread": 1.2}, "easy", "bias", -0.04, 0.04),
        ({"pull": 0.01}, "many classes", "bias", -0.06, 0.06),
        ({"pull": 100.0}, "sixty", "f1", 0.53, 1),
        ({"dominance": 0.3}, "pairs", "bias", -0.035, 0.035),
        ({"noise_prior": (30.0, 30.0)}, "few and clean", "bias", 0, 0.11),
        ({"noise_prior": (1.0, 60.0)}, "sixty", "f1", 0.53, 1),
        ({"anchors": 0.9}, "few", "bias", -0.04, 0.04),
        ({"anchors": 0.01}, "sixty", "f1", 0.53, 1),
        ({"doubt_of_many": 0.1}, "two classes", "ece", 0, 0.11),
        ({"doubt_of_few": 0.01}, "sixty", "bias", -0.03, 0.035),
        ({"doubt_of_few": 60.0}, "two classes", "ece", 0, 0.11),
        ({"doubt_spread": 0.05}, "easy", "bias", -0.035, 0.035),
        ({"doubt_spread": 3.0}, "too sure", "bias", -0.05, 0.05),
        ({"model_error": 0.0}, "many images", "width", 0.13, 0.2),
        ({"model_error": 0.2}, "many images", "width", 0, 0.2),
        ({"model_error_of_few": 0.0}, "few and clean", "misses", 0, 0.3),
        ({"model_error_of_few": 5.0}, "many images", "width", 0, 0.2),
        ({"errors_shared": 0.0}, "people", "misses", 0, 0.3),
        ({"errors_shared": 2.0}, "easy", "width", 0, 0.25),
        ({"least_flagged": 0.5}, "many images", "f1", 0.62, 1),
        ({"unseen_gain": 0.3}, "memorised", "bias", -0.1, 0.1),
        ({"unseen_gain": 2.5}, "not memorised", "bias", -0.02, 0.02),
        ({"own_errors": (0.01, 0.02)}, "memorised", "bias", -0.1, 0.1),
        ({"own_errors": (9.0, 10.0)}, "not memorised", "bias", -0.02, 0.02),
    ],
    ids=str,
)
def test_a_harmful_value_is_noticed_and_the_tuned_one_holds(
    changed: dict[str, Any], name: str, figure: str, low: float, high: float
):
    assert low <= judged(name)[figure] <= high
    assert not low <= judged(name, **changed)[figure] <= high


@pytest.mark.parametrize(("dominance", "holds"), [(TUNED.dominance, True), (9.0, False)])
def test_two_classes_whose_labels_are_mixed_up_do_not_change_places(dominance: float, holds: bool):
    counts = np.array([[30.0, 70.0, 0.0], [60.0, 40.0, 0.0], [0.0, 5.0, 95.0]])
    rows = shrunk_rows(counts, replace(TUNED, dominance=dominance))
    assert bool((rows.argmax(axis=1) == np.arange(3)).all()) is holds


def test_all_the_tuned_numbers_are_tried():
    (mark,) = test_a_harmful_value_is_noticed_and_the_tuned_one_holds.pytestmark
    assert {name for changed, *_ in mark.args[1] for name in changed} == set(vars(TUNED))


def test_the_help_of_threshold_names_the_least_that_is_flagged():
    (threshold,) = (field for field in fields(VerdictConfig) if field.name == "threshold")
    assert f"between {TUNED.least_flagged} and 0.5," in str(threshold.metadata)
