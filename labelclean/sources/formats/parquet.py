"""Images inside Parquet and Arrow files: binary columns, or structs of bytes and path."""

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

from labelclean.config.source_options import SourceOptions
from labelclean.errors import SourceError
from labelclean.sources.columns import IMAGE_NAMES, image_column, split_column
from labelclean.sources.labels import GivenLabels, given_labels
from labelclean.sources.protocol import Found, InsideFormat, LabelPlaces, Place
from labelclean.sources.relabelled import relabelled
from labelclean.sources.rows import Rows, Taken, concatenate
from labelclean.sources.splits import split_of, split_of_path
from labelclean.sources.wording import listed, shown
from labelclean.tables.columnar import open_arrow
from labelclean.tables.read_table import read_table
from labelclean.tables.table import ARROW, PARQUET, Table, Texts

_KEPT_GROUPS = 4  # as many threads can read at different places without reading a group twice


@dataclass(frozen=True)
class _Group:
    """A row group of Parquet or a batch of Arrow, as it is found again in another process."""

    file: str
    place: int
    column: str


@dataclass
class ColumnImages:
    """Images in the row groups of columnar files, of which the last few read are kept.

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
                    self._cells[place] = _cells_of(group)
                except pa.ArrowException as error:
                    raise OSError(f"{group.file}: {error}") from None
            self._cells.move_to_end(place)
            while len(self._cells) > _KEPT_GROUPS:
                self._cells.popitem(last=False)
            return self._cells[place]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cells": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


def _cells_of(group: _Group) -> pa.ChunkedArray:
    path = Path(group.file)
    if path.suffix.lower() in ARROW:
        return pa.chunked_array([open_arrow(path).column(group.column).chunk(group.place)])
    with pq.ParquetFile(path) as file:
        return file.read_row_group(group.place, columns=[group.column]).column(0)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Rows of one or more files with images, and what is needed to read those."""

    rows: Rows
    is_there: NDArray[np.bool_]
    groups: tuple[_Group, ...]
    starts: NDArray[np.int64]
    state: str

    def images(self, rows: NDArray[np.int64]) -> ColumnImages:
        return ColumnImages(groups=self.groups, starts=self.starts, rows=rows, state=self.state)


class ColumnFormat(InsideFormat):
    """Parquet and Arrow with images: a file, shards in a folder, or what save_to_disk wrote."""

    name = "images in Parquet or Arrow"

    def looks_like(self, place: Place) -> str | None:
        if place.is_file:
            if place.path.suffix.lower() in PARQUET + ARROW and read_table(place.path).image_cells:
                return "a file with encoded images in a column"
            return None
        if not place.is_folder or place.images:
            return None
        if any(path.rpartition("/")[2] in ("state.json", "dataset_dict.json")
               for path in place.listing.paths) and _files(place, ARROW):  # fmt: skip
            return "a folder that datasets' save_to_disk wrote"
        files = _files(place, PARQUET) or _files(place, ARROW)
        return f"a folder of {len(files):,} shards with images" if files else None

    def label_places(self, place: Place) -> LabelPlaces:
        """Parquet; nothing is written into Arrow."""
        files = [place.path / file for file in _files(place, PARQUET)]
        if place.is_file:
            files = [place.path] if place.path.suffix.lower() in PARQUET else []
        return LabelPlaces(tables=tuple(files), hold_images=bool(files))

    def read(self, place: Place, labelled: bool) -> Found:
        alone = place.options.labels is None  # other columns named are those of the labels' table
        if place.is_file:
            files = [""]
            paths = [place.path]
        else:
            files = _files(place, PARQUET) or _files(place, ARROW)
            paths = [place.path / file for file in files]
            _check_configs(files, str(place.path))
        shards = [
            read_shard(
                read_table(path),
                place.options if alone else SourceOptions(),
                needs_label=labelled and alone,
                split=split_of_path(file) if len(paths) > 1 else None,
            )
            for path, file in zip(paths, files, strict=True)
        ]
        shard = join_shards(shards, place.source)
        found = Found(
            rows=shard.rows,
            is_there=shard.is_there,
            images=shard.images,
            root=None,
            why=self.looks_like(place) or "",
        )
        return relabelled(found, place) if labelled else found


def _files(place: Place, endings: tuple[str, ...]) -> list[str]:
    """The shards; of Arrow not the caches that `datasets` leaves beside its data."""
    return [
        path
        for path in place.listing.paths
        if path.lower().endswith(endings) and not path.rpartition("/")[2].startswith("cache-")
    ]


def _check_configs(files: list[str], root: str) -> None:
    """Raises SourceError for several configurations of one data set: each has all its rows."""
    configs: dict[str, set[str]] = {}
    for file in files:
        top, _, below = file.partition("/")
        if not below or split_of(top) is not None:
            return
        configs.setdefault(top, set()).add(split_of_path(below) or "")
    if len(configs) > 1 and set.intersection(*configs.values()) - {""}:
        raise SourceError(
            f"{root}: {listed([shown(name) for name in configs])} have the same splits, as "
            f"configurations of one data set do: give one of them, {root}/{shown(min(configs))}"
        )


