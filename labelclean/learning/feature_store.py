"""Features on the disk, found again by image content and network: nothing is computed twice.

A store is two files that grow together: NAME.features, rows of float16, and NAME.index, the content
digest of each row. A block is appended as a whole, features first; what a killed run left half
appended is cut off by the next one that writes. So a run that was interrupted goes on where it was.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from labelclean.data.large_arrays import blocks_of, nan_array

FORMAT = 1  # part of every name; raise it when features of older versions would differ
DIGEST_BYTES = 16
BLOCK = 256  # images between two reports of progress, and two writes


class FeatureStore:
    """Features (m, width) float16 by content digest (m, 2) uint64.

    Raises OSError from the folder.
    """

    def __init__(self, folder: Path, identity: str, width: int) -> None:
        """identity: all that decides a feature but the image: network, size, preprocessing."""
        name = hashlib.blake2b(f"{FORMAT} {identity} {width}".encode(), digest_size=12).hexdigest()
        self.folder = folder
        self._features = folder / f"{name}.features"
        self._index = folder / f"{name}.index"
        self._lock = FileLock(folder / f"{name}.lock")
        self._width = width
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, digests: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Place of each digest's features in the store (n,); -1: not there."""
        known = self._digests()
        places = np.full(len(digests), -1, dtype=np.int64)
        if not len(known):
            return places
        keys, wanted = _keys(known), _keys(digests)
        order = np.argsort(keys, kind="stable")
        at = np.searchsorted(keys[order], wanted).clip(max=len(keys) - 1)
        is_there = keys[order[at]] == wanted
        places[is_there] = order[at[is_there]]
        return places

    def read(self, places: NDArray[np.int64]) -> NDArray[np.float16]:
        """Features (k, width) of those places."""
        if not len(places):
            return np.empty((0, self._width), np.float16)
        stored = np.memmap(self._features, np.float16, "r").reshape(-1, self._width)
        rows: NDArray[np.float16] = stored[places]
        return rows

    def append(self, digests: NDArray[np.uint64], features: NDArray[np.float16]) -> None:
        """Adds rows, whole or not at all."""
        with self._lock:
            count = self._count()
            for path, row_bytes, rows in (
                (self._features, 2 * self._width, features),
                (self._index, DIGEST_BYTES, digests),
            ):
                path.touch()
                with open(path, "r+b") as file:
                    file.truncate(count * row_bytes)
                    file.seek(count * row_bytes)
                    file.write(np.ascontiguousarray(rows).tobytes())
                    file.flush()
                    os.fsync(file.fileno())

    def _digests(self) -> NDArray[np.uint64]:
        """Digests (m, 2) of the rows that are whole in both files."""
        count = self._count()
        if not count:
            return np.empty((0, 2), np.uint64)
        return np.fromfile(self._index, np.uint64, count * DIGEST_BYTES // 8).reshape(-1, 2)

    def _count(self) -> int:
        """Rows that are whole in both files."""
        try:
            index, features = self._index.stat().st_size, self._features.stat().st_size
        except FileNotFoundError:
            return 0
        return min(index // DIGEST_BYTES, features // (2 * self._width))


def _keys(digests: NDArray[np.uint64]) -> NDArray[np.bytes_]:
    """Digests (n, 2) as one comparable value each (n,)."""
    rows = np.ascontiguousarray(digests.astype(">u8"))
    keys: NDArray[np.bytes_] = rows.view(f"S{DIGEST_BYTES}").reshape(-1)
    return keys


def features_of(
    store: FeatureStore | None,
    digests: NDArray[np.uint64],
    rows: NDArray[np.int64],
    width: int,
    compute: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    on_rows: Callable[[int], None],
) -> NDArray[np.float16]:
    """Features (n, width) of the rows, NaN for all others; computed where the store lacks them.

    digests  (n, 2)  content of each row
    compute  rows (b,) -> features (b, width) of a block
    on_rows  hears how many rows are done now

    Raises OSError where the store cannot be read or written.
    """
    features = nan_array((len(digests), width), None if store is None else store.folder)
    places = np.full(len(rows), -1, np.int64) if store is None else store.find(digests[rows])
    known = places >= 0
    if store is not None and known.any():
        stored, at = rows[known], places[known]
        for span in blocks_of(len(stored)):
            features[stored[span]] = store.read(at[span])
        on_rows(len(stored))
    missing = rows[~known]
    _, first, which = np.unique(digests[missing], axis=0, return_index=True, return_inverse=True)
    which = which.reshape(-1)
    order = np.argsort(first, kind="stable")  # in the order of the rows: resumed runs cut alike
    for start in range(0, len(order), BLOCK):
        part = order[start : start + BLOCK]
        block = missing[first[part]]
        computed = compute(block).astype(np.float16)
        if store is not None:
            store.append(digests[block], computed)
        features[block] = computed
        on_rows(len(block))
    if len(missing):
        features[missing] = features[missing[first[which]]]
        on_rows(len(missing) - len(first))
    return features
