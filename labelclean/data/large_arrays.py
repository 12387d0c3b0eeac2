"""Arrays that may be larger than memory: beyond a limit they lie in a file without a name."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

IN_MEMORY = 1 << 30  # bytes; larger arrays are of the disk
ROWS_AT_ONCE = 16_384


def nan_array(shape: tuple[int, int], folder: Path | None = None) -> NDArray[np.float16]:
    """An array of float16 to fill, all NaN; else as zeros_array."""
    array: NDArray[np.float16] = zeros_array(shape, np.float16, folder)
    for part in blocks_of(shape[0]):
        array[part] = np.nan
    return array


def zeros_array(shape: tuple[int, ...], dtype: DTypeLike, folder: Path | None) -> NDArray[Any]:
    """An array to fill, all 0.

    Beyond IN_MEMORY it is mapped from a file in the folder (None: that of temporary files), which
    goes with the array. Raises OSError if there is no room for it.
    """
    if math.prod(shape) * np.dtype(dtype).itemsize <= IN_MEMORY:
        return np.zeros(shape, dtype)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder, suffix=".features") as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def blocks_of(count: int) -> Iterator[slice]:
    """Slices of [0, count) of ROWS_AT_ONCE rows."""
    for begin in range(0, count, ROWS_AT_ONCE):
        yield slice(begin, min(count, begin + ROWS_AT_ONCE))
