"""The transition matrix of a noise model: learned from counts, pulled to even noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from labelclean.judging.candidates import Candidates, Floats, Ints
from labelclean.judging.tuned import TUNED, NoiseModelConfig

DOMINANCE_STEPS = 3  # each row is bounded and filled up to one so often


class Transition(Protocol):
    """P(given label | true class) of all pairs of classes; rows sum to one."""

    def flips(self, candidates: Candidates) -> tuple[Floats, Floats]:
        """P(given label | class) of each candidate (m, q), and its sum over the others (m,)."""

    def learned(
        self, candidates: Candidates, shares: Floats, rest: Floats, config: NoiseModelConfig
    ) -> Transition:
        """The next one, from the probability of each candidate (m, q) and of all others (m,).

        candidates  those that it was begun with
        """

    def concentration(self) -> float:
        """0: the wrong labels of a class are any others; 1: always the same one."""

    def rows(self, true: Ints) -> Floats:
        """(b, c) the cells of some classes."""

    def matrix(self) -> Floats:
        """(c, c)"""


@dataclass(frozen=True)
class FullTransition:
    """All cells in an array (c, c)."""

    shares: Floats

    @classmethod
    def even(cls, num_classes: int, right: float) -> FullTransition:
        """Each class has this share of right labels, and its wrong ones are any others."""
        shares = np.full((num_classes, num_classes), (1 - right) / (num_classes - 1))
        np.fill_diagonal(shares, right)
        return cls(shares)

    def flips(self, candidates: Candidates) -> tuple[Floats, Floats]:
        classes = candidates.classes
        given = classes[:, :1]
        flips = np.where(classes >= 0, self.shares[classes, given], 0.0)
        left = self.shares.sum(axis=0)[given[:, 0]] - flips.sum(axis=1)
        return flips, np.maximum(left, 0.0)

    def learned(
        self, candidates: Candidates, shares: Floats, rest: Floats, config: NoiseModelConfig
    ) -> FullTransition:
        counts = count_transitions(candidates, shares, rest, self.shares)
        return FullTransition(shrunk_rows(counts, config))

    def concentration(self) -> float:
        num_classes = len(self.shares)
        wrong = self.shares * (1 - np.eye(num_classes))
        total = np.maximum(wrong.sum(axis=1), 1e-300)
        return mean_concentration(np.square(wrong / total[:, None]).sum(axis=1), total)

    def rows(self, true: Ints) -> Floats:
        return self.shares[true]

    def matrix(self) -> Floats:
        return self.shares


def mean_concentration(squares: Floats, total: Floats) -> float:
    """From each class's sum of squared shares of its wrong labels (c,) and their sum (c,)."""
    num_classes = len(total)
    if num_classes == 2:
        return 0.0
    even = 1 / (num_classes - 1)
    measured = (squares - even) / (1 - even)
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
    for _ in range(DOMINANCE_STEPS):
        right = np.diag(rows)
        most = config.dominance * np.minimum(right[:, None], right[None, :])
        np.fill_diagonal(most, 1.0)
        rows = np.minimum(rows, most)
        np.fill_diagonal(rows, right + 1 - rows.sum(axis=1))
    return rows
