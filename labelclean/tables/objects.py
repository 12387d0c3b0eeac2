"""Tables of values: JSON Lines, JSON and the first sheet of a workbook."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labelclean.errors import SourceError, printable
from labelclean.tables.annotations import annotated_rows
from labelclean.tables.table import Table, Texts


def read_json_lines(
    path: Path, text: str, notes: tuple[str, ...], *, keeps_bytes: bool = False
) -> Table:
    lines = [(k, line) for k, line in enumerate(text.split("\n"), 1) if line.strip()]
    objects = []
    for number, line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{path}:{number}: not valid JSON: {first_line(error)}") from None
        if "\\ud" in line and not keeps_bytes and not _is_unicode(record):
            raise SourceError(f"{path}:{number}: holds half a \\u pair, which is no character")
        if not isinstance(record, dict):
            raise SourceError(
                f'{path}:{number}: each line must be an object such as {{"image": "a.jpg", '
                '"label": "cat"}'
            )
        objects.append(record)
    return _of_objects(path, objects, notes, lambda row: f"{printable(path)}:{lines[row][0]}")


def read_json(path: Path, text: str, notes: tuple[str, ...]) -> Table:
    """A list of objects, as pandas writes it, or what an annotation tool exported."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: not valid JSON: {first_line(error)}") from None
    annotated = annotated_rows(parsed, path)
    if annotated is not None:
        parsed, note = annotated
        notes = (*notes, f"{path.name} was read as {note}")
    if not isinstance(parsed, list) or not all(isinstance(record, dict) for record in parsed):
        raise SourceError(
            f'{path}: must be a list of objects such as [{{"image": "a.jpg", "label": "cat"}}]'
        )
    return _of_objects(path, parsed, notes, lambda row: f"{printable(path)} object {row + 1}")


def _of_objects(
    path: Path,
    objects: list[dict[str, object]],
    notes: tuple[str, ...],
    where: Callable[[int], str],
) -> Table:
    columns = tuple(dict.fromkeys(name for record in objects for name in record))

    def values(position: int) -> list[Any]:
        name = columns[position]
        return [record.get(name) for record in objects]

    return Table(
        path=path,
        columns=columns,
        num_rows=len(objects),
        texts=lambda k: plain_texts(values(k)),
        values=values,
        where=where,
        notes=notes,
    )


def read_excel(path: Path) -> Table:
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
        raise SourceError(f"{path}: not readable as xlsx: {first_line(error)}") from None
    rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
    book.close()
    rows = [row for row in rows if any(cell is not None for cell in row)]
    if not rows:
        raise SourceError(f"{path}: is empty: a header row such as image, label is needed")
    columns = tuple("" if cell is None else str(cell).strip() for cell in rows[0])

    def values(position: int) -> list[Any]:
        return [row[position] if position < len(row) else None for row in rows[1:]]

    return Table(
        path=path,
        columns=columns,
        num_rows=len(rows) - 1,
        texts=lambda k: plain_texts(values(k)),
        values=values,
        where=lambda row: f"{printable(path)} row {row + 2}",
    )


def plain_texts(cells: list[Any]) -> Texts:
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


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
