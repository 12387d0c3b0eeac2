"""Other labels in a table of text (CSV, TSV, JSON Lines); all else stays byte for byte."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labelclean.errors import SourceError, printable
from labelclean.sources.encodings import decode_text
from labelclean.sources.tables import JSON_LINES, Table

_DELIMITERS = ",;\t"
_ENCODINGS = (
    (b"", "utf-8"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"", "utf-16-le"),
    (b"", "utf-16-be"),
    (b"", "cp1252"),
    (b"", "latin-1"),
)


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What becomes of the rows of one table.

    image, label  positions of the columns
    labels        row -> its new label
    dropped       rows to leave out
    added         (image, label) of rows to add at the end
    """

    table: Table
    image: int
    label: int
    labels: Mapping[int, str]
    dropped: frozenset[int]
    added: tuple[tuple[str, str], ...] = ()


def rewrite_text(edit: Edit, data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The bytes of the table after the edit, in its own encoding where that has the letters.

    returns  bytes, notes

    Raises SourceError if the bytes are not those of the table.
    """
    path = edit.table.path
    text, _ = decode_text(data, path)
    mark, encoding = next(
        ((mark, name) for mark, name in _ENCODINGS if _encoded(text, mark, name) == data),
        (b"", "utf-8"),
    )
    is_lines = path.suffix.lower() in JSON_LINES
    changed = _rewrite_lines(edit, text) if is_lines else _rewrite_delimited(edit, text)
    out = _encoded(changed, mark, encoding)
    if out is not None:
        return out, ()
    return changed.encode(), (f"written as UTF-8: {encoding} of {path.name} lacks letters of it",)


def like(old: object, new: str) -> object:
    """The new label as the kind of value that the old one is: 3 and not "3" among numbers."""
    if isinstance(old, bool):
        return {"true": True, "false": False}.get(new, new)
    if isinstance(old, (int, float)):
        try:
            number = float(new) if isinstance(old, float) else int(new)
        except ValueError:
            return new
        return number if str(number) in (new, f"{new}.0") else new
    return new


def _encoded(text: str, mark: bytes, encoding: str) -> bytes | None:
    try:
        return mark + text.encode(encoding)
    except UnicodeEncodeError:
        return None


def _rewrite_delimited(edit: Edit, text: str) -> str:
    delimiter = _delimiter(edit, text)
    out: list[str] = []
    row, line_end = -1, "\n"
    for raw, fields in _records(edit, text, delimiter):
        if not fields:
            out.append(raw)
            continue
        if row == -1:
            line_end = raw[len(raw.rstrip("\r\n")) :] or "\n"
        if row in edit.labels:
            out.append(_with_field(raw, fields, edit.label, edit.labels[row], delimiter))
        elif row not in edit.dropped:
            out.append(raw)
        row += 1
    if row != edit.table.num_rows:
        raise SourceError(
            f"{printable(edit.table.path)}: its lines cannot be told apart: save it anew as CSV"
        )
    if edit.added and not out[-1].endswith(("\r", "\n")):
        out.append(line_end)
    for image, label in edit.added:
        cells = [""] * len(edit.table.columns)
        cells[edit.image], cells[edit.label] = image, label
        out.append(_line(cells, delimiter) + line_end)
    return "".join(out)


def _delimiter(edit: Edit, text: str) -> str:
    """The one that gives the table's columns."""
    for delimiter in _DELIMITERS:
        header = next((fields for _, fields in _records(edit, text, delimiter) if fields), [])
        if tuple(name.strip() for name in header) == edit.table.columns:
            return delimiter
    raise SourceError(f"{printable(edit.table.path)}: its header changed while it was read")


def _records(edit: Edit, text: str, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """Each record as it stands in the text, and its fields."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            taken.append(line)
            yield line

    reader = csv.reader(lines(), delimiter=delimiter)
    try:
        for fields in reader:
            yield "".join(taken), fields
            taken.clear()
    except csv.Error as error:
        raise SourceError(f"{printable(edit.table.path)}:{reader.line_num}: {error}") from None


def _with_field(raw: str, fields: list[str], position: int, new: str, delimiter: str) -> str:
    """The record with another field there, quoted as the old one was."""
    body = raw.rstrip("\r\n")
    field = re.compile(rf'(?:"(?:[^"]|"")*")?[^{delimiter}]*')
    start = 0
    for _ in range(position):
        found = field.match(body, start)
        start = (found.end() if found else len(body)) + 1
    found = field.match(body, min(start, len(body)))
    end = found.end() if found else len(body)
    quotes = body[start : start + 1] == '"' or any(char in new for char in f'{delimiter}"\r\n')
    cell = '"' + new.replace('"', '""') + '"' if quotes else new
    wanted = [*fields[:position], new, *fields[position + 1 :]]
    changed = body[:start] + cell + body[end:]
    if list(csv.reader(io.StringIO(changed, newline=""), delimiter=delimiter)) != [wanted]:
        changed = _line(wanted, delimiter)  # quotes that only a lenient reader takes
    return changed + raw[len(body) :]


def _line(cells: list[str], delimiter: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n")


def _rewrite_lines(edit: Edit, text: str) -> str:
    name = edit.table.columns[edit.label]
    lines = text.split("\n")
    out: list[str] = []
    row = 0
    for line in lines:
        if not line.strip():
            out.append(line)
            continue
        if row in edit.labels:
            out.append(_with_value(line, name, edit.labels[row]))
        elif row not in edit.dropped:
            out.append(line)
        row += 1
    added = [
        json.dumps({edit.table.columns[edit.image]: image, name: label}, ensure_ascii=False)
        for image, label in edit.added
    ]
    if added:
        ends_whole = not out or out[-1] == ""
        out = [*(out[:-1] if ends_whole else out), *added, ""]
    return "\n".join(out)


def _with_value(line: str, name: str, new: str) -> str:
    """The object with another value under that name; the rest of the line as it was."""
    record = json.loads(line)
    value = json.dumps(like(record.get(name), new), ensure_ascii=line.isascii())
    span = _value_span(line, name)
    if span is not None:
        return line[: span[0]] + value + line[span[1] :]
    end = line.rindex("}")
    comma = ", " if record else ""
    return (
        f"{line[:end]}{comma}{json.dumps(name, ensure_ascii=line.isascii())}: {value}{line[end:]}"
    )


def _value_span(line: str, name: str) -> tuple[int, int] | None:
    """Where the value of that name stands in a line with one object; the last one counts."""
    decoder, space = json.JSONDecoder(), re.compile(r"[ \t\r\n]*")

    def after_space(place: int) -> int:
        found = space.match(line, place)
        return found.end() if found else place

    place, span = after_space(after_space(0) + 1), None
    while line[place] != "}":
        key, place = decoder.raw_decode(line, place)
        start = after_space(after_space(place) + 1)
        _, end = decoder.raw_decode(line, start)
        if key == name:
            span = start, end
        place = after_space(end)
        if line[place] == ",":
            place = after_space(place + 1)
    return span
