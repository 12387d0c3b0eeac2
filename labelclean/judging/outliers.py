"""Images that seem to belong to none of the classes: not made of what the network knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from labelclean.data.large_arrays import blocks_of

KNOWN = 20_000  # rows judged right that stand for what the network knows
LEAST_KNOWN = 500  # of fewer rows the spread is not known well enough
DIRECTIONS = 8  # a class: principal directions of the features that are taken as known
# Times the way from the median to the 90th percentile of the known rows: for a label that is judged
# wrong anyway, and for others (examples/benchmark, no_class.py).
FARTHER_IF_WRONG, FARTHER = 1.4, 1.8
DOUBT = 2.0  # weight of the logarithm of the probability that the given label is wrong
LEAST_DOUBT = 1e-3

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class NoClass:
    """How little each image resembles any class.

    score    (n,)  0 to 1, low: of no class; NaN where there is nothing to say
    is_none  (n,)  the verdict
    """

    score: Floats
    is_none: NDArray[np.bool_]


def no_class(
    features: NDArray[np.float16],
    top_probs: NDArray[np.float32],
    issue_probability: Floats,
    is_issue: NDArray[np.bool_],
    num_classes: int,
    seed: int = 0,
) -> NoClass:
    """Images of no class: foreign to the network, unsure, and with a label that is doubted.

    Foreign: the share of the features that lies outside the principal directions of the surest
    rows judged right, as in ViM (Wang et al. 2022). Unsure: the log-odds of the likeliest class.
    Both are measured in deviations of the rows judged right, and added. The bounds are from
    quantiles that a tenth of outliers among these rows does not move.

    features           (n, f)  NaN for rows without an image
    top_probs          (n,)    of the most probable class
    issue_probability  (n,)    NaN where no label is judged
    is_issue           (n,)    whose label is judged wrong
    """
    nothing = NoClass(
        score=np.full(len(features), np.nan), is_none=np.zeros(len(features), dtype=np.bool_)
    )
    seen = np.flatnonzero(~np.isnan(features[:, 0]) & np.isfinite(top_probs))
    is_right = ~is_issue[seen] & np.isfinite(issue_probability[seen])
    known = seen[is_right]
    if len(known) > KNOWN:
        generator = np.random.Generator(np.random.PCG64(seed))
        known = np.sort(generator.choice(known, KNOWN, replace=False))
    known = known[np.abs(features[known]).max(axis=1) > 0]
    if len(known) < LEAST_KNOWN:
        return nothing
    outside = _outside(features, known, top_probs, num_classes, seed)
    foreign = _scaled(
        np.concatenate([outside(seen[part]) for part in blocks_of(len(seen))]), seen, known
    )
    odds = top_probs[seen].astype(np.float64)
    unsure = np.log(np.maximum(1 - odds, 1e-6)) - np.log(np.maximum(odds, 1e-6))
    total = foreign + _scaled(unsure, seen, known)
    middle, high = np.quantile(total[np.searchsorted(seen, known)], [0.5, 0.9])
    way = max(float(high - middle), 1e-9)
    wrong = np.where(np.isfinite(issue_probability[seen]), issue_probability[seen], 1.0)
    bound = middle + FARTHER_IF_WRONG * way
    doubted = total + DOUBT * np.log(np.maximum(wrong, LEAST_DOUBT))
    score, is_none = nothing.score, nothing.is_none
    score[seen] = 1 / (1 + np.exp(np.clip((doubted - bound) / way, -30, 30)))
    is_none[seen] = total > np.where(is_issue[seen], bound, middle + FARTHER * way)
    return NoClass(score=score, is_none=is_none)


def _outside(
    features: NDArray[np.float16],
    known: NDArray[np.int64],
    top_probs: NDArray[np.float32],
    num_classes: int,
    seed: int,
) -> Callable[[NDArray[np.int64]], Floats]:
    """A function from rows (m,) to the share of their features' length that is not known (m,)."""
    seen = features[known].astype(np.float32)
    mean, std = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-6)
    surest = seen[top_probs[known] >= np.median(top_probs[known])]
    count = min(DIRECTIONS * num_classes, features.shape[1] // 2, len(surest) // 4)
    pca = PCA(n_components=count, svd_solver="randomized", random_state=seed)
    pca.fit((surest - mean) / std)

    def outside(rows: NDArray[np.int64]) -> Floats:
        wide = (features[rows].astype(np.float32) - mean) / std
        rest = wide - pca.inverse_transform(pca.transform(wide))
        lengths = np.maximum(np.linalg.norm(wide, axis=1), 1e-12)
        shares: NDArray[np.float32] = np.linalg.norm(rest, axis=1) / lengths
        return shares.astype(np.float64)

    return outside


def _scaled(values: Floats, seen: NDArray[np.int64], known: NDArray[np.int64]) -> Floats:
    """Values (m,) of the rows `seen`, in deviations of the known ones from their median."""
    low, middle, high = np.quantile(values[np.searchsorted(seen, known)], [0.16, 0.5, 0.84])
    scaled: Floats = (values - middle) / max(float(high - low) / 2, 1e-9)
    return scaled
