"""A table: columns of text that know their line; and the bytes of its file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from labelclean.opening import TABLE_BYTES, read_regular
from labelclean.tables.dialects import Dialect

DELIMITED = (".csv", ".tsv", ".txt")
JSON_LINES = (".jsonl", ".ndjson")
JSON = (".json",)
EXCEL = (".xlsx",)
PARQUET = (".parquet", ".pq")
ARROW = (".arrow",)
SUFFIXES = DELIMITED + JSON_LINES + JSON + EXCEL + PARQUET + ARROW
_MODULES: dict[str, Any] = {".gz": gzip, ".bz2": bz2, ".xz": lzma}
Texts = list[str | None]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns by position; their cells are read only when asked for.

    texts        column position -> the cells as text, None where absent
    values       column position -> the cells as the file has them: numbers, booleans, text
    where        row -> "file:line", for messages
    arrow        column position -> the cells as Arrow has them, where it does: much faster
    image_cells  positions of the columns that hold encoded images (Parquet only)
    class_names  position -> names that its integers stand for (Hugging Face ClassLabel)
    dialect      of a table of text with delimiters; without a header the columns are numbered
    """

    path: Path
    columns: tuple[str, ...]
    num_rows: int
    texts: Callable[[int], Texts]
    values: Callable[[int], list[Any]]
    where: Callable[[int], str]
    arrow: Callable[[int], pa.ChunkedArray] | None = None
    image_cells: frozenset[int] = frozenset()
    class_names: dict[int, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    dialect: Dialect | None = None

    @property
    def has_header(self) -> bool:
        return self.dialect is None or self.dialect.has_header


def table_ending(path: Path) -> str:
    """The ending of a table's name, without that of its compression: .csv for labels.csv.gz."""
    suffix = path.suffix.lower()
    if suffix in _MODULES:
        return Path(path.stem).suffix.lower()
    return suffix


def is_table_name(name: str) -> bool:
    return table_ending(Path(name)) in SUFFIXES


def read_bytes(path: Path) -> bytes:
    """The file's content, unpacked where it is compressed. Raises OSError."""
    module = _MODULES.get(path.suffix.lower())
    if module is None:
        return read_regular(path)
    try:
        with module.open(io.BytesIO(read_regular(path)), "rb") as file:
            data: bytes = file.read(TABLE_BYTES)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise OSError(f"damaged compressed file ({error})") from None
    return data


def packed(data: bytes, path: Path) -> bytes:
    """The content compressed as a file of that name is."""
    module = _MODULES.get(path.suffix.lower())
    return data if module is None else module.compress(data)
