"""Decoding as a stream: a chunk of images at a time, the next one while the last is used."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import loky
import numpy as np
from numpy.typing import NDArray

from labelclean.data.images import ImageSpec, UnreadableImage, decode
from labelclean.data.quiet import quiet
from labelclean.data.samples import MISSING, OK, UNREADABLE, SampleTable


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Rows start to start + k of a table.

    pixels  (k, s, s, 3) uint8, black where there is no image
    status  (k,) OK, MISSING or UNREADABLE
    """

    start: int
    pixels: NDArray[np.uint8]
    status: list[str]


def decoded(
    table: SampleTable, spec: ImageSpec, *, at_once: int, workers: int | None
) -> Iterator[Chunk]:
    """All rows in their order; never more than two chunks of pixels are held.

    workers  threads; None: one a core. Pillow decodes outside of Python's lock.
    """
    starts = range(0, len(table), at_once)
    with (
        quiet(),
        ThreadPoolExecutor(workers or loky.cpu_count()) as threads,
        ThreadPoolExecutor(1) as ahead,
    ):

        def chunk(start: int) -> Chunk:
            rows = range(start, min(start + at_once, len(table)))
            pixels = np.zeros((len(rows), spec.size, spec.size, 3), np.uint8)
            status = threads.map(lambda row: _fill(table, row, pixels[row - start], spec), rows)
            return Chunk(start=start, pixels=pixels, status=list(status))

        waiting = ahead.submit(chunk, 0) if starts else None
        for start in starts:
            if waiting is None:
                return
            ready = waiting.result()
            later = start + at_once
            waiting = ahead.submit(chunk, later) if later < len(table) else None
            yield ready


def _fill(table: SampleTable, row: int, place: NDArray[np.uint8], spec: ImageSpec) -> str:
    if table.status[row] == MISSING:
        return MISSING
    try:
        place[:] = decode(table.images.read(row), spec)
    except OSError as error:
        return MISSING if error.errno in (errno.ENOENT, errno.ENOTDIR) else UNREADABLE
    except UnreadableImage:
        return UNREADABLE
    return OK
