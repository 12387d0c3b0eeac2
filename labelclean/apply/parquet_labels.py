"""Other labels in a Parquet file, row group by row group; columns, types and codecs stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from labelclean.apply.relabelling import Edit, like
from labelclean.errors import SourceError, printable

Advance = Callable[[float, float, str], None]


def rewrite_parquet(edit: Edit, target: Path, advance: Advance) -> None:
    """The table after the edit as a file of its own; one row group is in memory at a time.

    Raises SourceError if the label column cannot hold a new label, OSError if it cannot be written.
    """
    name = edit.table.columns[edit.label]
    if edit.one_hot:
        raise SourceError(
            f"{printable(edit.table.path)}: one-hot columns are written to CSV or JSON Lines, not "
            "to Parquet: save the table so and run filter again"
        )
    with pq.ParquetFile(edit.table.path) as file:
        names = edit.table.class_names.get(edit.label)
        if names is not None:
            names = _with_new(names, edit)
        schema = _with_class_names(file.schema_arrow, name, names)
        to_cell = _converter(edit, schema.field(edit.label).type, names)
        with pq.ParquetWriter(target, schema, compression=_codecs(file)) as writer:
            first = 0
            for place in range(file.metadata.num_row_groups):
                group = _read_group(file, place, edit)
                rows = range(first, first + group.num_rows)
                first += group.num_rows
                group = _relabelled(group, rows, edit, to_cell).cast(schema)
                if group.num_rows:
                    writer.write_table(group, row_group_size=group.num_rows)
                advance(first, edit.table.num_rows, f"{first:,} of {edit.table.num_rows:,} rows")
            if edit.added:
                writer.write_table(_added(edit, schema, to_cell))


def _read_group(file: pq.ParquetFile, place: int, edit: Edit) -> pa.Table:
    try:
        return file.read_row_group(place)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"{printable(edit.table.path)}: row group {place} cannot be read: {printable(error)}"
        ) from None


def _with_new(names: tuple[str, ...], edit: Edit) -> tuple[str, ...]:
    wanted = [*edit.labels.values(), *(label for _, label in edit.added)]
    return (*names, *sorted(set(wanted) - set(names)))


def _relabelled(
    group: pa.Table, rows: range, edit: Edit, to_cell: Callable[[str], object]
) -> pa.Table:
    changed = [k for k, row in enumerate(rows) if row in edit.labels]
    if changed:
        column = group.column(edit.label)
        cells = column.to_pylist()
        for k in changed:
            cells[k] = to_cell(edit.labels[rows[k]])
        field = group.schema.field(edit.label)
        group = group.set_column(edit.label, field, pa.array(cells, column.type))
    if any(row in edit.dropped for row in rows):
        group = group.filter(pa.array([row not in edit.dropped for row in rows]))
    return group


def _added(edit: Edit, schema: pa.Schema, to_cell: Callable[[str], object]) -> pa.Table:
    columns = [pa.nulls(len(edit.added), field.type) for field in schema]
    columns[edit.image] = pa.array([i for i, _ in edit.added], schema.field(edit.image).type)
    cells = [to_cell(label) for _, label in edit.added]
    columns[edit.label] = pa.array(cells, schema.field(edit.label).type)
    return pa.table(columns, schema=schema)


def _converter(
    edit: Edit, kind: pa.DataType, names: tuple[str, ...] | None
) -> Callable[[str], object]:
    """A label as a cell of the column."""
    if names is not None:
        place = {name: k for k, name in reversed(list(enumerate(names)))}
        return place.__getitem__
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    plain = kind.value_type if pa.types.is_dictionary(kind) or is_list else kind
    example: object = ""
    if pa.types.is_boolean(plain):
        example = True
    elif pa.types.is_integer(plain):
        example = 0
    elif pa.types.is_floating(plain):
        example = 0.0

    def to_cell(label: str) -> object:
        cell = like(example, label)
        try:
            pa.scalar(cell, plain)
        except (pa.ArrowException, UnicodeEncodeError, OverflowError):
            raise SourceError(
                f"{printable(edit.table.path)}: its column "
                f"'{printable(edit.table.columns[edit.label])}' is {plain} and cannot hold the "
                f"label '{printable(label)}': decide for another label"
            ) from None
        return [cell] if is_list else cell

    return to_cell


def _with_class_names(schema: pa.Schema, name: str, names: tuple[str, ...] | None) -> pa.Schema:
    """The schema with these names of Hugging Face's ClassLabel, where it has such."""
    if names is None:
        return schema
    metadata: dict[bytes, bytes] = dict(schema.metadata)
    info: Any = json.loads(metadata[b"huggingface"])
    info["info"]["features"][name]["names"] = list(names)
    return schema.with_metadata({**metadata, b"huggingface": json.dumps(info).encode()})


def _codecs(file: pq.ParquetFile) -> dict[str, str] | str:
    if not file.metadata.num_row_groups:
        return "zstd"
    group = file.metadata.row_group(0)
    columns = [group.column(k) for k in range(group.num_columns)]
    return {
        column.path_in_schema: "NONE"
        if column.compression == "UNCOMPRESSED"
        else column.compression
        for column in columns
    }
