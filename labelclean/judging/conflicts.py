"""Identical images with different labels: at most one of these labels can be right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labelclean.data.duplicates import conflicting

SURE = 1e-6  # no network is surer of a label than this


def resolve(
    issue_probability: NDArray[np.float64],
    first: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Issue probabilities (n,) given that at most one label of an image is right.

    With r_k the probability that label k is right by itself and o_k = r_k / (1 - r_k), the
    probability that k alone is right is o_k / (1 + sum of all o): the events "two are right" are
    ruled out and the rest is scaled to 1. So of two labels at least one is at 0.5 or above.

    issue_probability  (n,)  NaN where a row was not judged
    first              (n,)  first row of the same content (find_duplicates)
    labels             (n,)  given labels
    """
    resolved = issue_probability.copy()
    judged = np.flatnonzero(conflicting(first, labels) & ~np.isnan(issue_probability))
    judged = judged[np.argsort(first[judged], kind="stable")]
    borders = np.flatnonzero(np.diff(first[judged])) + 1
    for rows in np.split(judged, borders) if len(judged) else []:
        right = 1 - np.clip(issue_probability[rows], SURE, 1 - SURE)
        names, which = np.unique(labels[rows], return_inverse=True)
        mean_right = np.bincount(which, weights=right) / np.bincount(which)
        odds = mean_right / (1 - mean_right)
        resolved[rows] = 1 - (odds / (1 + odds.sum()))[which]
    return resolved
