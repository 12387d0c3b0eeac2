"""The letters of a table: UTF-8, UTF-16, a named encoding, or Windows-1252 where it reads so."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from labelclean.errors import SourceError

_WORD = re.compile(r"[^\W\d_]+")
_COMMON = set("’‘“”–—…°®©™€£§·«»¿¡ºª²³µ½¼¾±×•\u00a0")  # of other letters than those of words


def decode_text(
    data: bytes, path: Path, encoding: str | None = None, *, keeps_bytes: bool = False
) -> tuple[str, tuple[str, ...]]:
    """The text of a file, and a note where it is not Unicode.

    keeps_bytes  of file names that are no UTF-8, as Python's surrogates

    Raises SourceError for a file that is no text, or in an encoding that must be named.
    """
    notes: tuple[str, ...] = ()
    chosen = encoding or _unicode(data)
    if chosen == "utf-8-sig" and b"\0" in data and not keeps_bytes:
        raise SourceError(f"{path}: holds zero bytes, so it is no text: give a CSV, TSV or JSONL")
    try:
        text = data.decode(chosen)
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise SourceError(
                f"{path}: not in the encoding {encoding} (byte {error.start}): name another by "
                "--encoding"
            ) from None
        if keeps_bytes:
            return data.decode("utf-8-sig", "surrogateescape"), ()
        text = data.decode("cp1252", errors="replace")
        if not _reads_well(text):
            raise SourceError(
                f"{path}: neither UTF-8 nor Windows-1252: name its encoding, e.g. --encoding gbk, "
                "shift_jis, cp1251, or save it as UTF-8"
            ) from None
        notes = (f"{path.name} is not UTF-8: read as cp1252",)
    return text.removeprefix("\ufeff"), notes


def _unicode(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    start = data[:2000]
    if start[1::2].count(0) > len(start) / 4:  # Latin letters in UTF-16 have a zero byte each
        return "utf-16-le"
    if start[::2].count(0) > len(start) / 4:
        return "utf-16-be"
    return "utf-8-sig"


def _reads_well(text: str) -> bool:
    """Whether it looks like a Western language and not like another's bytes.

    In those, letters beyond ASCII stand alone among others; bytes of Cyrillic, Greek or Chinese
    make words of nothing else, and signs that nobody writes.
    """
    if any(not char.isascii() and not char.isalpha() and char not in _COMMON for char in text):
        return False
    if text.count("“") != text.count("”"):
        return False
    return not any(len(word) > 1 and _is_foreign(word) for word in set(_WORD.findall(text)))


def _is_foreign(word: str) -> bool:
    return not any(char.isascii() for char in word)
