"""The transition matrix of a noise model: counted, pulled to even noise, its concentration."""

from __future__ import annotations

import numpy as np

from labelclean.judging.candidates import Candidates, Floats
from labelclean.judging.tuned import TUNED, NoiseModelConfig


def concentration(transition: Floats) -> float:
    """0: the wrong labels of a class are any others; 1: always the same one."""
    num_classes = len(transition)
    if num_classes == 2:
        return 0.0
    wrong = transition * (1 - np.eye(num_classes))
    total = np.maximum(wrong.sum(axis=1), 1e-300)
    even = 1 / (num_classes - 1)
    measured = (np.square(wrong / total[:, None]).sum(axis=1) - even) / (1 - even)
    return float(np.clip((measured * total).sum() / total.sum(), 0.0, 1.0))


def count_transitions(
    candidates: Candidates, shares: Floats, rest: Floats, transition: Floats
) -> Floats:
    """Expected rows (c, c) of each true class with each given label.

    shares (m, q), rest (m,)  probabilities of the candidates and of all other classes, which the
                              matrix as known so far divides among them
    """
    num_classes = len(transition)
    given = candidates.classes[:, 0]
    pairs = np.maximum(candidates.classes, 0) * num_classes + given[:, None]
    counts = np.bincount(pairs.ravel(), weights=shares.ravel(), minlength=num_classes**2)
    left = np.bincount(given, weights=rest, minlength=num_classes)
    wrong = transition * (1 - np.eye(num_classes))
    spread: Floats = wrong * (left / np.maximum(wrong.sum(axis=0), 1e-300))
    return spread + counts.reshape(transition.shape)


def shrunk_rows(counts: Floats, config: NoiseModelConfig = TUNED) -> Floats:
    """Rows that sum to one, pulled to the pooled share of right labels and to even errors.

    In each row and column the right label is the most frequent one: otherwise two classes whose
    labels are often mixed up could change places.
    """
    num_classes = len(counts)
    wrong = 1 - np.trace(counts) / counts.sum()
    pooled = np.full_like(counts, wrong / (num_classes - 1))
    np.fill_diagonal(pooled, 1 - wrong)
    pull = config.pull * num_classes  # as many cells, as much to fit by chance
    rows: Floats = (counts + pull * pooled) / (counts.sum(axis=1, keepdims=True) + pull)
    for _ in range(3):
        right = np.diag(rows)
        most = config.dominance * np.minimum(right[:, None], right[None, :])
        np.fill_diagonal(most, 1.0)
        rows = np.minimum(rows, most)
        np.fill_diagonal(rows, right + 1 - rows.sum(axis=1))
    return rows
