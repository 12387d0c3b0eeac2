"""How a table of text is written: delimiter, lines before the header, a header or none."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from labelclean.data.image_names import is_image_name
from labelclean.errors import SourceError

DELIMITERS = ",;\t|"
SPACES = " "  # one or more spaces or tabs between fields, no quotes
_HEAD = 1 << 20  # characters of a long text by which its dialect is known
_LOOKED_AT = 50  # records by which the delimiter is chosen
_SEP = re.compile(r"sep=(.)\r?\n|sep=(.)\r", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """start: characters before the header: comments, `sep=;`."""

    delimiter: str
    start: int = 0
    has_header: bool = True


def find_dialect(text: str, path: Path, header: bool | None) -> tuple[Dialect, tuple[str, ...]]:
    """The dialect of a text and the names of its columns: numbers from 1 without a header.

    header  None: no header where the first line names an image file

    Raises SourceError for an empty text.
    """
    start = len(text) - len(text.lstrip("\r\n"))
    named = _SEP.match(text, start)
    if named is not None:
        start = named.end()
    elif text[start : start + 1] == "#":
        start = _after_comments(text, start)
    order = "\t" + DELIMITERS.replace("\t", "") if ".tsv" in path.suffixes else DELIMITERS
    wanted = named[1] or named[2] if named is not None else None
    head = _head(text, start)
    delimiter = wanted or _delimiter(head[start:], order)
    dialect = Dialect(delimiter=delimiter, start=start)
    first = next((fields for _, fields in records(head, dialect)), [])
    if not first:
        raise SourceError(f"{path}: is empty: a header line such as image,label is needed")
    if header is False or (header is None and any(is_image_name(cell.strip()) for cell in first)):
        numbers = tuple(str(k + 1) for k in range(len(first)))
        return Dialect(delimiter=delimiter, start=start, has_header=False), numbers
    return dialect, tuple(name.strip().removeprefix("#").strip() for name in first)


def _head(text: str, start: int) -> str:
    """The text, or of a long one whole lines at its begin: more than are looked at."""
    if len(text) - start <= _HEAD:
        return text
    cut = text.rfind("\n", start, start + _HEAD) + 1
    return text[:cut] if text.count("\n", start, cut) > 10 * _LOOKED_AT else text


def records(text: str, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """The line at which each non-empty record starts, and its fields."""
    before = text.count("\n", 0, dialect.start) or text.count("\r", 0, dialect.start)
    body = text[dialect.start :]
    if dialect.delimiter == SPACES:
        for line, fields in spaced(body):
            yield before + line, fields
        return
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=dialect.delimiter)
    start = 1
    try:
        for fields in reader:
            if fields:
                yield before + start, fields
            start = reader.line_num + 1
    except csv.Error:
        return


def spaced(body: str) -> Iterator[tuple[int, list[str]]]:
    """Lines as fields between spaces: two and more where lines have those, else each."""
    pattern = spaces_in(body)
    for number, line in enumerate(body.splitlines(), 1):
        if line.strip():
            yield number, re.split(pattern, line.strip())


def spaces_in(body: str) -> str:
    """The pattern of what stands between fields: two spaces and more where lines have those."""
    some = islice((line.strip() for line in body.splitlines() if line.strip()), _LOOKED_AT)
    wide = {len(re.split(r"\s{2,}|\t", line)) for line in some}
    return r"\s{2,}|\t" if len(wide) == 1 and wide != {1} else r"\s+"


def _delimiter(body: str, order: str) -> str:
    """The one that gives the records the same number of fields, the most of them."""
    best, most = order[0], (0, 1)
    for delimiter in order:
        rows = records(body, Dialect(delimiter=delimiter))
        counts = Counter(len(fields) for _, fields in islice(rows, _LOOKED_AT))
        if not counts:
            continue
        fields, agreeing = counts.most_common(1)[0]
        first = next(len(fields) for _, fields in records(body, Dialect(delimiter=delimiter)))
        score = (int(agreeing == counts.total()) if fields > 1 else 0, first)
        if score[1] > 1 and score > most:
            best, most = delimiter, score
    if most[1] > 1:
        return best
    widths = {len(fields) for _, fields in islice(spaced(body), _LOOKED_AT)}
    return SPACES if len(widths) == 1 and widths != {1} else best


def _after_comments(text: str, start: int) -> int:
    """Where the table begins below lines that start with #; a header may start so too."""
    last = start
    while text[start : start + 1] == "#":
        last = start
        end = re.compile(r"\r\n|\r|\n").search(text, start)
        if end is None:
            return last
        start = end.end()
    below = re.split(r"[\r\n]", text[start : start + 4000], maxsplit=1)[0]
    for delimiter in DELIMITERS:
        cells = below.split(delimiter)
        is_row = any(is_image_name(cell.strip()) for cell in cells)
        if is_row and len(cells) == len(text[last:start].split(delimiter)) > 1:
            return last
    return start
