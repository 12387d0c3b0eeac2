"""Parquet and Arrow files, of which a column is read when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from labelclean.errors import SourceError, printable
from labelclean.tables.objects import first_line, plain_texts
from labelclean.tables.table import Table, Texts


def read_parquet(path: Path, content: bytes | None = None) -> Table:
    def opened() -> pq.ParquetFile:
        return pq.ParquetFile(path if content is None else pa.BufferReader(content))

    with opened() as file:
        schema, num_rows = file.schema_arrow, file.metadata.num_rows

    def column(name: str) -> pa.ChunkedArray:
        with opened() as file:
            return file.read(columns=[name]).column(0)

    return _of_arrow(path, schema, num_rows, column)


def open_arrow(path: Path) -> pa.Table:
    """A file of the Arrow stream or file format, mapped and not read. Raises ArrowInvalid."""
    source = pa.memory_map(str(path))
    try:
        return pa.ipc.open_stream(source).read_all()
    except pa.ArrowInvalid:
        return pa.ipc.open_file(source).read_all()


def read_arrow(path: Path) -> Table:
    table = open_arrow(path)
    return _of_arrow(path, table.schema, table.num_rows, table.column)


def _of_arrow(
    path: Path, schema: pa.Schema, num_rows: int, column: Callable[[str], pa.ChunkedArray]
) -> Table:
    columns = tuple(schema.names)

    def arrow(position: int) -> pa.ChunkedArray:
        try:
            cells = column(columns[position])
            if len(cells) != num_rows:
                raise OSError(f"{len(cells):,} of {num_rows:,} rows")
            cells.validate(full=True)
            return cells
        except (pa.ArrowException, OSError) as error:  # pages are read here
            raise _damaged(path, columns[position], error) from None

    def read(position: int, convert: Callable[[pa.ChunkedArray], list[Any]]) -> list[Any]:
        try:
            return convert(arrow(position))
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise _damaged(path, columns[position], error) from None

    return Table(
        path=path,
        columns=columns,
        num_rows=num_rows,
        texts=lambda k: read(k, _as_texts),
        values=lambda k: read(k, pa.ChunkedArray.to_pylist),
        where=lambda row: f"{printable(path)} row {row} (from 0)",
        arrow=arrow,
        image_cells=frozenset(k for k, kind in enumerate(schema.types) if holds_images(kind)),
        class_names=_class_labels(schema),
    )


def _damaged(path: Path, name: str, error: Exception) -> SourceError:
    return SourceError(
        f"{printable(path)}: its column {printable(name)} is damaged: {first_line(error)}"
    )


def _as_texts(data: pa.ChunkedArray) -> Texts:
    if pa.types.is_dictionary(data.type):
        data = data.cast(data.type.value_type)
    if pa.types.is_string(data.type) or pa.types.is_large_string(data.type):
        return strings(data)
    if pa.types.is_integer(data.type):
        return strings(pc.cast(data, pa.string()))
    return plain_texts(data.to_pylist())


def holds_images(kind: pa.DataType) -> bool:
    """True of a binary column and of Hugging Face's struct of bytes and path."""
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and holds_images(kind.field(place).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_labels(schema: pa.Schema) -> dict[int, tuple[str, ...]]:
    """The names of ClassLabel columns, which `datasets` keeps as JSON in the schema's metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        named = {
            name: tuple(str(text) for text in feature["names"])
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}  # metadata of another kind or version: the integers stay as they are
    return {
        k: named[field.name]
        for k, field in enumerate(schema)
        if field.name in named and pa.types.is_integer(field.type)
    }


def strings(column: pa.ChunkedArray) -> Texts:
    texts: Texts = column.to_numpy(zero_copy_only=False).tolist()
    return texts
