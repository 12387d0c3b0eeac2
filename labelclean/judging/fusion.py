"""Several views of the same images become one: how much each counts is decided on the user's data.

Planted flips decide: labels that were changed in memory, half of them evenly, half along the
confusions that the first view sees. The score that separates planted labels from given ones best
also ranks the given ones best; wrong labels among these do not change the order (positive and
unlabelled learning, Elkan & Noto 2008).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from labelclean.judging import verdicts
from labelclean.judging.candidates import Floats, Ints, log_probs
from labelclean.predictions import Predictions

SHARES = np.linspace(0.0, 1.0, 11)  # of the second view
SURE_GAIN = 0.5  # AP points by which unequal shares must be better than equal ones
FEWEST_PLANTED = verdicts.FEWEST_PLANTED  # fewer say too little: views count alike
CHANCE = 0.6  # AUROC up to which a view is no better than chance
TOP = 10


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How much each of two views counts.

    shares      of the views, in their order; 0: no better than chance, dropped
    deviations  of their evidence, which makes them comparable
    auroc       of each view alone on the planted labels; None: too few were planted
    """

    shares: tuple[float, float]
    deviations: tuple[float, float]
    auroc: tuple[float, float] | None


def weigh(first: Predictions, second: Predictions, *, rows: Ints, planted_rows: Ints) -> Shares:
    """How much each view counts, by how well it separates planted labels from given ones.

    first, second  of labels among which the planted ones are
    rows           (t,) rows that were trained on
    planted_rows   (p,) those whose label was planted
    """
    each = [evidence(view)[rows] for view in (first, second)]
    deviations = (_deviation(each[0]), _deviation(each[1]))
    if len(planted_rows) < FEWEST_PLANTED:
        return Shares(shares=(0.5, 0.5), deviations=deviations, auroc=None)
    is_planted = np.isin(rows, planted_rows)
    seen = [part / deviation for part, deviation in zip(each, deviations, strict=True)]
    auroc = (
        float(roc_auc_score(is_planted, -seen[0])),
        float(roc_auc_score(is_planted, -seen[1])),
    )
    return Shares(shares=_shares(seen, is_planted, auroc), deviations=deviations, auroc=auroc)


def join(first: Predictions, second: Predictions, shares: Shares, num_classes: int) -> Predictions:
    """Weighted sum of the views' log-probabilities; its sharpness is the first view's."""
    unit = shares.deviations[0]
    weights = (
        shares.shares[0],
        shares.shares[1] * unit / shares.deviations[1],
    )
    joined = _joined((first, second), weights, num_classes)
    if first.ranking is None:
        return joined
    seen = evidence(first.ranking)
    weights = (weights[0] * unit / _deviation(seen[np.isfinite(seen)]), weights[1])
    return replace(joined, ranking=_joined((first.ranking, second), weights, num_classes))


def evidence(view: Predictions) -> Floats:
    """Margin of the given label (n,): of the network at the end, and over its last epochs."""
    margin = view.margin.astype(np.float64)
    epochs = view.epoch_margin.astype(np.float64)
    return np.where(np.isfinite(epochs), (margin + epochs) / 2, margin)


def without_gain(view: Predictions, gain: float) -> Predictions:
    """The view as if no row had been trained on with its given label.

    gain  what being trained on adds to the label's log-probability
    """
    is_trained = np.isfinite(view.epoch_margin)
    given = view.p_given.astype(np.float64)
    less = np.where(is_trained, given * np.exp(-gain), given)
    factor = (1 / np.maximum(1 - given + less, 1e-12))[:, None]
    is_given = np.isclose(view.top_probs, view.p_given[:, None], rtol=0, atol=0)
    probs = np.where(is_given, less[:, None], view.top_probs) * factor
    return replace(
        view,
        p_given=(less * factor[:, 0]).astype(np.float32),
        margin=(view.margin - np.where(is_trained, gain, 0.0)).astype(np.float32),
        epoch_margin=(view.epoch_margin - gain).astype(np.float32),
        top_probs=probs.astype(np.float32),
    )


