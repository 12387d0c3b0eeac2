"""The self-test: labels that are flipped in memory, to measure what of them is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean.data import noise


@dataclass(frozen=True)
class PlantedFlips:
    """labels (n,) int64 to train on; rows (p,) int64: where they differ from the given ones."""

    labels: NDArray[np.int64]
    rows: NDArray[np.int64]


def plant(
    labels: NDArray[np.int64],
    candidates: NDArray[np.int64],
    num_classes: int,
    share: float,
    seed: int,
) -> PlantedFlips:
    """Flips a share of the candidates' labels to other classes, uniformly; the rest stays.

    labels      (n,)  given labels
    candidates  (t,)  rows that are trained on
    """
    if share == 0:
        return PlantedFlips(labels, np.empty(0, np.int64))
    generator = np.random.Generator(np.random.PCG64((seed, 1)))
    flipped = labels.copy()
    flipped[candidates] = noise.symmetric(labels[candidates], num_classes, share, generator)
    return PlantedFlips(flipped, np.flatnonzero(flipped != labels))


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """Result of the planted flips.

    planted             labels that were flipped
    recall              share of the flips that the verdict found, with a 95 % interval
    suggestion_accuracy share of the flips whose former label was suggested
    flagged_as_given    share of the same rows that the verdict rejects under their own label
    precision           expected share of wrong labels among the rejected ones: noise rate times
                        recall over flagged_as_given, at most 1
    """

    planted: int
    recall: float
    recall_interval: tuple[float, float]
    suggestion_accuracy: float
    flagged_as_given: float
    precision: float | None

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def measure(
    is_found: NDArray[np.bool_],
    is_restored: NDArray[np.bool_],
    is_flagged_as_given: NDArray[np.bool_],
    noise_rate: float,
) -> SelfTest | None:
    """The self-test's figures; None where nothing was planted.

    is_found             (p,)  the flipped label was judged wrong
    is_restored          (p,)  the label before the flip was suggested
    is_flagged_as_given  (p,)  the label before the flip is judged wrong as well
    """
    planted = len(is_found)
    if planted == 0:
        return None
    from scipy import stats  # it loads for half a second, and hardly a run has planted flips

    recall, flagged = float(is_found.mean()), float(is_flagged_as_given.mean())
    interval = stats.binomtest(int(is_found.sum()), planted).proportion_ci(method="wilson")
    return SelfTest(
        planted=planted,
        recall=recall,
        recall_interval=(float(interval.low), float(interval.high)),
        suggestion_accuracy=float(is_restored.mean()),
        flagged_as_given=flagged,
        precision=min(1.0, noise_rate * recall / flagged) if flagged else None,
    )
