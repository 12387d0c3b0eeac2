"""Pairs of images of which one shows the other, or a part of it, at any size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter, zoom
from sklearn.neighbors import NearestNeighbors

# The nearest images by their embeddings are compared. On photos copies at another size, crop or
# compression correlate at .86 and more, other images at up to .77.
NEIGHBOURS = 3  # of each image that are compared with it
MOST_COMPARED = 20_000  # images: of more, the nearest are not looked for
LEAST_SIDE = 96  # px: smaller images have too little detail, shoes in one pose fit at .97
COARSE, FINE = 32, 64  # px of the details that are compared, first and last
MAYBE, FITS = 0.6, 0.85  # correlation from which on a pair goes on, and is one
LEAST_PART = 0.78  # of the side of the larger image that the other one shows
CHUNK = 500  # images read at once: 75 MB at 224 px

PixelRowsOf = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
OnShare = Callable[[float], None]
EmbeddingsOf = Callable[[NDArray[np.int64]], NDArray[np.float16]]


def parts_of_each_other(
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
