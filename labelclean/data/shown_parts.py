"""Pairs of images of which one shows the other, or a part of it, at any size."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import loky
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter, zoom

from labelclean.data.looks import CHUNK, PixelRowsOf
from labelclean.data.neighbours import EmbeddingsOf, OnShare, Pairs, nearest_pairs

NEIGHBOURS = 3  # of each image that are compared with it
# px of the details, and correlation from which on a pair goes on. On photos copies at another size,
# crop or compression correlate at .57 and .78 and more, 90 % of other images at up to .3 (16 px).
FIRST_STAGES = ((16, 0.45), (32, 0.6))
LAST_SIDE = 64  # px
FITS = 0.85  # such copies correlate at .86 and more, other images at up to .77
# Without the images their small pictures are enlarged: then 99 % of such copies correlate at .88
# and more, other images at up to .878.
FITS_ENLARGED = 0.88
LEAST_PART = 0.78  # of the side of the larger image that the other one shows
PAIRS_AT_ONCE = 4_096  # of 16 px that a thread compares; of larger details fewer


def parts_of_each_other(
    grey: NDArray[np.uint8],
    embeddings_of: EmbeddingsOf,
    pixels_of: PixelRowsOf | None,
    on_share: OnShare = lambda _: None,
) -> Pairs:
    """Pairs of images of which one shows the other, or a part of it, among the nearest ones.

    grey       (m, SIDE, SIDE) of the images' looks
    pixels_of  places (k,) in [0, m) -> (k, size, size, 3) uint8; None: no image can be opened
    on_share   receives the share of the work that is done
    """
    steps = 2 + len(FIRST_STAGES)

    def on_step(step: int) -> OnShare:
        return lambda share: on_share((step + share) / steps)

    def small(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return grey[rows]

    one, other = nearest_pairs(len(grey), embeddings_of, NEIGHBOURS, on_step(0))
    last = (LAST_SIDE, FITS_ENLARGED if pixels_of is None else FITS)
    for step, (side, least) in enumerate((*FIRST_STAGES, last), 1):
        seen = pixels_of if pixels_of is not None and side == LAST_SIDE else small
        fits = correlations(seen, side, (one, other), on_step(step)) >= least
        one, other = one[fits], other[fits]
    return one, other


def correlations(
    pixels_of: PixelRowsOf, side: int, pairs: Pairs, on_share: OnShare = lambda _: None
) -> NDArray[np.float32]:
    """The best correlation (m,) of either image, shrunk a little, at any place of the other.

    pixels_of  rows (k,) -> (k, size, size) or (k, size, size, 3); called by several threads
    side       px of the details that are compared
    pairs      rows (m,), twice
    """
    one, other = pairs
    best = np.empty(len(one), dtype=np.float32)
    at_once = max(1, PAIRS_AT_ONCE * 16**2 // side**2)
    parts = [slice(begin, begin + at_once) for begin in range(0, len(one), at_once)]

    def fit(part: slice) -> int:
        rows, places = np.unique(np.concatenate([one[part], other[part]]), return_inverse=True)
        chunks = (rows[begin : begin + CHUNK] for begin in range(0, len(rows), CHUNK))
        details = np.concatenate([_details(pixels_of(chunk), side) for chunk in chunks])
        count = len(places) // 2
        best[part] = _best_fit(details, places[:count], places[count:])
        return count

    done = 0
    with ThreadPoolExecutor(loky.cpu_count()) as threads:
        for count in threads.map(fit, parts):  # numpy and scipy work outside of Python's lock
            done += count
            on_share(done / len(one))
    return best


def _details(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Grey values (k, side, side) less their surroundings: light and colour do not count."""
    grey = np.empty((len(pixels), side, side), dtype=np.float32)
    for k, image in enumerate(pixels):
        small = Image.fromarray(image).convert("L")
        grey[k] = np.asarray(small.resize((side, side), Image.Resampling.BILINEAR))
    blur = side / 21
    details: NDArray[np.float32] = grey - gaussian_filter(grey, (0, blur, blur))
    return details


def _best_fit(
    details: NDArray[np.float32], one: NDArray[np.int64], other: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The correlations of few pairs: places (m,) in details (k, side, side)."""
    side = details.shape[1]
    shape = (2 * side, 2 * side)
    waves = rfft2(details, shape)
    sums, squares = _summed(details), _summed(details**2)
    best = np.full(len(one), -1.0, dtype=np.float32)
    for width in range(round(LEAST_PART * side), side + 1, max(1, side // 32)):
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
