"""Names of ten million images in a third of the memory that strings of Python take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_AT_ONCE = 65_536


class PackedNames(Sequence[str]):
    """A list of names that may be no UTF-8, as bytes of Arrow."""

    def __init__(self, names: Iterable[str]) -> None:
        self._bytes = _packed(names)

    def __len__(self) -> int:
        return len(self._bytes)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return list(map(_text, self._bytes[row].to_pylist()))
        return _text(self._bytes[row].as_py())

    def __iter__(self) -> Iterator[str]:
        for chunk in self._bytes.chunks:
            yield from map(_text, chunk.to_pylist())

    def places_of(self, names: Iterable[str]) -> NDArray[np.int64]:
        """(n,) where each of the names stands here first, -1 where it does not."""
        places = pc.fill_null(pc.index_in(_packed(names), value_set=self._bytes), -1)
        return np.asarray(places.to_numpy(), dtype=np.int64)


def _packed(names: Iterable[str]) -> pa.ChunkedArray:
    rest = iter(names)
    chunks = []
    while some := [name.encode("utf-8", "surrogatepass") for name in islice(rest, _AT_ONCE)]:
        chunks.append(pa.array(some, pa.large_binary()))
    return pa.chunked_array(chunks, pa.large_binary())


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogatepass")
