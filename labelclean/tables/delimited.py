"""Tables of text with delimiters: CSV, TSV and their kin."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from labelclean.errors import SourceError, printable
from labelclean.tables.columnar import strings
from labelclean.tables.dialects import SPACES, Dialect, find_dialect, records, spaced
from labelclean.tables.table import Table, Texts

LONGEST = 1 << 24  # bytes of a row


def read_delimited(path: Path, text: str, notes: tuple[str, ...], header: bool | None) -> Table:
    dialect, columns = find_dialect(text, path, header)
    body = text[dialect.start :]
    if dialect.delimiter != SPACES:
        _check_quotes(text, dialect, path)
    names = [str(k) for k in range(len(columns))]  # the user's own may come twice
    delimiter = dialect.delimiter
    if delimiter == SPACES:
        delimiter, body = "\t", "\n".join("\t".join(fields) for _, fields in spaced(body))
    encoded, kind = _encoded(body.lstrip("\r\n"))
    try:
        data = pa_csv.read_csv(
            io.BytesIO(encoded),
            read_options=pa_csv.ReadOptions(
                column_names=names,
                skip_rows_after_names=int(dialect.has_header),
                block_size=LONGEST,
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=True,
                quote_char=False if dialect.delimiter == SPACES else '"',
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, kind), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if "straddling" in str(error):
            lines = text.split("\n")
            line = max(range(len(lines)), key=lambda k: len(lines[k]))
            raise SourceError(
                f"{path}:{line + 1}: the line has {len(lines[line]):,} characters, more than "
                f"{LONGEST >> 20} MiB: is it a row of paths and labels?"
            ) from None
        raise _ragged(text, dialect, columns, path) or error from None

    def texts(position: int) -> Texts:
        cells = strings(data.column(position))
        return cells if kind == pa.string() else list(map(_kept, cells))

    def where(row: int) -> str:
        for k, (line, _) in enumerate(records(text, dialect)):
            if k == row + dialect.has_header:
                return f"{printable(path)}:{line}"
        return printable(path)

    return Table(
        path=path,
        columns=columns,
        num_rows=data.num_rows,
        texts=texts,
        values=texts,
        where=where,
        arrow=data.column if kind == pa.string() else None,
        notes=notes,
        dialect=dialect,
    )


def _encoded(text: str) -> tuple[bytes, pa.DataType]:
    """The text's bytes and what its cells are: bytes where it holds broken UTF-8."""
    try:
        return text.encode(), pa.string()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape"), pa.binary()


def _kept(cell: Any) -> str:
    text: str = cell.decode("utf-8", "surrogateescape")
    return text


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
