"""The rest of a review: beyond the list that is shown, and of one pair of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean.errors import printable
from labelclean.review.pages import UNDECIDED, Bools, Floats, Ints, ReviewRows

BATCHES = (60, 240)  # images; and all there are
NAMED = 12  # images of a pair that are shown before they are accepted


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The next `images` undecided rows outside a list, and the wrong labels expected among them."""

    images: int
    wrong: float


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """The images left when a list is at its end.

    listed     rows of the list
    undecided  those of them without a decision
    batches    ever larger batches of the undecided rows outside the list; none if there are none
    """

    listed: int
    undecided: int
    batches: tuple[Batch, ...]

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "batches": [vars(batch) for batch in self.batches]}


@dataclass(frozen=True, kw_only=True)
class SurePair:
    """The undecided rows of one pair of labels that reach a precision together.

    rows       the surest first
    total      undecided rows of the pair, sure or not
    precision  expected share of right suggestions among `rows`; 0 without any
    """

    rows: Ints
    total: int
    precision: float

    def to_json(self, names: list[str]) -> dict[str, Any]:
        return {
            "rows": self.rows.tolist(),
            "names": [printable(names[row]) for row in self.rows[-NAMED:].tolist()],
            "total": self.total,
            "precision": self.precision,
        }


def look_ahead(rows: ReviewRows, listed: Ints, actions: NDArray[np.uint8]) -> Ahead:
    """Beyond the rows of a list, in the order of the review."""
    is_open = actions == UNDECIDED
    is_beyond = is_open & ~np.isnan(rows.chance)
    is_beyond[listed] = False
    expected: Floats = np.cumsum(rows.chance[rows.order[is_beyond[rows.order]]])
    count = len(expected)
    sizes = sorted({size for size in (*BATCHES, count) if 0 < size <= count})
    return Ahead(
        listed=len(listed),
        undecided=int(is_open[listed].sum()),
        batches=tuple(Batch(images=size, wrong=float(expected[size - 1])) for size in sizes),
    )


def sure_pair(
    rows: ReviewRows, row: int, precision: float, actions: NDArray[np.uint8], most: int
) -> SurePair:
    """As many undecided rows with the two labels of `row` as keep that expected precision.

    precision  least mean of suggested_probability, 0 to 1
    most       rows at most
    """
    given, suggested = rows.given[row], rows.suggested[row]
    is_same: Bools = (rows.given == given) & (rows.suggested == suggested) & rows.is_issue
    open_rows = np.flatnonzero(is_same & (actions == UNDECIDED) & ~np.isnan(rows.sure))
    ordered = open_rows[np.argsort(-rows.sure[open_rows], kind="stable")]
    means = np.cumsum(rows.sure[ordered]) / np.arange(1, len(ordered) + 1)
    # The mean only falls along the surest rows: those above the limit are the first ones.
    count = min(int((means >= precision).sum()), most)
    return SurePair(
        rows=ordered[:count],
        total=len(open_rows),
        precision=float(means[count - 1]) if count else 0.0,
    )
