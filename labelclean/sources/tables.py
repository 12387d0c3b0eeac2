"""Reads a table (CSV, TSV, JSON Lines, Parquet) as columns of text that know their line."""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from labelclean.errors import SourceError

DELIMITED = (".csv", ".tsv", ".txt")
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
SUFFIXES = DELIMITED + JSON_LINES + PARQUET
NO_TEXT = frozenset({"", "nan", "NaN"})  # what other tools write for an absent label

Texts = list[str | None]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns by position; their cells are read as text only when asked for.

    texts        column position -> the cells as text, None where absent
    where        row -> "file:line", for messages
    image_cells  positions of the columns that hold encoded images (Parquet only)
    class_names  position -> names that its integers stand for (Hugging Face ClassLabel)
    """

    path: Path
    columns: tuple[str, ...]
    num_rows: int
    texts: Callable[[int], Texts]
    where: Callable[[int], str]
    image_cells: frozenset[int] = frozenset()
    class_names: dict[int, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """The table in a file, whose kind is told by the file's ending.

    Raises SourceError if there is no such file, or it is not the table that its ending says.
    """
    if path.is_dir():
        raise SourceError(f"{path} is a folder: give the table in it (CSV, TSV, JSONL or Parquet)")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SourceError(
            f"{path}: the ending {suffix or '(none)'} is none of {' '.join(SUFFIXES)}: "
            "save the table as CSV, JSON Lines or Parquet"
        )
    try:
        table = (
            _read_parquet(path)
            if suffix in PARQUET
            else _read_json_lines(path)
            if suffix in JSON_LINES
            else _read_delimited(path)
        )
    except pa.ArrowException as error:
        raise SourceError(f"{path}: not readable as {suffix[1:]}: {_first_line(error)}") from None
    except OSError as error:
        reason = error.strerror or _first_line(error)
        raise SourceError(f"{path}: cannot be read: {reason}") from None
    if not table.num_rows:
        raise SourceError(f"{path}: has no rows below its header: one row for each image is needed")
    return table


def decode_text(data: bytes, path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file in UTF-8 or UTF-16, with or without a mark, or else Windows/Latin-1.

    Raises SourceError for a file that is no text.
    """
    encoding = _encoding(data)
    notes: tuple[str, ...] = ()
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
        encoding = "cp1252"
        if "\ufffd" in text:
            text = data.decode("latin-1")
            encoding = "latin-1"
        notes = (f"{path.name} is not UTF-8: read as {encoding}",)
    if "\0" in text:
        raise SourceError(f"{path}: holds zero bytes, so it is no text: give a CSV, TSV or JSONL")
    return text, notes


