"""Arrays that may be larger than memory: beyond a limit they lie in a file without a name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

IN_MEMORY = 1 << 30  # bytes; larger arrays are of the disk
ROWS_AT_ONCE = 16_384


def nan_array(shape: tuple[int, int], folder: Path | None = None) -> NDArray[np.float16]:
    """An array of float16 to fill, all NaN.

    Beyond IN_MEMORY it is mapped from a file in the folder (None: that of temporary files), which
    goes with the array. Raises OSError if there is no room for it.
    """
    if 2 * shape[0] * shape[1] <= IN_MEMORY:
        return np.full(shape, np.nan, np.float16)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder, suffix=".features") as file:
        array = np.memmap(file, np.float16, "w+", shape=shape)
    for part in blocks_of(shape[0]):
        array[part] = np.nan
    return array


def blocks_of(count: int) -> Iterator[slice]:
    """Slices of [0, count) of ROWS_AT_ONCE rows."""
    for begin in range(0, count, ROWS_AT_ONCE):
        yield slice(begin, min(count, begin + ROWS_AT_ONCE))
