"""JSON written piece by piece: the text of ten million rows would take more than their report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from labelclean.report.files import encode_json


def json_list(values: Iterable[object], *, between: bytes = b", ") -> Iterator[bytes]:
    """The pieces of a JSON list of the values."""
    yield b"["
    for k, value in enumerate(values):
        yield (between if k else b"") + encode_json(value)
    yield b"]"


def json_object(pairs: Iterable[tuple[str, object]]) -> Iterator[bytes]:
    """The pieces of a JSON object. A value that is an iterator of bytes is JSON already."""
    yield b"{"
    for k, (name, value) in enumerate(pairs):
        yield (b", " if k else b"") + encode_json(name) + b": "
        if isinstance(value, Iterator):
            yield from value
        else:
            yield encode_json(value)
    yield b"}"
