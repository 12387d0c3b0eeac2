"""The transition matrix of thousands of classes: only the cells that some row's candidates name.

All other cells change alike in a step of expectation-maximisation: each is scaled by its column,
raised by the pull to even noise and scaled by its row. After k steps they are the sum of k + 1
products of a number of the row and a number of the column, which is all that is kept of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from labelclean.judging.candidates import Candidates, Floats, Ints
from labelclean.judging.transitions import DOMINANCE_STEPS, mean_concentration
from labelclean.judging.tuned import NoiseModelConfig


@dataclass(frozen=True)
class _Cells:
    """Pairs of classes (s,) in order of (true, given), those on the diagonal among them.

    diagonal    (c,)    places of the cells on it
    candidates  rows whose pairs are all there, and their places (m, q)
    """

    true: Ints
    given: Ints
    diagonal: Ints
    candidates: Candidates
    places: Ints

    @classmethod
    def naming(cls, candidates: Candidates, num_classes: int, more: Ints) -> _Cells:
        """more  (k,) further cells, as true * num_classes + given"""
        pairs = _pairs(candidates, num_classes)
        diagonal = np.arange(num_classes) * (num_classes + 1)
        numbers = np.unique(np.concatenate([pairs.ravel(), diagonal, more]))
        return cls(
            true=numbers // num_classes,
            given=numbers % num_classes,
            diagonal=np.searchsorted(numbers, diagonal),
            candidates=candidates,
            places=np.searchsorted(numbers, pairs),
        )

    def sums(self, values: Floats, classes: Ints) -> Floats:
        """Sums (c,) of values (s,) by the cells' classes, which are `true` or `given`."""
        summed = np.bincount(classes, weights=values, minlength=len(self.diagonal))
        return np.asarray(summed, dtype=np.float64)


