"""Images inside Parquet files: binary columns, or Hugging Face's struct of bytes and path."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labelclean.sources.columns import IMAGE_NAMES, image_column, label_column, split_column
from labelclean.sources.rows import Rows, clean_labels, concatenate
from labelclean.sources.splits import is_split_word
from labelclean.sources.tables import Table, Texts

_KEPT_GROUPS = 4  # as many threads can read at different places without reading a group twice


@dataclass(frozen=True)
class _Group:
    """A row group, as it is found again in another process."""

    file: str
    place: int
    column: str


@dataclass
class ParquetImages:
    """Images in the row groups of Parquet files, of which the last few read are kept.

    groups   the row groups of all files
    starts   (g,) the first row of each, counted over all files
    rows     (n,) which of those rows row k is
    state    size and mtime of the files, for the fingerprint
    """

    groups: tuple[_Group, ...]
    starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    state: str
    _cells: OrderedDict[int, pa.ChunkedArray] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def read(self, row: int) -> bytes:
        place = int(self.rows[row])
        group = int(np.searchsorted(self.starts, place, side="right")) - 1
        cell = self._group(group)[place - int(self.starts[group])].as_py()
        if isinstance(cell, dict):
            cell = cell["bytes"]
        if not isinstance(cell, bytes):
            raise OSError(f"{self.groups[group].file}: no image in row {place}")
        return cell

    def fingerprint(self, row: int) -> str:
        return f"{self.state}|{self.rows[row]}"

    def _group(self, place: int) -> pa.ChunkedArray:
        with self._lock:
            if place not in self._cells:
                group = self.groups[place]
                try:
                    with pq.ParquetFile(group.file) as file:
                        data = file.read_row_group(group.place, columns=[group.column])
                except pa.ArrowException as error:
                    raise OSError(f"{group.file}: {error}") from None
                self._cells[place] = data.column(0)
            self._cells.move_to_end(place)
            while len(self._cells) > _KEPT_GROUPS:
                self._cells.popitem(last=False)
            return self._cells[place]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cells": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class ParquetShards:
    """Rows of one or more Parquet files with images, and what is needed to read those."""

    rows: Rows
    is_there: NDArray[np.bool_]
    groups: tuple[_Group, ...]
    starts: NDArray[np.int64]
    state: str

    def images(self, rows: NDArray[np.int64]) -> ParquetImages:
        return ParquetImages(groups=self.groups, starts=self.starts, rows=rows, state=self.state)


def read_shard(
    table: Table,
    *,
    image_col: str | None,
    label_col: str | None,
    split_col: str | None,
    needs_label: bool = True,
    split: str | None = None,
) -> ParquetShards:
    """A Parquet file with images in it.

    needs_label  False where the labels come from elsewhere

    Raises SourceError if the columns are not clear.
    """
    image = image_column(table, image_col)
    label = label_column(table, label_col, image) if needs_label else None
    taken = (image,) if label is None else (image, label)
    within = split_column(table, split_col, taken)
    class_names = table.class_names.get(label) if label is not None else None
    labels: Texts = [None] * table.num_rows
    if label is not None:
        labels = clean_labels(table.texts(label), class_names)
    with pq.ParquetFile(table.path) as file:
        column, is_there = _image_cells(file, table.columns[image])
        sizes = [file.metadata.row_group(k).num_rows for k in range(file.metadata.num_row_groups)]
        names = _names(file, table, image, taken)
    stat = table.path.stat()
    rows = Rows(
        names=names,
        labels=labels,
        splits=table.texts(within) if within is not None else [split] * table.num_rows,
        where=table.where,
        origin=str(table.path),
        label_name=table.columns[label] if label is not None else "label",
        order=class_names or (),
    )
    file_name = str(table.path.absolute())
    return ParquetShards(
        rows=rows,
        is_there=is_there,
        groups=tuple(_Group(file_name, k, column) for k in range(len(sizes))),
        starts=np.cumsum([0, *sizes[:-1]], dtype=np.int64),
        state=f"{table.path.name}|{stat.st_size}|{stat.st_mtime_ns}",
    )


def split_of_file(path: Path) -> str | None:
    """The split in the name of a file such as train-00000-of-00002.parquet."""
    word = path.stem.split("-")[0]
    return word if is_split_word(word) else None


def _image_cells(file: pq.ParquetFile, name: str) -> tuple[str, NDArray[np.bool_]]:
    """The leaf column with the bytes, and for which rows it has any, read only where it must be."""
    is_struct = pa.types.is_struct(file.schema_arrow.field(name).type)
    leaf = f"{name}.bytes" if is_struct else name
    place = next(k for k in range(len(file.schema)) if file.schema.column(k).path == leaf)
    parts = []
    for k in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(k)
        facts = group.column(place).statistics
        there = np.ones(group.num_rows, bool)
        if facts is None or not facts.has_null_count or facts.null_count:
            cells = file.read_row_group(k, columns=[leaf]).column(0)
            there = (pc.struct_field(cells, "bytes") if is_struct else cells).is_valid().to_numpy()
        parts.append(there)
    return leaf, np.concatenate(parts) if parts else np.ones(0, bool)


def _names(file: pq.ParquetFile, table: Table, image: int, taken: tuple[int, ...]) -> list[str]:
    """The images' own names where each has one, else the file's name and the row."""
    texts: Texts = []
    column = table.columns[image]
    kind = file.schema_arrow.field(column).type
    if pa.types.is_struct(kind) and kind.get_field_index("path") >= 0:
        cells = file.read(columns=[f"{column}.path"]).column(0).to_pylist()
        texts = [cell and cell["path"] for cell in cells]
    else:
        for k, name in enumerate(table.columns):
            if k not in taken and k not in table.image_cells and name.casefold() in IMAGE_NAMES:
                texts = table.texts(k)
                break
    if texts and all(texts) and len(set(texts)) == len(texts):
        return [str(text).replace("\\", "/") for text in texts]
    return [f"{table.path.name}#{k}" for k in range(table.num_rows)]


def join_shards(shards: list[ParquetShards], origin: str) -> ParquetShards:
    """The rows of all files, one file after the other."""
    rows = replace(concatenate([shard.rows for shard in shards]), origin=origin)
    if len(set(rows.names)) < len(rows):
        rows = replace(rows, names=[f"{Path(origin).name}#{k}" for k in range(len(rows))])
    starts, before = [], 0
    for shard in shards:
        starts.append(shard.starts + before)
        before += len(shard.rows)
    return ParquetShards(
        rows=rows,
        is_there=np.concatenate([shard.is_there for shard in shards]),
        groups=tuple(group for shard in shards for group in shard.groups),
        starts=np.concatenate(starts),
        state=" ".join(shard.state for shard in shards),
    )
