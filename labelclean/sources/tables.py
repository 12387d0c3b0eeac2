"""Reads a table (CSV, TSV, JSON Lines, Parquet) as columns of text that know their line."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import math
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from labelclean.errors import SourceError
from labelclean.opening import TABLE_BYTES, check_regular, read_regular
from labelclean.sources.dialects import SPACES, Dialect, find_dialect, records, spaced
from labelclean.sources.encodings import decode_text
from labelclean.sources.wording import shown

DELIMITED = (".csv", ".tsv", ".txt")
JSON_LINES = (".jsonl", ".ndjson")
JSON = (".json",)
EXCEL = (".xlsx",)
PARQUET = (".parquet", ".pq")
ARROW = (".arrow",)
SUFFIXES = DELIMITED + JSON_LINES + JSON + EXCEL + PARQUET + ARROW
_MODULES: dict[str, Any] = {".gz": gzip, ".bz2": bz2, ".xz": lzma}
NO_TEXT = frozenset({"", "nan", "NaN"})  # what other tools write for an absent label

Texts = list[str | None]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns by position; their cells are read as text only when asked for.

    texts        column position -> the cells as text, None where absent
    where        row -> "file:line", for messages
    image_cells  positions of the columns that hold encoded images (Parquet only)
    class_names  position -> names that its integers stand for (Hugging Face ClassLabel)
    dialect      of a table of text with delimiters; without a header the columns are numbered
    """

    path: Path
    columns: tuple[str, ...]
    num_rows: int
    texts: Callable[[int], Texts]
    where: Callable[[int], str]
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


def read_table(
    path: Path,
    *,
    encoding: str | None = None,
    header: bool | None = None,
    content: bytes | None = None,
) -> Table:
    """The table in a file, whose kind is told by the file's ending.

    encoding  of text that is not UTF-8; None: UTF-8, UTF-16 or what reads well as Windows-1252
    header    False: the first line is a row; None: found out
    content   the file's content, where it lies in an archive

    Raises SourceError if there is no such file, or it is not the table that its ending says.
    """
    if path.is_dir():
        raise SourceError(f"{path} is a folder: give the table in it (CSV, TSV, JSONL or Parquet)")
    suffix = table_ending(path)
    if suffix not in SUFFIXES:
        raise SourceError(
            f"{path}: the ending {suffix or '(none)'} is none of {' '.join(SUFFIXES)}: "
            "save the table as CSV, JSON Lines or Parquet"
        )
    try:
        if content is None:
            check_regular(path)
        if suffix in PARQUET:
            table = _read_parquet(path)
        elif suffix in ARROW:
            table = _read_arrow(path)
        elif suffix in EXCEL:
            table = _read_excel(path)
        else:
            data = read_bytes(path) if content is None else content
            text, notes = decode_text(data, path, encoding)
            if suffix in JSON_LINES:
                table = _read_json_lines(path, text, notes)
            elif suffix in JSON:
                table = _read_json(path, text, notes)
            else:
                table = _read_delimited(path, text, notes, header)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: not readable as {suffix[1:]}: {_first_line(error)}") from None
    except OSError as error:
        reason = error.strerror or _first_line(error)
        raise SourceError(f"{path}: cannot be read: {reason}") from None
    if not table.num_rows:
        raise SourceError(f"{path}: has no rows below its header: one row for each image is needed")
    return table


def read_labels_table(path: Path, encoding: str | None, image_col: str | None) -> Table:
    """The table that the user named; without a header where its columns are named by numbers.

    Raises SourceError as read_table does, and for a path that is not there.
    """
    if not path.exists():
        raise SourceError(f"{shown(str(path))}: no such file: correct the path of the labels")
    table = read_table(path, encoding=encoding)
    by_number = image_col is not None and image_col.isdigit() and image_col not in table.columns
    if by_number and table.dialect is not None and table.has_header:
        return read_table(path, encoding=encoding, header=False)
    return table