def read_shard(
    table: Table, options: SourceOptions, *, needs_label: bool = True, split: str | None = None
) -> Shard:
    """A file with images in it.

    needs_label  False where the labels come from elsewhere
    split        that of all rows, where no column has it

    Raises SourceError if the columns are not clear.
    """
    image = image_column(table, options.image_col)
    given = given_labels(table, options, image) if needs_label else GivenLabels.none(table)
    taken = (image, *given.columns)
    within, splits, note = split_column(table, options.split_col, taken, options.split)
    try:
        column, is_there, sizes, names = _cells(table, image, taken)
        if not len(is_there) == sum(sizes) == len(names) == table.num_rows:
            raise OSError(f"{len(is_there):,} of {table.num_rows:,} images")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # pages are read here
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SourceError(f"{shown(str(table.path))}: damaged: {reason}") from None
    stat = table.path.stat()
    rows = Rows(
        names=names,
        labels=given.labels,
        splits=splits if splits is not None else [split] * table.num_rows,
        where=table.where,
        origin=str(table.path),
        label_name=given.name,
        order=given.order,
        notes=tuple(filter(None, (*table.notes, *given.notes, note))),
        taken=Taken(
            image=table.columns[image],
            labels=tuple(table.columns[k] for k in given.columns),
            split=None if within is None else table.columns[within],
            left=tuple(c for k, c in enumerate(table.columns) if k not in (*taken, within)),
        ),
    )
    file_name = str(table.path.absolute())
    return Shard(
        rows=rows,
        is_there=is_there,
        groups=tuple(_Group(file_name, k, column) for k in range(len(sizes))),
        starts=np.cumsum([0, *sizes[:-1]], dtype=np.int64),
        state=f"{table.path.name}|{stat.st_size}|{stat.st_mtime_ns}",
    )


def _cells(
    table: Table, image: int, taken: tuple[int, ...]
) -> tuple[str, NDArray[np.bool_], list[int], list[str]]:
    """The column with the images: its name, what is there, rows by group, the images' names."""
    name = table.columns[image]
    if table.path.suffix.lower() in ARROW:
        column = open_arrow(table.path).column(name)
        is_struct = pa.types.is_struct(column.type)
        there = (pc.struct_field(column, "bytes") if is_struct else column).is_valid().to_numpy()
        paths = None
        if is_struct and column.type.get_field_index("path") >= 0:
            paths = pc.struct_field(column, "path").to_pylist()
        sizes = [len(chunk) for chunk in column.chunks]
        return name, there, sizes, _names(paths, table, taken)
    with pq.ParquetFile(table.path) as file:
        leaf, there = _image_cells(file, name)
        sizes = [file.metadata.row_group(k).num_rows for k in range(file.metadata.num_row_groups)]
        kind, paths = file.schema_arrow.field(name).type, None
        if pa.types.is_struct(kind) and kind.get_field_index("path") >= 0:
            cells = file.read(columns=[f"{name}.path"]).column(0).to_pylist()
            paths = [cell and cell["path"] for cell in cells]
    return leaf, there, sizes, _names(paths, table, taken)


def _image_cells(file: pq.ParquetFile, name: str) -> tuple[str, NDArray[np.bool_]]:
    """The leaf column with the bytes, and for which rows it has any, read only where it must be."""
    is_struct = pa.types.is_struct(file.schema_arrow.field(name).type)
    leaf = f"{name}.bytes" if is_struct else name
    place = next(k for k in range(len(file.schema)) if file.schema.column(k).path == leaf)
    parts = []
    for k in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(k)
        if group.column(place).physical_type != file.schema.column(place).physical_type:
            raise OSError(f"row group {k} is of another type")  # pyarrow would end the process
        facts = group.column(place).statistics
        there = np.ones(group.num_rows, bool)
        if facts is None or not facts.has_null_count or facts.null_count:
            cells = file.read_row_group(k, columns=[leaf]).column(0)
            there = (pc.struct_field(cells, "bytes") if is_struct else cells).is_valid().to_numpy()
        parts.append(there)
    return leaf, np.concatenate(parts) if parts else np.ones(0, bool)


def _names(paths: Texts | None, table: Table, taken: tuple[int, ...]) -> list[str]:
    """The images' own names where each has one, else the file's name and the row."""
    texts = paths
    if texts is None:
        for k, name in enumerate(table.columns):
            if k not in taken and k not in table.image_cells and name.casefold() in IMAGE_NAMES:
                texts = table.texts(k)
                break
    if texts and all(texts) and len(set(texts)) == len(texts):
        return [str(text).replace("\\", "/") for text in texts]
    return [f"{table.path.name}#{k}" for k in range(table.num_rows)]


def join_shards(shards: list[Shard], origin: str) -> Shard:
    """The rows of all files, one file after the other."""
    rows = replace(concatenate([shard.rows for shard in shards]), origin=origin)
    order = next((shard.rows.order for shard in shards if shard.rows.order), ())
    rows = replace(rows, order=order)
    if len(set(rows.names)) < len(rows):
        rows = replace(rows, names=[f"{Path(origin).name}#{k}" for k in range(len(rows))])
    starts, before = [], 0
    for shard in shards:
        starts.append(shard.starts + before)
        before += len(shard.rows)
    return Shard(
        rows=rows,
        is_there=np.concatenate([shard.is_there for shard in shards]),
        groups=tuple(group for shard in shards for group in shard.groups),
        starts=np.concatenate(starts),
        state=" ".join(shard.state for shard in shards),
    )
