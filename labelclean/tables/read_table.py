"""Reads a table of any kind, which its ending names: of labels, decisions or a report."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from labelclean.errors import SourceError, printable
from labelclean.opening import check_regular
from labelclean.tables.columnar import read_arrow, read_parquet
from labelclean.tables.delimited import read_delimited
from labelclean.tables.encodings import decode_text
from labelclean.tables.objects import first_line, read_excel, read_json, read_json_lines
from labelclean.tables.table import (
    ARROW,
    EXCEL,
    JSON,
    JSON_LINES,
    PARQUET,
    SUFFIXES,
    Table,
    read_bytes,
    table_ending,
)


def read_table(
    path: Path,
    *,
    encoding: str | None = None,
    header: bool | None = None,
    content: bytes | None = None,
    is_ours: bool = False,
) -> Table:
    """The table in a file, whose kind the file's ending names.

    encoding  of text that is not UTF-8; None: UTF-8, UTF-16 or what reads well as Windows-1252
    header    False: the first line is a row; None: found out
    content   the file's content, where it lies in an archive or was read already
    is_ours   a report or decisions: names that are no UTF-8 stay, and there may be no rows

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
            table = read_parquet(path, content)
        elif suffix in ARROW:
            table = read_arrow(path)
        elif suffix in EXCEL:
            table = read_excel(path)
        else:
            data = read_bytes(path) if content is None else content
            text, notes = decode_text(data, path, encoding, keeps_bytes=is_ours)
            if suffix in JSON_LINES:
                table = read_json_lines(path, text, notes, keeps_bytes=is_ours)
            elif suffix in JSON:
                table = read_json(path, text, notes)
            else:
                table = read_delimited(path, text, notes, header)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: not readable as {suffix[1:]}: {first_line(error)}") from None
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise SourceError(f"{path}: cannot be read: {reason}") from None
    if not table.num_rows and not is_ours:
        raise SourceError(f"{path}: has no rows below its header: one row for each image is needed")
    return table


def read_labels_table(path: Path, encoding: str | None, image_col: str | None) -> Table:
    """The table that the user named; without a header where its columns are named by numbers.

    Raises SourceError as read_table does, and for a path that is not there.
    """
    if not path.exists():
        raise SourceError(f"{printable(path)}: no such file: correct the path of the labels")
    table = read_table(path, encoding=encoding)
    by_number = image_col is not None and image_col.isdigit() and image_col not in table.columns
    if by_number and table.dialect is not None and table.has_header:
        return read_table(path, encoding=encoding, header=False)
    return table
