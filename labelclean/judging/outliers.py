"""Images that seem to belong to none of the classes: not made of what the network knows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

KNOWN = 20_000  # rows judged right that stand for what the network knows
LEAST_KNOWN = 500  # of fewer rows the spread is not known well enough
DIRECTIONS = 2  # a class: principal directions of the embeddings that are taken as known
FARTHER = 2.5  # times the way from the median to the 90th percentile of the known rows
CHUNK = 100_000


def no_class(
    embeddings: NDArray[np.float16],
    top_probs: NDArray[np.float32],
    is_right: NDArray[np.bool_],
    num_classes: int,
    seed: int = 0,
) -> NDArray[np.bool_]:
    """Rows (n,) of no class: far from the known directions, and not among the sure ones.

    The measure is the share of an embedding that lies outside the principal directions of the
    surest rows judged right, as in ViM (Wang et al. 2022), divided by the embedding's length. The
    bound is from quantiles that a tenth of outliers among the rows judged right does not move.

    embeddings  (n, d)  NaN for rows without an image
    top_probs   (n,)    of the most probable class
    is_right    (n,)    judged, and the given label believed
    """
    is_outside = np.zeros(len(embeddings), dtype=np.bool_)
    known = np.flatnonzero(is_right)
    if len(known) > KNOWN:
        generator = np.random.Generator(np.random.PCG64(seed))
        known = np.sort(generator.choice(known, KNOWN, replace=False))
    known = known[np.abs(embeddings[known]).max(axis=1) > 0]
    directions = min(DIRECTIONS * num_classes, embeddings.shape[1] // 2)
    if len(known) < max(LEAST_KNOWN, 2 * directions):
        return is_outside
    sure = float(np.median(top_probs[known]))
    surest = embeddings[known[top_probs[known] >= sure]].astype(np.float64)
    pca = PCA(n_components=directions, svd_solver="full").fit(surest)
    middle, high = np.quantile(_outside(pca, embeddings[known]), [0.5, 0.9])
    bound = middle + FARTHER * (high - middle)
    # NaN is not unsure; a row without an image may have probabilities, but has no features
    unsure = np.flatnonzero((top_probs < sure) & ~np.isnan(embeddings[:, 0]))
    for begin in range(0, len(unsure), CHUNK):
        rows = unsure[begin : begin + CHUNK]
        is_outside[rows] = _outside(pca, embeddings[rows]) > bound
    return is_outside


def _outside(pca: PCA, embeddings: NDArray[np.float16]) -> NDArray[np.float64]:
    """Length of what the directions do not hold, as a share of the whole (m,)."""
    wide = embeddings.astype(np.float64)
    rest = wide - pca.inverse_transform(pca.transform(wide))
    lengths = np.maximum(np.linalg.norm(wide, axis=1), 1e-12)
    shares: NDArray[np.float64] = np.linalg.norm(rest, axis=1) / lengths
    return shares
