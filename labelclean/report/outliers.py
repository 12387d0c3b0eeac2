"""Images that seem to belong to none of the classes: far from all that the network knows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

KNOWN = 5_000  # images, judged right, that stand for what the network knows
NEIGHBOURS = 5
FARTHER = 0.999  # share of the known images that are nearer to their neighbours
UNSURE = 0.5  # most probable class at most this: the image looks like no class
CHUNK = 20_000


def no_class(
    embeddings: NDArray[np.float16],
    top_probs: NDArray[np.float32],
    is_right: NDArray[np.bool_],
    seed: int = 0,
) -> NDArray[np.bool_]:
    """Rows (n,) of no class: no probability above UNSURE, and farther off than nearly all others.

    The distance is the mean cosine distance to the nearest of a sample of images judged right;
    the bound is the FARTHER quantile of their own distances to each other.

    embeddings  (n, d)  NaN for rows without an image
    top_probs   (n,)    of the most probable class
    is_right    (n,)    judged, and the given label believed
    """
    found = np.zeros(len(embeddings), dtype=np.bool_)
    known = np.flatnonzero(is_right)
    if len(known) <= 10 * NEIGHBOURS:
        return found
    generator = np.random.Generator(np.random.PCG64(seed))
    if len(known) > KNOWN:
        known = np.sort(generator.choice(known, KNOWN, replace=False))
    sample = embeddings[known].astype(np.float32)
    nearest = NearestNeighbors(metric="cosine", algorithm="brute").fit(sample)
    own, _ = nearest.kneighbors(n_neighbors=NEIGHBOURS)  # without the image itself
    bound = np.quantile(own.mean(axis=1), FARTHER)
    unsure = np.flatnonzero(top_probs <= UNSURE)  # NaN is not
    for begin in range(0, len(unsure), CHUNK):
        rows = unsure[begin : begin + CHUNK]
        distances, _ = nearest.kneighbors(embeddings[rows].astype(np.float32), NEIGHBOURS)
        found[rows] = distances.mean(axis=1) > bound
    return found
