"""The classes that may be true of each row, and how being trained on raises a label's score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """The classes that may be true, and their log-probabilities less their mean over all classes.

    classes     (m, q)  the given label, then the most probable others; -1: none in this place
    scores      (m, q)  -inf where there is no class
    rest        (m,)    score of each class not listed
    rest_count  (m,)    how many are not listed
    mean        (m,)    what was taken off the log-probabilities
    is_trained  (m,)    the network was trained on this image with this label
    """

    classes: Ints
    scores: Floats
    rest: Floats
    rest_count: Floats
    mean: Floats
    is_trained: NDArray[np.bool_]

    def take(self, rows: Ints) -> Candidates:
        return Candidates(*(part[rows] for part in vars(self).values()))


def gather_candidates(
    labels: Ints,
    p_given: NDArray[np.float32],
    classes: NDArray[np.int32],
    probs: NDArray[np.float32],
    num_classes: int,
    is_trained: NDArray[np.bool_],
) -> Candidates:
    """The given label and some more classes of each row; what is left is spread evenly.

    labels   (m,)    given, in [0, c); -1: none
    p_given  (m,)    its probability
    classes  (m, k)  most probable classes, with probs (m, k)
    """
    listed = np.where(classes == labels[:, None], -1, classes).astype(np.int64)
    listed = np.concatenate([labels[:, None], listed], axis=1)
    known = listed >= 0
    values = np.concatenate([p_given[:, None], probs], axis=1).astype(np.float64)
    values = np.where(known, values, 0.0)
    rest_count = (num_classes - known.sum(axis=1)).astype(np.float64)
    left = np.maximum(1 - values.sum(axis=1), 0) / np.maximum(rest_count, 1)
    rest, scores = log_probs(left, num_classes), log_probs(values, num_classes)
    mean = (np.where(known, scores, 0).sum(axis=1) + rest * rest_count) / num_classes
    scores = np.where(known, scores - mean[:, None], -np.inf)
    rest = np.where(rest_count > 0, rest - mean, -np.inf)
    return Candidates(listed, scores, rest, rest_count, mean, is_trained)


def log_probs(probs: Floats, num_classes: int) -> Floats:
    """Logarithms with a floor: below it a network's differences mean nothing."""
    return np.log(probs + 1e-5 / num_classes)


def training_gain(
    candidates: Candidates,
    num_classes: int,
    others: tuple[Ints, Floats] | None = None,
    planted: NDArray[np.bool_] | None = None,
) -> float:
    """Memorisation gain: how much a wrong label's log-probability rises by being trained on.

    Estimated within each pair (top class, label): on the rows whose label was planted, or else on
    those whose top class is another one than the label.

    planted   (m,)  rows whose label was made wrong; None: nobody knows which are wrong

    others    classes (m, s), -1: none, and scores of labels that are not given, drawn at random;
              without them the candidates, which must then be all classes
    """
    rows = np.arange(len(candidates.classes))
    given = candidates.classes[:, 0]
    best = candidates.scores.argmax(axis=1)
    if planted is not None:
        best = np.where(planted, 1 + candidates.scores[:, 1:].argmax(axis=1), best)
    lead = candidates.classes[rows, best]
    classes, scores = (
        others if others is not None else (candidates.classes[:, 1:], candidates.scores[:, 1:])
    )
    beaten = (classes >= 0) & (classes != given[:, None]) & (classes != lead[:, None])
    row, column = np.nonzero(beaten)
    pairs, place = np.unique(lead[row] * num_classes + classes[row, column], return_inverse=True)
    if not len(pairs):
        return 0.0
    base = np.bincount(place, weights=scores[row, column]) / np.bincount(place)

    given_pairs = lead * num_classes + given
    place = np.minimum(np.searchsorted(pairs, given_pairs), len(pairs) - 1)
    is_wrong = (lead != given) if planted is None else planted
    wrong = np.flatnonzero(is_wrong & (pairs[place] == given_pairs) & candidates.is_trained)
    if not len(wrong):
        return 0.0
    there = candidates.scores[wrong, 0] - base[place[wrong]]
    return max(0.0, float(there.mean()))  # the others' mean distance from their base is 0
