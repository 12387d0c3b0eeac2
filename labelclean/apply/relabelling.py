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
from labelclean.sources.labels import LABEL_KEYS, single_labels
from labelclean.sources.splits import flag_value
from labelclean.tables.dialects import SPACES, Dialect, find_dialect, spaces_in
from labelclean.tables.encodings import decode_text
from labelclean.tables.table import JSON_LINES, Table, table_ending

TOGETHER = 10_000  # lines of a rewritten table that are joined
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
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
    """The changes to the rows of one table.

    image, label  positions of the columns
    one_hot       columns of 0 and 1, one a class, in place of a column of labels
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
    one_hot: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        names = {self.table.columns[k] for k in self.one_hot}
        wanted = [*self.labels.values(), *(label for _, label in self.added)]
        unknown = sorted(set(wanted) - names) if names else []
        if unknown:
            raise SourceError(
                f"{printable(self.table.path)}: has a column of 0 and 1 for each class and none "
                f"for '{printable(unknown[0])}': decide for another label, or add the column"
            )

    def cells_of(self, label: str) -> dict[int, str]:
        """A label as the row writes it: its text, or a 1 and zeros."""
        if not self.one_hot:
            return {self.label: label}
        return {k: "1" if self.table.columns[k] == label else "0" for k in self.one_hot}


def rewrite_text(
    edit: Edit, data: bytes, encoding: str | None = None
) -> tuple[bytes, tuple[str, ...]]:
    """The bytes of the table after the edit, in its own encoding where that has the letters.

    encoding  that the table was read in, where it was named
    returns   bytes, notes

    Raises SourceError if the bytes are not those of the table.
    """
    path = edit.table.path
    text, _ = decode_text(data, path, encoding)
    tried = _ENCODINGS if encoding is None else ((b"", encoding), *_ENCODINGS)
    mark, encoding = next(
        ((mark, name) for mark, name in tried if _encoded(text, mark, name) == data),
        (b"", "utf-8"),
    )
    del data  # of ten million rows 400 MB
    is_lines = table_ending(path) in JSON_LINES
    changed = _rewrite_lines(edit, text) if is_lines else _rewrite_delimited(edit, text)
    out = _encoded(changed, mark, encoding)
    if out is not None:
        return out, ()
    try:
        data = changed.encode()
    except UnicodeEncodeError as error:
        broken = printable(changed[max(0, error.start - 20) : error.end + 20])
        raise SourceError(
            f"{printable(path)}: a new label is no Unicode, near '{broken}': decide for another"
        ) from None
    return data, (f"written as UTF-8: {encoding} of {path.name} lacks letters of it",)


def like(old: object, new: str) -> object:
    """The new label as the kind of value that the old one is: 3 and not "3" among numbers."""
    if isinstance(old, list) and len(old) == 1:
        return [like(old[0], new)]
    if isinstance(old, dict):
        keys = [key for key in LABEL_KEYS if key in old]
        return {**old, keys[0]: like(old[keys[0]], new)} if keys else new
    if isinstance(old, bool):
        return {"true": True, "false": False, "1": True, "0": False}.get(new, new)
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
    dialect = _dialect(edit, text)
    out: list[str] = [text[: dialect.start]]
    row, line_end, joined = -1 if dialect.has_header else 0, "\n", 1
    for raw, fields in _records(edit, text[dialect.start :], dialect.delimiter):
        if not fields:
            out.append(raw)
            continue
        if len(out) == 1:
            line_end = raw[len(raw.rstrip("\r\n")) :] or "\n"
        if row in edit.labels:
            out.append(_relabelled(raw, fields, edit, edit.labels[row], dialect.delimiter))
        elif row not in edit.dropped:
            out.append(raw)
        row += 1
        if len(out) - joined > TOGETHER:  # an object a line takes more than the line
            out[joined:] = ["".join(out[joined:])]
            joined = len(out)
    if row != edit.table.num_rows:
        raise SourceError(
            f"{printable(edit.table.path)}: its lines cannot be told apart: save it anew as CSV"
        )
    if edit.added and not out[-1].endswith(("\r", "\n")):
        out.append(line_end)
    for image, label in edit.added:
        cells = [""] * len(edit.table.columns)
        cells[edit.image] = image
        for place, cell in edit.cells_of(label).items():
            cells[place] = cell
        out.append(_line(cells, dialect.delimiter) + line_end)
    return "".join(out)


def _relabelled(raw: str, fields: list[str], edit: Edit, label: str, delimiter: str) -> str:
    for place, cell in edit.cells_of(label).items():
        old = fields[place]
        new = as_one_hot(old, cell) if edit.one_hot else like_text(old, cell)
        if new != old:
            raw = _with_field(raw, fields, place, new, delimiter)
            fields = [*fields[:place], new, *fields[place + 1 :]]
    return raw


def as_one_hot(old: str, new: str) -> str:
    """0 or 1 as the column writes them: 1.0 where it has 0.0."""
    if old and flag_value(old) == (new == "1"):
        return old
    return f"{new}.0" if "." in old else new


def like_text(old: str, new: str) -> str:
    """The label in the list or object that the old one is in, where that is JSON or Python's."""
    plain = old.strip()
    if plain[:1] not in "[{" or plain[-1:] not in "]}" or not plain:
        return new
    for written in (json.dumps, repr):
        (label,) = single_labels([plain], str, "", "keep")[0]
        quoted = written(label) if label is not None else ""
        if quoted and plain.count(quoted) == 1:
            return old.replace(quoted, written(new))
    return new


