"""Which class is true, given what a network says and the given label: the noise, and its calibration.

The network saw the given labels, so its own probabilities say little on how many are wrong. The
model here: the true class follows softmax(sharpness * z + bias), where z are log-probabilities from
which the gain that a label gets by having been trained on is taken off; the given label is drawn
from the true class's row of a transition matrix. What is free is fitted to the given labels by
maximum likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SHARPNESS = np.geomspace(8.0, 0.5, 10)
ANCHORS = 0.1  # share of the rows, the surest ones, that are taken to be of a certain class
ANCHOR_PROBABILITY = 0.95
SHRINKAGE = 5.0  # rows that a class's row of the matrix is pulled to the pooled one with
FIT_ROWS = 20_000
SURE = 0.5  # share of the rows, the surest ones, that the gain is measured on
GAIN_QUANTILE = 0.25  # low: where the given label is right and the network wrong it stands high


@dataclass(frozen=True)
class Candidates:
    """Log-probabilities of the classes that can be true, (m) rows, each less its row's mean.

    classes     (m, q)  int64, the given label first, then the most probable ones; -1: none
    scores      (m, q)  float64, -inf where there is no class
    rest        (m,)    the score of each class not listed
    rest_count  (m,)    number of classes not listed
    """

    classes: Ints
    scores: Floats
    rest: Floats
    rest_count: Floats

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, rows: Ints | slice) -> Candidates:
        return Candidates(
            self.classes[rows], self.scores[rows], self.rest[rows], self.rest_count[rows]
        )


@dataclass(frozen=True, kw_only=True)
class NoiseModel:
    """gain: what training on a label adds to its score; transition (c, c), bias (c,)."""

    gain: float
    sharpness: float
    bias: Floats
    transition: Floats


@dataclass(frozen=True)
class Posterior:
    """Per row: probability of each candidate, of each class not listed, of the given label.

    log_likelihood  (m,)  of the given label
    """

    candidates: Floats
    rest: Floats
    prior: Floats
    prior_rest: Floats
    log_likelihood: Floats

    @property
    def given(self) -> Floats:
        return self.candidates[:, 0]


def gather_candidates(
    labels: Ints,
    p_given: NDArray[np.float32],
    top_classes: NDArray[np.int32],
    top_probs: NDArray[np.float32],
    num_classes: int,
) -> Candidates:
    """The given label and the top classes of each row; what is left is spread evenly.

    labels       (m,)    given, in [0, c)
    p_given      (m,)    probability of it
    top_classes  (m, k)  falling; top_probs (m, k)
    """
    listed = np.where(top_classes == labels[:, None], -1, top_classes).astype(np.int64)
    classes = np.concatenate([labels[:, None], listed], axis=1)
    probs = np.concatenate([p_given[:, None], top_probs], axis=1).astype(np.float64)
    probs[classes < 0] = 0.0
    floor = 1e-5 / num_classes
    rest_count = (num_classes - (classes >= 0).sum(axis=1)).astype(np.float64)
    rest = np.log(np.maximum(1 - probs.sum(axis=1), 0) / np.maximum(rest_count, 1) + floor)
    scores = np.log(probs + floor)
    known = np.where(classes >= 0, scores, 0.0)
    middle = (known.sum(axis=1) + rest * rest_count) / num_classes
    scores = np.where(classes >= 0, scores - middle[:, None], -np.inf)
    return Candidates(classes, scores, rest - middle, rest_count)


def training_gain(
    candidates: Candidates, num_classes: int, sure: float = SURE, quantile: float = GAIN_QUANTILE
) -> float:
    """How much higher a label's score is where it is given and wrong than where it is not given.

    Looked at are rows in which another class is well ahead of all but the label in question, and of
    that label too; labels are compared with the same label beside the same leading class.
    """
    classes, scores = candidates.classes, candidates.scores
    if len(classes) == 0 or scores.shape[1] < 3 and num_classes > 2:
        return 0.0
    rows = np.arange(len(classes))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    first = order[:, 0]
    top = np.take_along_axis(scores, order, axis=1)
    second = np.maximum(top[:, 1], candidates.rest)
    third = np.maximum(top[:, 2], candidates.rest) if top.shape[1] > 2 else candidates.rest
    lead = np.repeat((top[:, 0] - second)[:, None], scores.shape[1], axis=1)
    lead[rows, order[:, 1]] = top[:, 0] - third
    lead[np.isinf(lead) | np.isnan(lead)] = 0.0
    tested = (classes >= 0) & (lead >= np.quantile(top[:, 0] - second, 1 - sure))
    tested[rows, first] = False
    is_given = np.zeros_like(tested)
    is_given[:, 0] = tested[:, 0]
    others = tested & ~is_given
    pairs = classes[rows, first][:, None] * num_classes + np.maximum(classes, 0)
    size = num_classes**2
    count = np.bincount(pairs[others], minlength=size)
    base = np.bincount(pairs[others], weights=scores[others], minlength=size)
    base = base / np.maximum(count, 1)
    share = np.bincount(pairs[is_given], minlength=size) / np.maximum(count, 1)
    is_given &= count[pairs] > 0
    if not is_given.any():
        return 0.0
    there = scores[is_given] - base[pairs[is_given]]
    elsewhere = scores[others] - base[pairs[others]]
    gap = np.quantile(there, quantile) - _quantile(elsewhere, share[pairs[others]], quantile)
    return max(0.0, float(gap))


def _quantile(values: Floats, weights: Floats, quantile: float) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    at = np.searchsorted(total, quantile * total[-1])
    return float(values[order[min(int(at), len(values) - 1)]])


def posterior(model: NoiseModel, candidates: Candidates) -> Posterior:
    """P(true class | what the network says, given label) for every row."""
    held_out = _held_out(model, candidates)
    return _posterior(model, candidates, *held_out)


def _held_out(model: NoiseModel, candidates: Candidates) -> tuple[Floats, Floats]:
    scores = candidates.scores.copy()
    scores[:, 0] -= model.gain
    return scores, candidates.rest


def _posterior(
    model: NoiseModel, candidates: Candidates, scores: Floats, rest_score: Floats
) -> Posterior:
    classes = candidates.classes
    logits = model.sharpness * scores + model.bias[classes]
    top = logits.max(axis=1)
    prior = np.exp(logits - top[:, None])
    prior_rest = np.where(
        candidates.rest_count > 0, np.exp(model.sharpness * rest_score - top), 0.0
    )
    total = prior.sum(axis=1) + candidates.rest_count * prior_rest
    prior /= total[:, None]
    prior_rest /= total
    given = classes[:, :1]
    flips = model.transition[classes, given]
    flips[classes < 0] = 0.0
    rest_flips = np.maximum(model.transition.sum(axis=0)[given[:, 0]] - flips.sum(axis=1), 0.0)
    joint = prior * flips
    joint_rest = prior_rest * rest_flips
    likelihood = np.maximum(joint.sum(axis=1) + joint_rest, 1e-300)
    return Posterior(
        joint / likelihood[:, None],
        joint_rest / likelihood,
        prior,
        prior_rest * candidates.rest_count,
        np.log(likelihood),
    )


def _improve(
    model: NoiseModel, candidates: Candidates, steps: int, weights: Floats
) -> tuple[NoiseModel, float]:
    """Steps of expectation-maximisation on transition and bias; the mean log-likelihood before the last."""
    num_classes = len(model.bias)
    scores, rest_score = _held_out(model, candidates)
    given = candidates.classes[:, 0]
    pairs = np.maximum(candidates.classes, 0) * num_classes + given[:, None]
    total = weights.sum()
    likelihood = -np.inf
    for _ in range(steps):
        found = _posterior(model, candidates, scores, rest_score)
        likelihood = float((found.log_likelihood * weights).sum() / total)
        counts = np.bincount(
            pairs.ravel(),
            weights=(found.candidates * weights[:, None]).ravel(),
            minlength=num_classes**2,
        ).reshape(num_classes, num_classes)
        rest = np.bincount(given, weights=found.rest * weights, minlength=num_classes)
        off = model.transition - np.diag(np.diag(model.transition))
        counts += off * (rest / np.maximum(off.sum(axis=0), 1e-300))
        model = replace(model, transition=shrunk_rows(counts))
    return model, likelihood


def shrunk_rows(counts: Floats) -> Floats:
    """Rows that sum to one, pulled to the pooled share of right labels and to even errors."""
    num_classes = len(counts)
    wrong = 1 - np.trace(counts) / counts.sum()
    pooled = np.full_like(counts, wrong / (num_classes - 1))
    np.fill_diagonal(pooled, 1 - wrong)
    return (counts + SHRINKAGE * pooled) / (counts.sum(axis=1, keepdims=True) + SHRINKAGE)


def start(num_classes: int, gain: float) -> NoiseModel:
    transition = np.full((num_classes, num_classes), 0.3 / (num_classes - 1))
    np.fill_diagonal(transition, 0.7)
    return NoiseModel(
        gain=gain, sharpness=1.0, bias=np.zeros(num_classes), transition=transition
    )


def fit(
    candidates: Candidates, num_classes: int, gain: float, weights: Floats | None = None
) -> NoiseModel:
    """The model that makes the given labels most likely."""
    weights = np.ones(len(candidates)) if weights is None else weights
    model = start(num_classes, gain)
    best, best_likelihood = model, -np.inf
    for sharpness in SHARPNESS:
        model, likelihood = _improve(
            replace(model, sharpness=float(sharpness)), candidates, 20, weights
        )
        if likelihood > best_likelihood:
            best, best_likelihood = model, likelihood
        elif likelihood < best_likelihood - 0.02:
            break
    return refine(best, candidates, weights)


def refine(model: NoiseModel, candidates: Candidates, weights: Floats) -> NoiseModel:
    """A model close by that is more likely."""
    lowest = np.log(least_sharpness(model, candidates))
    middle = max(np.log(model.sharpness), lowest)

    def unlikely(log_sharpness: float) -> float:
        near = replace(model, sharpness=float(np.exp(log_sharpness)))
        return -_improve(near, candidates, 12, weights)[1]

    found = minimize_scalar(
        unlikely,
        bounds=(max(middle - 0.4, lowest), middle + 0.4),
        method="bounded",
        options={"maxiter": 8},
    )
    return _improve(replace(model, sharpness=float(np.exp(found.x))), candidates, 40, weights)[0]


def least_sharpness(model: NoiseModel, candidates: Candidates) -> float:
    """The sharpness at which the surest rows are of a certain class.

    A network that learned noise may say 0.6 of a class for images that show it plainly: it then
    fits the given labels without any being wrong.
    """
    scores, rest = _held_out(model, candidates)
    ordered = np.sort(scores, axis=1)
    lead = ordered[:, -1] - np.maximum(ordered[:, -2], rest)
    surest = np.argsort(-lead, kind="stable")[: max(1, round(ANCHORS * len(lead)))]
    some = candidates.take(surest)
    for sharpness in np.geomspace(0.2, 8.0, 30):
        near = replace(model, sharpness=float(sharpness))
        if posterior(near, some).prior.max(axis=1).mean() >= ANCHOR_PROBABILITY:
            return float(sharpness)
    return 8.0
