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
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter, zoom
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors

BITS = 3  # of 64 that the perceptual hashes of near duplicates may differ in
BANDS = 4  # two hashes that differ in fewer bits than this agree in one band of 16 bits at least
CROWDED = 300  # rows with the same band: such a band says nothing and is left out
NEAR = 0.95  # cosine of the embeddings of near duplicates
ALIKE = 0.98  # correlation of their grey values: of shoes in one pose it is up to 0.976
# Copies at another size, crop or compression: the nearest images by their embeddings, of which one
# fits into the other. On photos such copies correlate at .86 and more, other images at up to .77.
NEIGHBOURS = 3  # of each image that are compared with it
MOST_COMPARED = 20_000  # images: of more, the nearest are not looked for
LEAST_SIDE = 96  # px: smaller images have too little detail, shoes in one pose fit at .97
COARSE, FINE = 32, 64  # px of the details that are compared, first and last
MAYBE, FITS = 0.6, 0.85  # correlation from which on a pair goes on, and is one
LEAST_PART = 0.78  # of the side of the larger image that the other one shows
CHUNK = 500  # images read at once: 75 MB at 224 px
FEW = 20_000  # images; below it the start of processes costs more than they gain

PixelRowsOf = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
OnShare = Callable[[float], None]
EmbeddingsOf = Callable[[NDArray[np.int64]], NDArray[np.float16]]


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
    parts = _parts_of_each_other(count, embeddings_of, pixels_of, on_share)
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


def _parts_of_each_other(
    count: int, embeddings_of: EmbeddingsOf, pixels_of: PixelRowsOf, on_share: OnShare
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of images of which one shows the other, or a part of it."""
    none = np.empty(0, dtype=np.int64)
    if not 1 < count <= MOST_COMPARED or pixels_of(np.zeros(1, np.int64)).shape[1] < LEAST_SIDE:
        return none, none
    one, other = _nearest(embeddings_of(np.arange(count)).astype(np.float32))
    for step, (side, least) in enumerate(((COARSE, MAYBE), (FINE, FITS))):
        rows, places = np.unique(np.concatenate([one, other]), return_inverse=True)
        details = _details(pixels_of, rows, side)
        pairs = places[: len(one)], places[len(one) :]
        fits = _fit(details, *pairs, _half(on_share, step)) >= least
        one, other = one[fits], other[fits]
    return one, other


def _half(on_share: OnShare, step: int) -> OnShare:
    """The share of one of two equal steps as the share of both."""
    return lambda share: on_share((step + share) / 2)


def _nearest(embeddings: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each pair (one < other) of an image and one of its nearest by the cosine to the mean."""
    vectors = np.nan_to_num(embeddings - np.nanmean(embeddings, axis=0))
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(vectors) - 1), metric="cosine")
    nearest = near.fit(vectors).kneighbors(return_distance=False)
    rows = np.repeat(np.arange(len(vectors)), nearest.shape[1])
    pairs = np.unique(np.sort(np.stack([rows, nearest.reshape(-1)], axis=1), axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _details(pixels_of: PixelRowsOf, rows: NDArray[np.int64], side: int) -> NDArray[np.float32]:
    """Grey values (k, side, side) less their surroundings: light and colour do not count."""
    grey = np.empty((len(rows), side, side), dtype=np.float32)
    for begin in range(0, len(rows), CHUNK):
        for k, pixels in enumerate(pixels_of(rows[begin : begin + CHUNK]), begin):
            small = Image.fromarray(pixels).convert("L")
            grey[k] = np.asarray(small.resize((side, side), Image.Resampling.BILINEAR))
    blur = side / 21
    details: NDArray[np.float32] = grey - gaussian_filter(grey, (0, blur, blur))
    return details


def _fit(
    details: NDArray[np.float32],
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    on_share: OnShare,
) -> NDArray[np.float32]:
    """The best correlation (m,) of either image, shrunk a little, at any place of the other.

    details     (k, side, side)
    one, other  (m,) places in it
    """
    side = details.shape[1]
    shape = (2 * side, 2 * side)
    waves = rfft2(details, shape)
    sums, squares = _summed(details), _summed(details**2)
    best = np.full(len(one), -1.0, dtype=np.float32)
    widths = range(round(LEAST_PART * side), side + 1, max(1, side // 32))
    for done, width in enumerate(widths):
        on_share(done / len(widths))
        shrunk = zoom(details, (1, width / side, width / side), order=1)
        shrunk -= shrunk.mean(axis=(1, 2), keepdims=True)
        shrunk /= np.sqrt((shrunk**2).sum(axis=(1, 2), keepdims=True)) + 1e-6
        shrunk_waves = np.conj(rfft2(shrunk, shape))
        places, size = side - width + 1, width * width
        mean = _windows(sums, width) / size
        spread = np.sqrt(np.maximum(_windows(squares, width) - size * mean**2, 1e-3 * size))
        for whole, part in ((one, other), (other, one)):
            for begin in range(0, len(one), CHUNK):
                a, b = whole[begin : begin + CHUNK], part[begin : begin + CHUNK]
                product = irfft2(waves[a] * shrunk_waves[b], shape)[:, :places, :places]
                most = (product / spread[a]).max(axis=(1, 2))
                best[begin : begin + CHUNK] = np.maximum(best[begin : begin + CHUNK], most)
    return best


def _summed(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sums (m, side + 1, side + 1) of all above and left of each place."""
    wide = np.pad(images.astype(np.float64), ((0, 0), (1, 0), (1, 0)))
    return wide.cumsum(axis=1).cumsum(axis=2)


def _windows(sums: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Sums of the squares of that width at each place, from those of _summed."""
    high = sums[:, width:] - sums[:, :-width]
    window_sums: NDArray[np.float64] = high[:, :, width:] - high[:, :, :-width]
    return window_sums
