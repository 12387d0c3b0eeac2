"""Near duplicates: images that look the same, though their files or pixels differ."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from labelclean.data.looks import CHUNK, Looks, PixelRowsOf
from labelclean.data.neighbours import EmbeddingsOf, OnShare, Pairs, distinct_pairs
from labelclean.data.shown_parts import parts_of_each_other

BITS = 3  # of 64 that the perceptual hashes of near duplicates may differ in
BANDS = 5  # of a hash: two that differ in BITS bits agree in two bands of 12 or 13 bits at least
CROWDED = 300  # rows with the same two bands: these say nothing and are left out
NEAR = 0.95  # cosine of the embeddings of near duplicates
ALIKE = 0.98  # correlation of their grey values: of shoes in one pose it is up to 0.976


def near_groups(
    looks: Looks,
    embeddings_of: EmbeddingsOf,
    pixels_of: PixelRowsOf | None,
    on_share: OnShare = lambda _: None,
) -> NDArray[np.int64]:
    """For each image the first one of its group of near duplicates: itself if it is alone.

    Two images are near where hash, embedding and grey values are, or where one shows a part of the
    other, at any size; groups are what is so linked.

    looks          of m images
    embeddings_of  places (k,) in [0, m) -> (k, d)
    pixels_of      places (k,) in [0, m) -> (k, size, size, 3) uint8; None: no image can be opened
    on_share       receives the share of the work that is done
    returns        (m,) int64
    """

    def grey_of(places: NDArray[np.int64]) -> NDArray[np.float32]:
        return _centred(looks.grey[places] if pixels_of is None else pixels_of(places))

    one, other = _alike(looks.hashes)
    for vectors_of, least in ((embeddings_of, NEAR), (grey_of, ALIKE)):
        cosines = np.empty(len(one), dtype=np.float32)
        for begin in range(0, len(one), CHUNK):
            part = slice(begin, begin + CHUNK)
            cosines[part] = _cosines(vectors_of(one[part]), vectors_of(other[part]))
        one, other = one[cosines >= least], other[cosines >= least]
    count = len(looks.hashes)
    if count > 1 and looks.is_detailed:
        parts = parts_of_each_other(looks.grey, embeddings_of, pixels_of, on_share)
        one, other = np.concatenate([one, parts[0]]), np.concatenate([other, parts[1]])
    links = coo_array((np.ones(len(one)), (one, other)), shape=(count, count))
    _, group = connected_components(links, directed=False)
    first = np.full(count, count, dtype=np.int64)
    np.minimum.at(first, group, np.arange(count))
    groups: NDArray[np.int64] = first[group]
    return groups


def _alike(hashes: NDArray[np.uint64]) -> Pairs:
    """Pairs of rows whose hashes differ in BITS bits at most.

    Equal hashes are paired in a chain, not each with each.
    """
    order = np.argsort(hashes, kind="stable")
    equal = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
    ones, others = [order[equal]], [order[equal + 1]]
    _, distinct = np.unique(hashes, return_index=True)
    ends = [round(64 * band / BANDS) for band in range(BANDS + 1)]
    bands = [(1 << end) - (1 << begin) for begin, end in zip(ends, ends[1:], strict=False)]
    for two in combinations(bands, 2):
        key = hashes[distinct] & np.uint64(sum(two))
        order = distinct[np.argsort(key, kind="stable")]
        _, starts, sizes = np.unique(np.sort(key), return_index=True, return_counts=True)
        for size in np.unique(sizes[(sizes > 1) & (sizes <= CROWDED)]).tolist():
            places = starts[sizes == size][:, None] + np.arange(size)
            a, b = np.triu_indices(size, 1)
            one, other = order[places[:, a]].reshape(-1), order[places[:, b]].reshape(-1)
            near = np.bitwise_count(hashes[one] ^ hashes[other]) <= BITS
            ones.append(one[near])
            others.append(other[near])
    return distinct_pairs(np.concatenate(ones), np.concatenate(others), len(hashes))


def _centred(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey values (k, size²) less their mean, of pixels with or without colours.

    Constant images get a tiny offset, so that their correlation with themselves is 1.
    """
    grey = pixels if pixels.ndim == 3 else pixels.mean(axis=3, dtype=np.float32)
    grey = grey.reshape(len(pixels), -1).astype(np.float32)
    centred: NDArray[np.float32] = grey - grey.mean(axis=1, keepdims=True)
    centred[:, 0] += 1e-3
    return centred


def _cosines(
    one: NDArray[np.floating[Any]], other: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    a, b = one.astype(np.float32), other.astype(np.float32)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines: NDArray[np.float32] = (a * b).sum(axis=1) / np.maximum(lengths, 1e-12)
    return cosines
