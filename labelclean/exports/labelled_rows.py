"""The content of an export, whatever the tool: rows of a report in, labels of a person out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

COPIES = "images"  # the folder of copied images within an export
MODEL = "labelclean"  # what the tools show as the model of a prediction
REVIEWED = "reviewed"  # mark of an image that was looked at, in tools that keep no track of it
TRUE_WORDS = frozenset({"true", "1", "yes", "y", "x"})  # how people and tools tick a box

_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # "Char" there


@dataclass(frozen=True, kw_only=True)
class ExportRow:
    """One image of a report, as a tool gets to see it.

    row        place in the report, from 0
    image      name in the report
    file       path below the folder of the images, forward slashes
    size       (width, height) in px, where the format asks for it
    given      "" for an image without a label
    suggested  = given where the label is judged right, "" where there is none
    label_score, issue_probability, suggested_probability
               0 to 1, None where the report has none
    """

    row: int
    image: str
    file: str
    size: tuple[int, int] | None
    given: str
    suggested: str
    is_label_issue: bool
    label_score: float | None
    issue_probability: float | None
    suggested_probability: float | None


@dataclass(frozen=True, kw_only=True)
class Export:
    """All that a tool gets.

    class_names  of the report, and any other that its rows name
    images       absolute folder of the images, None where they lie in an archive or on a server
    has_copies   that folder is `images` within the export
    url_prefix   goes before each quoted file where the tool takes URLs
    """

    rows: Sequence[ExportRow]
    class_names: tuple[str, ...]
    images: Path | None = None
    has_copies: bool = False
    url_prefix: str | None = None

    def url(self, row: ExportRow) -> str | None:
        return None if self.url_prefix is None else self.url_prefix + quote(row.file)


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A label that a file holds for an image.

    image        as the file names it
    label        "" where the image has none
    annotator    None where the file does not say
    is_reviewed  the file says that a person set or confirmed it; False: it may be as exported
    """

    image: str
    label: str
    annotator: str | None = None
    is_reviewed: bool = False


@dataclass(frozen=True, kw_only=True)
class Found:
    """The labels in a file.

    unclear  images with several labels at once, which say nothing about which one is right
    """

    labels: tuple[Labelled, ...]
    unclear: int = 0


@dataclass(frozen=True, kw_only=True)
class Format:
    """A tool's files.

    title        the tool's name for people
    files        of an export: path relative to its folder -> content, piece by piece
    passes       how often that goes through all rows
    read         what a file or folder of the tool holds; raises ReportError
    next_step    of an export and its folder: how to load it
    needs_size   the format asks for width and height
    takes_urls   images may be URLs
    needs_files  it opens images by path, so those of an archive must be copied
    has_text     whether it can hold a name or label
    """

    title: str
    files: Callable[[Export], Mapping[str, Iterable[bytes]]]
    read: Callable[[Path], Found]
    next_step: Callable[[Export, Path], str]
    passes: int = 1
    needs_size: bool = False
    takes_urls: bool = False
    needs_files: bool = True
    has_text: Callable[[str], bool]


def is_unicode(text: str) -> bool:
    """False for what is left of a name in another encoding: lone surrogates."""
    return text.isascii() or not _SURROGATE.search(text)


def is_xml_text(text: str) -> bool:
    """Whether XML 1.0 can hold the text at all, escaped or not."""
    return not _NO_XML.search(text)


def is_ticked(value: object) -> bool:
    """Whether a mark such as `reviewed` is set, as JSON, XML or a table may spell it."""
    return value is True or str(value).strip().lower() in TRUE_WORDS


def finite(value: float) -> float | None:
    return None if math.isnan(value) else value


def grouped(labelled: list[Labelled]) -> Found:
    """One label an image: those of images with several different ones are only counted.

    Where some were reviewed, only those count: a label as exported may stand beside the new one.
    """
    by_image: dict[str, list[Labelled]] = {}
    for each in labelled:
        by_image.setdefault(each.image, []).append(each)
    clear, unclear = [], 0
    for labels in by_image.values():
        chosen = [each for each in labels if each.is_reviewed] or labels
        if len({each.label for each in chosen}) == 1:
            clear.append(chosen[-1])
        else:
            unclear += 1
    return Found(labels=tuple(clear), unclear=unclear)