@dataclass(frozen=True)
class SparseTransition:
    """Cells that are listed, and of all others the sum over k of row (c, k) * column (c, k).

    values  (s,) of the listed cells
    others  (s,) what each of them would be if it were not listed
    """

    cells: _Cells
    values: Floats
    others: Floats
    row: Floats
    column: Floats

    @classmethod
    def even(cls, candidates: Candidates, num_classes: int, right: float) -> SparseTransition:
        """Each class has this share of right labels, and its wrong ones are any others."""
        cells = _Cells.naming(candidates, num_classes, np.empty(0, np.int64))
        wrong = (1 - right) / (num_classes - 1)
        others = np.full(len(cells.true), wrong)
        values = others.copy()
        values[cells.diagonal] = right
        ones = np.ones((num_classes, 1))
        return cls(cells, values, others, wrong * ones, ones)

    def flips(self, candidates: Candidates) -> tuple[Floats, Floats]:
        if candidates is self.cells.candidates:
            shares = self.values[self.cells.places]
        else:
            shares = self._at(_pairs(candidates, self._num_classes))
        flips = np.where(candidates.classes >= 0, shares, 0.0)
        left = self._column_sums(self.values)[candidates.classes[:, 0]] - flips.sum(axis=1)
        return flips, np.maximum(left, 0.0)

    def learned(
        self, candidates: Candidates, shares: Floats, rest: Floats, config: NoiseModelConfig
    ) -> SparseTransition:
        cells, num_classes = self.cells, self._num_classes
        if candidates is not cells.candidates:
            raise ValueError("candidates are others than it was begun with")
        wrong = self.values.copy()
        wrong[cells.diagonal] = 0.0
        left = np.bincount(candidates.classes[:, 0], weights=rest, minlength=num_classes)
        scale = left / np.maximum(self._column_sums(wrong), 1e-300)
        counts = wrong * scale[cells.given] + np.bincount(
            cells.places.ravel(), weights=shares.ravel(), minlength=len(wrong)
        )
        counted = replace(
            self,
            values=counts,
            others=self.others * scale[cells.given],
            column=self.column * scale[:, None],
        )
        return counted._shrunk(config)

    def concentration(self) -> float:
        wrong = self.values.copy()
        wrong[self.cells.diagonal] = 0.0
        total = np.maximum(self._row_sums(wrong), 1e-300)
        of_all = np.einsum("ik,kl,il->i", self.row, self.column.T @ self.column, self.row)
        squares = of_all + self.cells.sums(
            np.square(wrong) - np.square(self.others), self.cells.true
        )
        return mean_concentration(squares / np.square(total), total)

    def rows(self, true: Ints) -> Floats:
        rows = self.row[true] @ self.column.T
        begin = np.searchsorted(self.cells.true, true)
        count = np.searchsorted(self.cells.true, true, side="right") - begin
        at = np.repeat(np.arange(len(true)), count)
        listed = np.arange(len(at)) + np.repeat(begin - (np.cumsum(count) - count), count)
        rows[at, self.cells.given[listed]] = self.values[listed]
        return rows

    def matrix(self) -> Floats:
        return self.rows(np.arange(self._num_classes))

    def _shrunk(self, config: NoiseModelConfig) -> SparseTransition:
        """transitions.shrunk_rows of counts that stand here in place of shares."""
        cells, num_classes = self.cells, self._num_classes
        sums = self._row_sums(self.values)
        wrong = 1 - self.values[cells.diagonal].sum() / sums.sum()
        pull = config.pull * num_classes
        even = pull * wrong / (num_classes - 1)
        added = np.full(len(self.values), even)
        added[cells.diagonal] = pull * (1 - wrong)
        scale = 1 / (sums + pull)
        bounded = replace(
            self,
            values=(self.values + added) * scale[cells.true],
            others=(self.others + even) * scale[cells.true],
            # the mean goes to the other factor: neither runs out of range in many steps
            row=np.hstack([self.row, np.full((num_classes, 1), even)])
            * (scale / scale.mean())[:, None],
            column=np.hstack([self.column, np.ones((num_classes, 1))]) * scale.mean(),
        )
        for _ in range(DOMINANCE_STEPS):
            bounded = bounded._bounded(config.dominance)
        return bounded

    def _bounded(self, dominance: float) -> SparseTransition:
        most = dominance * self.values[self.cells.diagonal]
        listed = self._listing(self._above(most))
        cells, right = listed.cells, listed.values[listed.cells.diagonal]
        values = np.minimum(listed.values, np.minimum(most[cells.true], most[cells.given]))
        values[cells.diagonal] = np.minimum(right, 1.0)
        values[cells.diagonal] = right + 1 - listed._row_sums(values)
        return replace(listed, values=values)

    def _above(self, most: Floats) -> Ints:
        """Cells not listed that may be above the least `most` (c,) of their two classes.

        As true * num_classes + given; next to always there are none.
        """
        num_classes = self._num_classes
        highest_of_row = self.row @ self.column.max(axis=0)
        highest_of_column = self.column @ self.row.max(axis=0)
        found = [np.empty(0, np.int64)]
        for true in np.flatnonzero(highest_of_row > most).tolist():
            found.append(true * num_classes + np.arange(num_classes))
        for given in np.flatnonzero(highest_of_column > most).tolist():
            found.append(np.arange(num_classes) * num_classes + given)
        return np.concatenate(found)

    def _listing(self, more: Ints) -> SparseTransition:
        """The same with further cells listed."""
        if not len(more):
            return self
        cells = _Cells.naming(
            self.cells.candidates, self._num_classes, np.concatenate([self._numbers(), more])
        )
        numbers = cells.true * self._num_classes + cells.given
        others = self._unlisted(cells.true, cells.given)
        return replace(self, cells=cells, values=self._at(numbers), others=others)

    def _at(self, pairs: Ints) -> Floats:
        """Values of any cells, as true * num_classes + given."""
        distinct, inverse = np.unique(pairs, return_inverse=True)
        numbers = self._numbers()
        place = np.minimum(np.searchsorted(numbers, distinct), len(numbers) - 1)
        values = self.values[place]
        missing = np.flatnonzero(numbers[place] != distinct)
        values[missing] = self._unlisted(*np.divmod(distinct[missing], self._num_classes))
        return values[inverse].reshape(pairs.shape)

    def _unlisted(self, true: Ints, given: Ints) -> Floats:
        total = np.zeros(len(true))
        for row, column in zip(self.row.T, self.column.T, strict=True):
            total += row[true] * column[given]
        return total

    def _row_sums(self, values: Floats) -> Floats:
        """Sums (c,) over all cells of a row, these (s,) standing in place of the listed ones."""
        of_all = self.row @ self.column.sum(axis=0)
        sums: Floats = of_all + self.cells.sums(values - self.others, self.cells.true)
        return np.maximum(sums, 0.0)

    def _column_sums(self, values: Floats) -> Floats:
        of_all = self.column @ self.row.sum(axis=0)
        sums: Floats = of_all + self.cells.sums(values - self.others, self.cells.given)
        return np.maximum(sums, 0.0)

    def _numbers(self) -> Ints:
        return self.cells.true * self._num_classes + self.cells.given

    @property
    def _num_classes(self) -> int:
        return len(self.cells.diagonal)


def _pairs(candidates: Candidates, num_classes: int) -> Ints:
    """(m, q) each candidate with the given label, as true * num_classes + given."""
    return np.maximum(candidates.classes, 0) * num_classes + candidates.classes[:, :1]
