"""Predictions: what a network says of every row; passes from learning to report."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """One row for each row of the source; NaN (class -1) where there is nothing to say.

    p_given        (n,)    probability of the given label, by the network at the end
    margin         (n,)    its logit less the largest other one
    top_classes    (n, k)  most probable classes, falling, with top_probs (n, k)
    epoch_p_given  (n,)    means over the last epochs of training, of augmented images, with
                           epoch_margin (n,); NaN for rows that were not trained on
    other_classes  (n, s)  drawn at random among those not given, with other_probs (n, s): where
                           k < c, they show what was memorised; s = 0 where k = c
    ranking                by what learned from these: it ranks the rows better and names classes
                           better, but believes its own mistakes; None: there is nothing such
    """

    p_given: NDArray[np.float32]
    margin: NDArray[np.float32]
    top_classes: NDArray[np.int32]
    top_probs: NDArray[np.float32]
    epoch_p_given: NDArray[np.float32]
    epoch_margin: NDArray[np.float32]
    other_classes: NDArray[np.int32]
    other_probs: NDArray[np.float32]
    ranking: Predictions | None = None

    def replaced(self, rows: NDArray[np.int64], others: Predictions) -> Predictions:
        """A copy with those of other predictions in the given rows."""
        columns = {}
        for each in fields(self):
            if each.name != "ranking":
                column = getattr(self, each.name).copy()
                column[rows] = getattr(others, each.name)[rows]
                columns[each.name] = column
        ranking = self.ranking and self.ranking.replaced(rows, others.ranking or others)
        return Predictions(**columns, ranking=ranking)
