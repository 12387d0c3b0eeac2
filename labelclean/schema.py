"""Checks JSON that is read back against a schema; one line says what is wrong with it."""

from __future__ import annotations

import json
import math
import os
from typing import Annotated, Any, TypeVar

from pydantic import PlainValidator, TypeAdapter, ValidationError

from labelclean.errors import printable

Checked = TypeVar("Checked")

_PLAIN = {"a valid tuple": "a list", "a valid dictionary": "an object"}
_SHOWN = 60  # characters of a wrong value
_LONGEST_NAME, _LONGEST_PATH = 255, 4096  # bytes, on the usual disks


def loads(data: bytes) -> Any:
    """The value of JSON; None if it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None


def checked(schema: TypeAdapter[Checked], value: Any) -> Checked:
    """The value that the schema makes of `found`. Raises ValueError with one line."""
    try:
        return schema.validate_python(value)
    except ValidationError as error:
        raise ValueError(_line(error)) from None


def _line(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"no '{printable(name)}'"
    if first["type"] == "value_error":
        reason = str(first["ctx"]["error"])
    else:
        reason = first["msg"].removeprefix("Input should be ")
        reason = _PLAIN.get(reason, reason)
    value = printable(repr(first["input"]))
    shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
    return f"{printable(name)} is {shown}, must be {reason}" if name else printable(reason)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text")
    try:
        value.encode("utf-8", "surrogateescape")  # bytes of file names that are no UTF-8 may be
    except UnicodeEncodeError:
        raise ValueError("text, without half a \\u pair") from None
    return value


def _path(value: Any) -> str:
    text = _text(value)
    data = os.fsencode(text)
    parts = data.replace(b"\\", b"/").split(b"/")
    if b"\0" in data or len(data) > _LONGEST_PATH or max(map(len, parts)) > _LONGEST_NAME:
        raise ValueError("a path that a disk can hold")
    return text


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("a whole number")
    return value


def _count(value: Any) -> int:
    if _whole(value) < 0:
        raise ValueError("a number from 0 on")
    return int(value)


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) < math.inf or abs(value) > 1e300:
        raise ValueError("a finite number")
    return float(value)


def _share(value: Any) -> float:
    if not 0 <= _number(value) <= 1:
        raise ValueError("a number from 0 to 1")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


Text = Annotated[str, PlainValidator(_text)]
PathText = Annotated[str, PlainValidator(_path)]
Whole = Annotated[int, PlainValidator(_whole)]
Count = Annotated[int, PlainValidator(_count)]
Number = Annotated[float, PlainValidator(_number)]
Share = Annotated[float, PlainValidator(_share)]
Flag = Annotated[bool, PlainValidator(_flag)]
