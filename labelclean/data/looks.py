"""Looks: a small grey picture and a perceptual hash of each image, to find near copies by."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import imagehash
import loky
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labelclean.data.large_arrays import zeros_array

SIDE = 32  # px
DETAILED = 96  # px: smaller images have too little detail, shoes in one pose fit at .97
CHUNK = 500  # images read at once: 75 MB at 224 px
FEW = 20_000  # images; below it the start of processes costs more than they gain

PixelRowsOf = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
_Chunk = tuple[NDArray[np.uint8], NDArray[np.uint64]]  # of some images: grey values, hashes


@dataclass(frozen=True, kw_only=True)
class Looks:
    """Small grey pictures and hashes of m images.

    grey         (m, SIDE, SIDE) uint8
    hashes       (m,) pHash (Zauner 2010): bits of the signs of the lowest frequencies
    is_detailed  they were of DETAILED px or more
    """

    grey: NDArray[np.uint8]
    hashes: NDArray[np.uint64]
    is_detailed: bool


def looks_of(
    pixels_of: PixelRowsOf,
    rows: NDArray[np.int64],
    *,
    size: int,
    workers: int | None = None,
    on_rows: Callable[[int], None] = lambda _: None,
    folder: Path | None = None,
) -> Looks:
    """The looks of the rows, whose pixels are asked for once.

    pixels_of  rows (k,) -> (k, size, size, 3) uint8
    folder     for what is too large for memory; None: that of temporary files
    """
    chunks = (rows[k : k + CHUNK] for k in range(0, len(rows), CHUNK))
    looks = Looks(
        grey=zeros_array((len(rows), SIDE, SIDE), np.uint8, folder),
        hashes=np.empty(len(rows), dtype=np.uint64),
        is_detailed=size >= DETAILED,
    )
    done = 0
    for grey, hashes in _mapped(map(pixels_of, chunks), workers if len(rows) > FEW else 1):
        places = slice(done, done + len(hashes))
        looks.grey[places], looks.hashes[places] = grey, hashes
        done = places.stop
        on_rows(len(hashes))
    return looks


def _mapped(chunks: Iterator[NDArray[np.uint8]], workers: int | None) -> Iterator[_Chunk]:
    if workers == 1:
        yield from map(_look, chunks)
        return
    workers = workers or loky.cpu_count()
    executor = loky.get_reusable_executor(max_workers=workers)
    waiting: deque[Future[_Chunk]] = deque()
    for chunk in chunks:  # not executor.map, which reads all pixels before the first result
        waiting.append(executor.submit(_look, chunk))
        if len(waiting) > workers:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _look(pixels: NDArray[np.uint8]) -> _Chunk:
    grey = np.empty((len(pixels), SIDE, SIDE), dtype=np.uint8)
    bits = []
    for k, image in enumerate(pixels):
        small = Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        grey[k] = np.asarray(small)
        bits.append(imagehash.phash(small).hash.reshape(-1))  # of just that size
    packed = np.packbits(np.array(bits, dtype=bool), axis=1)
    return grey, packed.view(">u8")[:, 0].astype(np.uint64)