def _encoding(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    start = data[:2000]
    if start[1::2].count(0) > len(start) / 4:  # Latin letters in UTF-16 have a zero byte each
        return "utf-16-le"
    if start[::2].count(0) > len(start) / 4:
        return "utf-16-be"
    return "utf-8-sig"


def _read_delimited(path: Path) -> Table:
    text, notes = decode_text(path.read_bytes(), path)
    delimiter, columns = _header(text, path)
    names = [str(k) for k in range(len(columns))]  # the user's own may come twice
    try:
        data = pa_csv.read_csv(
            io.BytesIO(text.lstrip("\r\n").encode()),
            read_options=pa_csv.ReadOptions(
                column_names=names, skip_rows_after_names=1, block_size=1 << 24
            ),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise _ragged(text, delimiter, columns, path) or error from None

    def where(row: int) -> str:
        for k, (line, _) in enumerate(_records(text, delimiter)):
            if k == row + 1:
                return f"{path}:{line}"
        return str(path)

    return Table(
        path=path,
        columns=columns,
        num_rows=data.num_rows,
        texts=lambda k: _strings(data.column(k)),
        where=where,
        notes=notes,
    )


def _header(text: str, path: Path) -> tuple[str, tuple[str, ...]]:
    """The delimiter that gives the first line the most fields, and those fields."""
    order = "\t,;" if path.suffix.lower() == ".tsv" else ",;\t"
    best: tuple[str, tuple[str, ...]] = (",", ())
    for delimiter in order:
        _, fields = next(_records(text, delimiter), (1, []))
        if len(fields) > len(best[1]):
            best = delimiter, tuple(name.strip() for name in fields)
    if not best[1]:
        raise SourceError(f"{path}: is empty: a header line such as image,label is needed")
    return best


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The line at which each non-empty record starts, and its fields."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    start = 1
    try:
        for fields in reader:
            if fields:
                yield start, fields
            start = reader.line_num + 1
    except csv.Error:
        return


def _ragged(text: str, delimiter: str, columns: tuple[str, ...], path: Path) -> SourceError | None:
    for line, fields in _records(text, delimiter):
        if len(fields) != len(columns):
            remedy = (
                "write all of them, an empty one for no label"
                if len(fields) < len(columns)
                else f"put a value that contains {delimiter!r} between double quotes"
            )
            return SourceError(
                f"{path}:{line}: number of fields is {len(fields)}, in the header {len(columns)}: "
                f"{remedy}"
            )
    return None


def _read_json_lines(path: Path) -> Table:
    text, notes = decode_text(path.read_bytes(), path)
    lines = [(k, line) for k, line in enumerate(text.split("\n"), 1) if line.strip()]
    cells: dict[str, list[object]] = {}
    for row, (number, line) in enumerate(lines):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{path}:{number}: not valid JSON: {_first_line(error)}") from None
        if "\\ud" in line and not _is_unicode(record):
            raise SourceError(f"{path}:{number}: holds half a \\u pair, which is no character")
        if not isinstance(record, dict):
            raise SourceError(
                f'{path}:{number}: each line must be an object such as {{"image": "a.jpg", '
                '"label": "cat"}'
            )
        for name, value in record.items():
            column = cells.setdefault(name, [])
            column.extend([None] * (row - len(column)))
            column.append(value)
    for column in cells.values():
        column.extend([None] * (len(lines) - len(column)))
    columns = tuple(cells)

    def where(row: int) -> str:
        return f"{path}:{lines[row][0]}"

    def texts(position: int) -> Texts:
        return _plain_texts(cells[columns[position]], columns[position], where)

    return Table(
        path=path,
        columns=columns,
        num_rows=len(lines),
        texts=texts,
        where=where,
        notes=notes,
    )


def _read_parquet(path: Path) -> Table:
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        num_rows = file.metadata.num_rows
    columns = tuple(schema.names)

    def where(row: int) -> str:
        return f"{path} row {row} (from 0)"

    def texts(position: int) -> Texts:
        with pq.ParquetFile(path) as file:
            data = file.read(columns=[columns[position]]).column(0)
        if pa.types.is_dictionary(data.type):
            data = data.cast(data.type.value_type)
        if pa.types.is_string(data.type) or pa.types.is_large_string(data.type):
            return _strings(data)
        if pa.types.is_integer(data.type):
            return _strings(pc.cast(data, pa.string()))
        return _plain_texts(data.to_pylist(), columns[position], where)

    return Table(
        path=path,
        columns=columns,
        num_rows=num_rows,
        texts=texts,
        where=where,
        image_cells=frozenset(k for k, kind in enumerate(schema.types) if holds_images(kind)),
        class_names=_class_labels(schema),
    )


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


def _strings(column: pa.ChunkedArray) -> Texts:
    texts: Texts = column.to_numpy(zero_copy_only=False).tolist()
    return texts


def _plain_texts(cells: list[object], column: str, where: Callable[[int], str]) -> Texts:
    """Numbers in decimal: 3 for 3.0 too, which is how pandas stores 3 beside NaN."""
    texts: Texts = []
    for row, cell in enumerate(cells):
        if cell is None or isinstance(cell, str):
            texts.append(cell)
        elif isinstance(cell, bool):
            texts.append(str(cell).lower())
        elif isinstance(cell, float):
            whole = math.isfinite(cell) and cell == int(cell)
            texts.append(None if math.isnan(cell) else str(int(cell)) if whole else repr(cell))
        elif isinstance(cell, (list, dict, bytes)):
            kind = {list: "a list", dict: "an object", bytes: "binary data"}[type(cell)]
            raise SourceError(
                f"{where(row)}: '{column}' holds {kind}: one text or number in each row is needed"
            )
        else:
            texts.append(str(cell))
    return texts


def _is_unicode(record: object) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
