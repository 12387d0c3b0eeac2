"""Exact duplicates: images of the same content, by their digests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def find_duplicates(digest: NDArray[np.uint64], has_image: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each row the first row with the same content, which is the row itself if it is new.

    digest     (n, 2)  equal for equal content
    has_image  (n,)    rows without an image are nobody's duplicate
    """
    first = np.arange(len(digest))
    rows = np.flatnonzero(has_image)
    _, start, inverse = np.unique(digest[rows], axis=0, return_index=True, return_inverse=True)
    first[rows] = rows[start[inverse.reshape(-1)]]
    return first


def conflicting(first: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows (n,) of which a duplicate has another label: at least one of the labels is wrong.

    labels  (n,) int64, below 0 where there is none
    """
    labelled = np.flatnonzero(labels >= 0)
    low = np.full(len(labels), np.iinfo(np.int64).max)
    high = np.full(len(labels), -1)
    np.minimum.at(low, first[labelled], labels[labelled])
    np.maximum.at(high, first[labelled], labels[labelled])
    return (labels >= 0) & (low[first] < high[first])