def _read_delimited(path: Path, text: str, notes: tuple[str, ...], header: bool | None) -> Table:
    dialect, columns = find_dialect(text, path, header)
    body = text[dialect.start :]
    if dialect.delimiter != SPACES:
        _check_quotes(text, dialect, path)
    names = [str(k) for k in range(len(columns))]  # the user's own may come twice
    delimiter = dialect.delimiter
    if delimiter == SPACES:
        delimiter, body = "\t", "\n".join("\t".join(fields) for _, fields in spaced(body))
    try:
        data = pa_csv.read_csv(
            io.BytesIO(body.lstrip("\r\n").encode()),
            read_options=pa_csv.ReadOptions(
                column_names=names,
                skip_rows_after_names=int(dialect.has_header),
                block_size=1 << 24,
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=True,
                quote_char=False if dialect.delimiter == SPACES else '"',
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise _ragged(text, dialect, columns, path) or error from None

    def where(row: int) -> str:
        for k, (line, _) in enumerate(records(text, dialect)):
            if k == row + dialect.has_header:
                return f"{path}:{line}"
        return str(path)

    return Table(
        path=path,
        columns=columns,
        num_rows=data.num_rows,
        texts=lambda k: _strings(data.column(k)),
        where=where,
        notes=notes,
        dialect=dialect,
    )


def _check_quotes(text: str, dialect: Dialect, path: Path) -> None:
    """Raises SourceError for a quote that is never closed: it would swallow the rows below."""
    if text.count('"', dialect.start) % 2 == 0:
        return
    reader = csv.reader(
        io.StringIO(text[dialect.start :], newline=""), delimiter=dialect.delimiter, strict=True
    )
    try:
        for _ in reader:
            pass
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            *_, (line, _) = records(text, dialect)
            raise SourceError(
                f'{path}:{line}: a quote " is opened in this row and never closed: close it or '
                "remove it"
            ) from None


def _ragged(
    text: str, dialect: Dialect, columns: tuple[str, ...], path: Path
) -> SourceError | None:
    for line, fields in records(text, dialect):
        if len(fields) != len(columns):
            first = "header" if dialect.has_header else "first line"
            remedy = (
                "write all of them, an empty one for no label"
                if len(fields) < len(columns)
                else f"put a value that contains {dialect.delimiter!r} between double quotes"
            )
            return SourceError(
                f"{path}:{line}: number of fields is {len(fields)}, in the {first} {len(columns)}: "
                f"{remedy}"
            )
    return None


def _read_json_lines(path: Path, text: str, notes: tuple[str, ...]) -> Table:
    lines = [(k, line) for k, line in enumerate(text.split("\n"), 1) if line.strip()]
    objects = []
    for number, line in lines:
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
        objects.append(record)
    return _of_objects(path, objects, notes, lambda row: f"{path}:{lines[row][0]}")


def _read_json(path: Path, text: str, notes: tuple[str, ...]) -> Table:
    """A list of objects, as pandas writes it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: not valid JSON: {_first_line(error)}") from None
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise SourceError(
            f'{path}: must be a list of objects such as [{{"image": "a.jpg", "label": "cat"}}]'
        )
    return _of_objects(path, found, notes, lambda row: f"{path} object {row + 1}")


def _of_objects(
    path: Path,
    objects: list[dict[str, object]],
    notes: tuple[str, ...],
    where: Callable[[int], str],
) -> Table:
    columns = tuple(dict.fromkeys(name for record in objects for name in record))

    def texts(position: int) -> Texts:
        name = columns[position]
        return _plain_texts([record.get(name) for record in objects])

    return Table(
        path=path,
        columns=columns,
        num_rows=len(objects),
        texts=texts,
        where=where,
        notes=notes,
    )


def _read_excel(path: Path) -> Table:
    """The first sheet of a workbook; the first row is its header."""
    try:
        import openpyxl
    except ImportError:
        raise SourceError(
            f"{path}: Excel files need openpyxl: pip install 'labelclean[xlsx]', or save it as CSV"
        ) from None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path}: not readable as xlsx: {_first_line(error)}") from None
    rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
    book.close()
    rows = [row for row in rows if any(cell is not None for cell in row)]
    if not rows:
        raise SourceError(f"{path}: is empty: a header row such as image, label is needed")
    columns = tuple("" if cell is None else str(cell).strip() for cell in rows[0])
    return Table(
        path=path,
        columns=columns,
        num_rows=len(rows) - 1,
        texts=lambda k: _plain_texts([row[k] if k < len(row) else None for row in rows[1:]]),
        where=lambda row: f"{path} row {row + 2}",
    )


def _read_parquet(path: Path) -> Table:
    with pq.ParquetFile(path) as file:
        schema, num_rows = file.schema_arrow, file.metadata.num_rows

    def column(name: str) -> pa.ChunkedArray:
        with pq.ParquetFile(path) as file:
            return file.read(columns=[name]).column(0)

    return _of_arrow(path, schema, num_rows, column)


def open_arrow(path: Path) -> pa.Table:
    """A file of the Arrow stream or file format, mapped and not read. Raises ArrowInvalid."""
    source = pa.memory_map(str(path))
    try:
        return pa.ipc.open_stream(source).read_all()
    except pa.ArrowInvalid:
        return pa.ipc.open_file(source).read_all()


def _read_arrow(path: Path) -> Table:
    table = open_arrow(path)
    return _of_arrow(path, table.schema, table.num_rows, table.column)


def _of_arrow(
    path: Path, schema: pa.Schema, num_rows: int, column: Callable[[str], pa.ChunkedArray]
) -> Table:
    columns = tuple(schema.names)

    def texts(position: int) -> Texts:
        try:
            found = _as_texts(column(columns[position]))
            if len(found) != num_rows:
                raise OSError(f"{len(found):,} of {num_rows:,} rows")
            return found
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # pages are read here
            raise SourceError(
                f"{shown(str(path))}: its column {shown(columns[position])} is damaged: "
                f"{_first_line(error)}"
            ) from None

    def _as_texts(data: pa.ChunkedArray) -> Texts:
        if pa.types.is_dictionary(data.type):
            data = data.cast(data.type.value_type)
        if pa.types.is_string(data.type) or pa.types.is_large_string(data.type):
            return _strings(data)
        if pa.types.is_integer(data.type):
            return _strings(pc.cast(data, pa.string()))
        return _plain_texts(data.to_pylist())

    return Table(
        path=path,
        columns=columns,
        num_rows=num_rows,
        texts=texts,
        where=lambda row: f"{path} row {row} (from 0)",
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


def _plain_texts(cells: list[Any]) -> Texts:
    """Numbers in decimal: 3 for 3.0 too, which is how pandas stores 3 beside NaN."""
    return [_plain_text(cell) for cell in cells]


def _plain_text(cell: Any) -> str | None:
    """A cell as text; a list of one value is that value, other lists and objects are JSON."""
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        whole = math.isfinite(cell) and cell == int(cell)
        return None if math.isnan(cell) else str(int(cell)) if whole else repr(cell)
    if isinstance(cell, list) and len(cell) < 2:
        return _plain_text(cell[0]) if cell else None
    if isinstance(cell, (list, dict)):
        return json.dumps(cell, ensure_ascii=False, default=str)
    return f"{len(cell):,} bytes" if isinstance(cell, bytes) else str(cell)


def _is_unicode(record: object) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
