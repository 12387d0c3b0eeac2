"""Neighbours: images to compare with, whose label is judged right, by the network's features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelclean.review.pages import Bools, Floats, Ints, ReviewRows

MOST = 6  # images of a class
BLOCK = 8192  # rows compared at once: float32 copies of more would fill the memory


@dataclass(frozen=True, kw_only=True)
class Similar:
    """Rows of one class to compare with.

    similarity  cosine, -1 to 1; None where there are no features and the rows are the class's most
                trusted images
    """

    label: int
    rows: tuple[int, ...]
    similarity: tuple[float, ...] | None


class Neighbours:
    """The nearest rows of a class among those whose given label is that class and judged right.

    embeddings  (n, d) float, a NaN row where there is no image; None: the most trusted are shown

    Raises ValueError if embeddings are not one for each row.
    """

    def __init__(self, rows: ReviewRows, embeddings: NDArray[np.floating] | None = None) -> None:
        if embeddings is not None and (embeddings.ndim != 2 or len(embeddings) != len(rows)):
            raise ValueError(f"embeddings are {embeddings.shape}, not ({len(rows)}, d)")
        self._rows = rows
        self._embeddings = embeddings
        # A copy would only show the same picture again: first rows of a content stand for it.
        is_trusted = ~rows.is_issue & ~np.isnan(rows.score) & (rows.first == np.arange(len(rows)))
        self._by_class: dict[int, Ints] = _grouped(rows.given, is_trusted)

    @property
    def are_by_features(self) -> bool:
        return self._embeddings is not None

    def beside(self, row: int, count: int = MOST) -> list[Similar]:
        """For the given and the suggested class (or the second best) the rows to compare with."""
        data = self._rows
        other = data.suggested[row]
        if other == data.given[row]:
            other = data.second[row]
        nearest = []
        for label in dict.fromkeys((int(data.given[row]), int(other))):
            if label >= 0:
                nearest.append(self.nearest(row, label, count))
        return nearest

    def nearest(self, row: int, label: int, count: int = MOST) -> Similar:
        """The `count` nearest rows of the class, nearest first, without the row and its copies."""
        candidates = self._by_class.get(label, np.empty(0, np.int64))
        candidates = candidates[candidates != self._rows.first[row]]
        if self._embeddings is None:
            score: Floats = self._rows.score[candidates]
            best = np.argsort(-score, kind="stable")[:count]
            return Similar(label=label, rows=_plain(candidates[best]), similarity=None)
        cosine = _cosines(self._embeddings, row, candidates)
        order = np.argsort(-cosine, kind="stable")  # NaN, rows without features, come last
        best = order[~np.isnan(cosine[order])][:count]
        return Similar(
            label=label,
            rows=_plain(candidates[best]),
            similarity=tuple(round(float(value), 4) for value in cosine[best]),
        )


def _cosines(embeddings: NDArray[np.floating], row: int, candidates: Ints) -> NDArray[np.float32]:
    """(m,) cosine of the row with each candidate; NaN where either has no features."""
    wanted = _unit(np.asarray(embeddings[row : row + 1], dtype=np.float32))[0]
    parts = [
        _unit(np.asarray(embeddings[candidates[at : at + BLOCK]], dtype=np.float32)) @ wanted
        for at in range(0, len(candidates), BLOCK)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    length[length == 0] = np.nan  # a vector of zeros points nowhere
    return np.asarray(vectors / length, dtype=np.float32)


def _grouped(labels: Ints, keep: Bools) -> dict[int, Ints]:
    rows = np.flatnonzero(keep & (labels >= 0))
    rows = rows[np.argsort(labels[rows], kind="stable")]
    borders = np.flatnonzero(np.diff(labels[rows])) + 1
    return {int(labels[part[0]]): part for part in np.split(rows, borders) if len(part)}


def _plain(rows: Sequence[int] | Ints) -> tuple[int, ...]:
    return tuple(int(row) for row in rows)
