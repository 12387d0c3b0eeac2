"""Reads the JSON and the files of a tool's export; what is none is one line for the user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from labelclean.errors import ReportError, printable


def read_bytes(path: Path, tool: str) -> bytes:
    """Raises ReportError."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ReportError(f"{printable(path)}: no such file; give what {tool} exported") from None
    except OSError as error:
        raise ReportError(f"{printable(path)}: cannot be read: {error.strerror}") from None


def within(path: Path, names: tuple[str, ...]) -> Path:
    """The file itself, or the first of these names that a folder has."""
    if not path.is_dir():
        return path
    return next((path / name for name in names if (path / name).is_file()), path / names[0])


def read_json(path: Path, tool: str) -> Any:
    """Raises ReportError."""
    try:
        return json.loads(read_bytes(path, tool))
    except (ValueError, RecursionError):
        raise ReportError(f"{printable(path)}: not JSON; give what {tool} exported") from None


def unlike(path: Path, tool: str, wanted: str) -> ReportError:
    """The error for a file that is readable, but not of the tool."""
    return ReportError(f"{printable(path)}: not a file of {tool}: {wanted}; export it anew there")


def text_of(value: object) -> str:
    """A name or label of JSON as text; other tools may store the class 7 as a number."""
    if value is None or isinstance(value, (dict, list, bool)):
        return ""
    return str(value)