def _dialect(edit: Edit, text: str) -> Dialect:
    """How the text is written; as the table was."""
    header = None if edit.table.has_header else False
    dialect, columns = find_dialect(text, edit.table.path, header)
    if columns != edit.table.columns:
        raise SourceError(f"{printable(edit.table.path)}: its header changed while it was read")
    return dialect


def _records(edit: Edit, text: str, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """Each record as it stands in the text, and its fields."""
    if delimiter == SPACES:
        pattern = spaces_in(text)
        for line in text.splitlines(keepends=True):
            yield line, re.split(pattern, line.strip()) if line.strip() else []
        return
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in _LINE.finditer(text):  # io.StringIO takes four bytes a letter
            taken.append(line[0])
            yield line[0]

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
    if delimiter == SPACES:
        return _with_word(raw, fields, position, new)
    field = re.compile(rf'(?:"(?:[^"]|"")*")?[^{re.escape(delimiter)}]*')
    start = 0
    for _ in range(position):
        field_match = field.match(body, start)
        start = (field_match.end() if field_match else len(body)) + 1
    field_match = field.match(body, min(start, len(body)))
    end = field_match.end() if field_match else len(body)
    quotes = body[start : start + 1] == '"' or any(char in new for char in f'{delimiter}"\r\n')
    cell = '"' + new.replace('"', '""') + '"' if quotes else new
    wanted = [*fields[:position], new, *fields[position + 1 :]]
    changed = body[:start] + cell + body[end:]
    if list(csv.reader(io.StringIO(changed, newline=""), delimiter=delimiter)) != [wanted]:
        changed = _line(wanted, delimiter)  # quotes that only a lenient reader takes
    return changed + raw[len(body) :]


def _with_word(raw: str, fields: list[str], position: int, new: str) -> str:
    """The record of a table between spaces with another field there."""
    if not new or any(char.isspace() for char in new):
        raise SourceError(
            f"label '{printable(new)}' holds a space, and the table has spaces between its fields: "
            "decide for another label, or save the table with commas"
        )
    start = 0
    for field in fields[:position]:
        start = raw.index(field, start) + len(field)
    start = raw.index(fields[position], start)
    return raw[:start] + new + raw[start + len(fields[position]) :]


def _line(cells: list[str], delimiter: str) -> str:
    if delimiter == SPACES:
        return " ".join(cells)
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n")


def _rewrite_lines(edit: Edit, text: str) -> str:
    lines = text.split("\n")
    out: list[str] = []
    row = 0
    for line in lines:
        if not line.strip():
            out.append(line)
            continue
        if row in edit.labels:
            for place, cell in edit.cells_of(edit.labels[row]).items():
                line = _with_value(line, edit.table.columns[place], cell)
            out.append(line)
        elif row not in edit.dropped:
            out.append(line)
        row += 1
    added = [
        json.dumps(
            {edit.table.columns[edit.image]: image}
            | {
                edit.table.columns[k]: like(0, cell) if edit.one_hot else cell
                for k, cell in edit.cells_of(label).items()
            },
            ensure_ascii=False,
        )
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
        gap = space.match(line, place)
        return gap.end() if gap else place

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
