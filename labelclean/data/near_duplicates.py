"""Near duplicates: images that look the same, though their files or pixels differ."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import imagehash
import loky
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from labelclean.data.shown_parts import (
    CHUNK,
    EmbeddingsOf,
    OnShare,
    PixelRowsOf,
    parts_of_each_other,
)

BITS = 3  # of 64 that the perceptual hashes of near duplicates may differ in
BANDS = 4  # two hashes that differ in fewer bits than this agree in one band of 16 bits at least
CROWDED = 300  # rows with the same band: such a band says nothing and is left out
NEAR = 0.95  # cosine of the embeddings of near duplicates
ALIKE = 0.98  # correlation of their grey values: of shoes in one pose it is up to 0.976
FEW = 20_000  # images; below it the start of processes costs more than they gain


def perceptual_hashes(
    pixels_of: PixelRowsOf,
    rows: NDArray[np.int64],
    workers: int | None = None,
    on_rows: Callable[[int], None] = lambda _: None,
) -> NDArray[np.uint64]:
    """pHash (Zauner 2010) of each image: bits of the signs of its lowest frequencies.

    pixels_of  rows (m,) -> (m, size, size, 3) uint8
    returns    (len(rows),)
    """
    chunks = (rows[k : k + CHUNK] for k in range(0, len(rows), CHUNK))
    hashes = []
    for part in _mapped(map(pixels_of, chunks), workers if len(rows) > FEW else 1):
        hashes.append(part)
        on_rows(len(part))
    return np.concatenate(hashes) if hashes else np.empty(0, dtype=np.uint64)


def _mapped(
    chunks: Iterator[NDArray[np.uint8]], workers: int | None
) -> Iterator[NDArray[np.uint64]]:
    if workers == 1:
        yield from map(_hashes, chunks)
        return
    workers = workers or loky.cpu_count()
    executor = loky.get_reusable_executor(max_workers=workers)
    waiting: deque[Future[NDArray[np.uint64]]] = deque()
    for chunk in chunks:  # not executor.map, which reads all pixels before the first result
        waiting.append(executor.submit(_hashes, chunk))
        if len(waiting) > workers:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _hashes(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    bits = [imagehash.phash(Image.fromarray(image)).hash.reshape(-1) for image in pixels]
    return np.packbits(np.array(bits, dtype=bool), axis=1).view(">u8")[:, 0].astype(np.uint64)


def near_groups(
    hashes: NDArray[np.uint64],
    embeddings_of: EmbeddingsOf,
    pixels_of: PixelRowsOf,
    on_share: OnShare = lambda _: None,
) -> NDArray[np.int64]:
    """For each image the first one of its group of near duplicates: itself if it is alone.

    Two images are near where hash, embedding and grey values are, or where one shows a part of the
    other, at any size; groups are what is so linked.

    hashes         (m,)
    embeddings_of  places (k,) in [0, m) -> (k, d); all only where m is at most MOST_COMPARED
    pixels_of      places (k,) in [0, m) -> (k, size, size, 3) uint8
    on_share       receives the share of the work that is done
    returns        (m,) int64
    """
    one, other = _candidates(hashes)
    near = np.bitwise_count(hashes[one] ^ hashes[other]) <= BITS
    one, other = one[near], other[near]
    for vectors_of, least in ((embeddings_of, NEAR), (lambda k: _centred(pixels_of(k)), ALIKE)):
        cosines = np.empty(len(one), dtype=np.float32)
        for begin in range(0, len(one), CHUNK):
            part = slice(begin, begin + CHUNK)
            cosines[part] = _cosines(vectors_of(one[part]), vectors_of(other[part]))
        one, other = one[cosines >= least], other[cosines >= least]
    count = len(hashes)
    parts = parts_of_each_other(count, embeddings_of, pixels_of, on_share)
    one, other = np.concatenate([one, parts[0]]), np.concatenate([other, parts[1]])
    links = coo_array((np.ones(len(one)), (one, other)), shape=(count, count))
    _, group = connected_components(links, directed=False)
    first = np.full(count, count, dtype=np.int64)
    np.minimum.at(first, group, np.arange(count))
    groups: NDArray[np.int64] = first[group]
    return groups


def _candidates(hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows whose hashes agree in a band; equal hashes in a chain, not each with each."""
    order = np.argsort(hashes, kind="stable")
    equal = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
    ones, others = [order[equal]], [order[equal + 1]]
    _, distinct = np.unique(hashes, return_index=True)
    for band in range(BANDS):
        key = (hashes[distinct] >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        order = distinct[np.argsort(key, kind="stable")]
        _, starts, sizes = np.unique(np.sort(key), return_index=True, return_counts=True)
        for size in np.unique(sizes[(sizes > 1) & (sizes <= CROWDED)]).tolist():
            places = starts[sizes == size][:, None] + np.arange(size)
            a, b = np.triu_indices(size, 1)
            ones.append(order[places[:, a]].reshape(-1))
            others.append(order[places[:, b]].reshape(-1))
    return np.concatenate(ones), np.concatenate(others)


def _centred(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey values (k, size²) less their mean.

    Constant images get a tiny offset, so that their correlation with themselves is 1.
    """
    grey = pixels.mean(axis=3, dtype=np.float32).reshape(len(pixels), -1)
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