def _deviation(values: Floats) -> float:
    middle, low, high = np.quantile(values, [0.5, 0.16, 0.84])
    return max(float(high - low) / 2, 1e-6)


def _shares(
    seen: list[Floats], is_planted: NDArray[np.bool_], auroc: tuple[float, float]
) -> tuple[float, float]:
    if min(auroc) <= CHANCE < max(auroc):
        return (1.0, 0.0) if auroc[0] >= auroc[1] else (0.0, 1.0)
    aurocs = [
        100 * average_precision_score(is_planted, -((1 - share) * seen[0] + share * seen[1]))
        for share in SHARES
    ]
    best = int(np.argmax(aurocs))
    share = float(SHARES[best]) if aurocs[best] > aurocs[len(SHARES) // 2] + SURE_GAIN else 0.5
    return 1 - share, share


def _joined(
    views: tuple[Predictions, Predictions],
    weights: tuple[float, ...],
    num_classes: int,
) -> Predictions:
    first, second = views
    classes = np.concatenate([first.top_classes, second.top_classes], axis=1).astype(np.int64)
    for column in range(1, classes.shape[1]):  # a class that stands in a column before
        is_again = (classes[:, :column] == classes[:, column : column + 1]).any(axis=1)
        classes[is_again, column] = -1
    scores = np.zeros(classes.shape)
    rest = np.zeros(len(classes))
    margin = np.zeros(len(classes))
    for view, weight in zip(views, weights, strict=True):
        listed, left = _log_probs(view, classes, num_classes)
        scores += weight * listed
        rest += weight * left
        margin += weight * evidence(view)
    known = classes >= 0
    rest_count = num_classes - known.sum(axis=1)
    scores = np.where(known, scores, -np.inf)
    top = np.maximum(scores.max(axis=1), rest)
    values = np.exp(scores - top[:, None])
    total = values.sum(axis=1) + rest_count * np.exp(rest - top)
    probs = values / total[:, None]
    kept = min(TOP, num_classes)
    order = np.argsort(-probs, axis=1, kind="stable")[:, :kept]
    # the given label's own probability, also where neither view lists it
    p_given = np.exp(_given(views, weights, num_classes) - top) / total
    nothing = np.full(len(classes), np.nan, dtype=np.float32)
    has_image = np.isfinite(first.p_given)
    return Predictions(
        p_given=np.where(has_image, p_given, np.nan).astype(np.float32),
        margin=margin.astype(np.float32),
        top_classes=np.take_along_axis(classes, order, axis=1).astype(np.int32),
        top_probs=np.take_along_axis(probs, order, axis=1).astype(np.float32),
        epoch_p_given=nothing,
        epoch_margin=nothing,
        other_classes=np.empty((len(classes), 0), np.int32),
        other_probs=np.empty((len(classes), 0), np.float32),
    )


def _log_probs(view: Predictions, classes: Ints, num_classes: int) -> tuple[Floats, Floats]:
    """Log-probabilities of the classes (n, q), and of each class that the view does not list."""
    count = (view.top_classes >= 0).sum(axis=1)
    left = np.maximum(1 - np.nansum(view.top_probs, axis=1, dtype=np.float64), 0.0)
    rest = log_probs(left / np.maximum(num_classes - count, 1), num_classes)
    values = np.repeat(rest[:, None], classes.shape[1], axis=1)
    for place in range(view.top_classes.shape[1]):
        listed = log_probs(view.top_probs[:, place].astype(np.float64), num_classes)
        is_it = (classes == view.top_classes[:, place : place + 1]) & (classes >= 0)
        values = np.where(is_it, listed[:, None], values)
    return values, rest


def _given(
    views: tuple[Predictions, Predictions],
    weights: tuple[float, ...],
    num_classes: int,
) -> Floats:
    total = np.zeros(len(views[0].p_given))
    for view, weight in zip(views, weights, strict=True):
        total += weight * log_probs(view.p_given.astype(np.float64), num_classes)
    return total
