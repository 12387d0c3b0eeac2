"""Reports as files: CSV, TSV, JSON Lines, Parquet: rows to bytes and back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from labelclean.errors import ReportError, SourceError, printable
from labelclean.tables.read_table import read_table
from labelclean.tables.table import Table
from labelclean.text import csv_text

ENDINGS = (".csv", ".tsv", ".parquet", ".jsonl")

# What makes a spreadsheet run a cell as a formula (OWASP, "CSV Injection"), full-width forms too.
FORMULA_STARTS = frozenset("=+-@\t\r\n＝＋－＠")

# Made once: json.dumps makes one for each row.
_UNICODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_ASCII = json.JSONEncoder(allow_nan=False)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Cells as they stand in a file, not yet checked.

    names   of the columns that are there
    cells   column name -> (n,) cells: str from CSV, anything from the other formats
    arrow   column name -> the same as Arrow has them, not None: strings, numbers or booleans;
            None where only `cells` can say what is there
    where   row -> where it stands, for messages
    """

    names: tuple[str, ...]
    cells: Callable[[str], Sequence[Any]]
    arrow: Callable[[str], pa.ChunkedArray | None]
    where: Callable[[int], str]

    def all_cells(self) -> dict[str, Sequence[Any]]:
        return {name: self.cells(name) for name in self.names}


def ending_of(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ReportError(
            f"{printable(path)}: a report ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, "
            f"not {printable(ending) or 'nothing'!r}"
        )
    return ending


def encode(frame: pd.DataFrame, path: Path) -> bytes:
    """The rows in the format of the path's ending; the same bytes for the same rows."""
    ending = ending_of(path)
    if ending == ".parquet":
        return _encode_parquet(frame, path)
    if ending == ".jsonl":
        return _encode_lines(frame)
    return encode_csv(frame, "\t" if ending == ".tsv" else ",")


def decode(
    data: bytes, path: Path, names: Sequence[str], optional: Collection[str] = ()
) -> Columns:
    """The columns `names` of a file's bytes, those of `optional` where they are there.

    Raises ReportError if it is no such file.
    """
    ending_of(path)
    try:
        table = read_table(path, content=data, is_ours=True)
    except SourceError as error:
        raise _unreadable(error) from None
    if not table.columns:  # JSON Lines without a line
        needed = tuple(name for name in names if name not in optional)
        return Columns(names=needed, cells=lambda _: [], arrow=lambda _: None, where=table.where)
    _check_names(path, table.columns, [name for name in names if name not in optional])

    def cells(name: str) -> list[Any]:
        try:
            return _cells(table, table.columns.index(name), name in optional)
        except SourceError as error:
            raise _unreadable(error) from None

    def arrow(name: str) -> pa.ChunkedArray | None:
        if table.arrow is None:
            return None
        try:
            return _plain(table.arrow(table.columns.index(name)), table.dialect is not None)
        except SourceError as error:
            raise _unreadable(error) from None

    there = tuple(name for name in names if name in table.columns)
    return Columns(names=there, cells=cells, arrow=arrow, where=table.where)


def _unreadable(error: SourceError) -> ReportError:
    return ReportError(f"{printable(error)}; or run filter again")


def _plain(column: pa.ChunkedArray, is_text: bool) -> pa.ChunkedArray | None:
    """The column if it says by itself what its cells are: no null and no apostrophe to take off."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        has_marks = is_text and pc.any(pc.starts_with(column, "'")).as_py()
        return None if column.null_count or has_marks else column
    is_known = pa.types.is_float64(column.type) or pa.types.is_boolean(column.type)
    return column if is_known else None


def _cells(table: Table, position: int, is_optional: bool) -> list[Any]:
    cells = table.values(position)
    if table.dialect is not None:
        return [restored(cell) for cell in cells]
    return ["" if cell is None else cell for cell in cells] if is_optional else cells


def encode_csv(frame: pd.DataFrame, delimiter: str = ",", *, has_header: bool = True) -> bytes:
    """CSV in UTF-8 with cells that no spreadsheet runs; bytes of broken names stay as they are."""
    texts = [_cell_texts(frame[name]) for name in frame.columns]
    header = [frame.columns] if has_header else []
    text = csv_text([*header, *zip(*texts, strict=True)], delimiter)
    return text.encode("utf-8", "surrogateescape")


def neutralised(cell: str) -> str:
    """The cell behind an apostrophe if a spreadsheet would run it, or it begins with one."""
    return "'" + cell if _needs_apostrophe(cell) else cell


def restored(cell: str) -> str:
    """The inverse of `neutralised`; an apostrophe that it did not set stays."""
    return cell[1:] if cell.startswith("'") and _needs_apostrophe(cell[1:]) else cell


def _needs_apostrophe(cell: str) -> bool:
    return cell.startswith("'") or cell.lstrip(" ")[:1] in FORMULA_STARTS


def _cell_texts(column: pd.Series[Any]) -> list[str]:
    if column.dtype == bool:
        return ["True" if value else "False" for value in column.tolist()]
    if column.dtype == float:
        return ["" if value != value else f"{value:.6g}" for value in column.tolist()]
    return [neutralised(value) for value in column.tolist()]


def _encode_lines(frame: pd.DataFrame) -> bytes:
    out = []
    columns = [frame[name].tolist() for name in frame.columns]
    for values in zip(*columns, strict=True):
        row = {n: None if v != v else v for n, v in zip(frame.columns, values, strict=True)}
        out.append(encode_json(row) + b"\n")
    return b"".join(out)


def encode_json(value: object) -> bytes:
    """JSON in UTF-8; broken file names become escapes, which read back as they were."""
    try:
        return _UNICODE.encode(value).encode()
    except UnicodeEncodeError:
        return _ASCII.encode(value).encode()


def _encode_parquet(frame: pd.DataFrame, path: Path) -> bytes:
    import pyarrow.parquet as pq

    types = {"b": pa.bool_(), "f": pa.float64(), "O": pa.string()}
    arrays = {}
    for name in frame.columns:
        column = frame[name]
        try:
            arrays[name] = pa.array(column.tolist(), types[column.dtype.kind])
        except UnicodeEncodeError as error:
            raise ReportError(
                f"{printable(path)}: Parquet holds no broken UTF-8 such as {name} "
                f"'{printable(error.object)}'; choose a report that ends in .csv or .jsonl"
            ) from None
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays), sink, compression="zstd")
    return sink.getvalue()


def _check_names(
    place: object, columns: Sequence[str] | Mapping[str, Any], names: Sequence[str]
) -> None:
    missing = [name for name in names if name not in columns]
    if len(missing) == len(names):
        raise ReportError(f"{printable(place)}: not a labelclean report; give what filter wrote")
    if missing:
        raise ReportError(
            f"{printable(place)}: no column {', '.join(missing)}; a report keeps all its columns"
        )
