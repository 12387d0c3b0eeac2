"""Each image's nearest others by their embeddings; of many images, those that share a cell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from labelclean.data.large_arrays import blocks_of

EXACT = 20_000  # images; of more, only those of a common cell are compared
# Each image belongs to the cells of its CELLS nearest centres; there are CENTRES * sqrt(images)
# centres (examples/benchmark, near_copies.py prints the recall and the time of this search).
CELLS, CENTRES = 8, 4
LARGEST = 20_000  # images of a cell that are compared; a larger one is searched in parts

EmbeddingsOf = Callable[[NDArray[np.int64]], NDArray[np.float16]]
Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
OnShare = Callable[[float], None]


def nearest_pairs(
    count: int, embeddings_of: EmbeddingsOf, neighbours: int, on_share: OnShare = lambda _: None
) -> Pairs:
    """Each pair (one < other) of an image and one of its nearest by the cosine to the mean.

    count          images
    embeddings_of  places (k,) in [0, count) -> (k, d), NaN for an image without one
    neighbours     of each image
    on_share       receives the share of the work that is done

    Of up to EXACT images these are the nearest of all. Beyond, cells of random centres are searched
    (an inverted file, as in Jegou et al. 2011): a neighbour is missed if it shares none of them.
    """
    unit = _unit_vectors(count, embeddings_of)
    if count > EXACT:
        nearest = _in_cells(count, unit, neighbours, on_share)
    else:
        near = NearestNeighbors(n_neighbors=min(neighbours, count - 1), metric="cosine")
        nearest = near.fit(unit(np.arange(count))).kneighbors(return_distance=False)
    rows = np.repeat(np.arange(count), nearest.shape[1])
    others = nearest.reshape(-1).astype(np.int64)
    return distinct_pairs(rows[others >= 0], others[others >= 0], count)


def distinct_pairs(one: NDArray[np.int64], other: NDArray[np.int64], count: int) -> Pairs:
    """The pairs of places in [0, count), each once and its smaller place first."""
    keys = np.unique(np.minimum(one, other) * count + np.maximum(one, other))
    return keys // count, keys % count


def _unit_vectors(
    count: int, embeddings_of: EmbeddingsOf
) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Places (k,) -> embeddings less their mean, of length 1; 0 for an image without one."""
    sums, known = np.zeros(1), 0
    for part in blocks_of(count):
        block = embeddings_of(np.arange(part.start, part.stop)).astype(np.float64)
        sums = sums + np.nansum(block, axis=0)
        known += int(np.isfinite(block[:, 0]).sum())
    mean = (sums / max(known, 1)).astype(np.float32)

    def unit(places: NDArray[np.int64]) -> NDArray[np.float32]:
        vectors = np.nan_to_num(embeddings_of(places).astype(np.float32) - mean)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        result: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
        return result

    return unit


def _in_cells(
    count: int,
    unit: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    neighbours: int,
    on_share: OnShare,
) -> NDArray[np.int32]:
    """The nearest (count, neighbours) among those that share a cell, -1 where there are fewer."""
    generator = np.random.Generator(np.random.PCG64(0))
    cells = int(CENTRES * np.sqrt(count))
    centres = NearestNeighbors(n_neighbors=CELLS, algorithm="brute").fit(
        unit(np.sort(generator.choice(count, cells, replace=False)))
    )
    home = np.empty((count, CELLS), dtype=np.int32)
    for part in blocks_of(count):
        block = unit(np.arange(part.start, part.stop))
        home[part] = centres.kneighbors(block, return_distance=False)
        on_share(part.stop / count / 2)
    order = np.argsort(home.reshape(-1), kind="stable")
    ends = np.cumsum(np.bincount(home.reshape(-1), minlength=cells))
    best = np.full((count, neighbours), -1, dtype=np.int32)
    far = np.full((count, neighbours), np.inf, dtype=np.float32)
    for cell, end in enumerate(ends.tolist()):
        members = order[ends[cell - 1] if cell else 0 : end] // CELLS
        # a million blank images share their cells
        for rows in np.array_split(members, -(-len(members) // LARGEST) or 1):
            if len(rows) > 1:
                best[rows], far[rows] = _nearer(best[rows], far[rows], rows, unit(rows))
        on_share((1 + (cell + 1) / cells) / 2)
    return best


def _nearer(
    best: NDArray[np.int32],
    far: NDArray[np.float32],
    rows: NDArray[np.int64],
    vectors: NDArray[np.float32],
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The nearest of what rows (m,) have, best and far (m, k), and of one another."""
    width = best.shape[1]
    near = NearestNeighbors(n_neighbors=min(width, len(rows) - 1), algorithm="brute")
    distance, place = near.fit(vectors).kneighbors()
    found = rows[place].astype(np.int32)
    is_known = (found[:, :, None] == best[:, None, :]).any(axis=2)
    both = np.concatenate([best, found], axis=1)
    distances = np.concatenate([far, np.where(is_known, np.inf, distance)], axis=1)
    order = np.argsort(distances, axis=1, kind="stable")[:, :width]
    chosen = np.take_along_axis(distances, order, axis=1).astype(np.float32)
    return np.where(np.isfinite(chosen), np.take_along_axis(both, order, axis=1), -1), chosen
