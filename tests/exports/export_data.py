"""The files of an export as bytes."""

from __future__ import annotations

from typing import Any

from labelclean.exports.labelled_rows import Export


def contents(form: Any, export: Export) -> dict[str, bytes]:
    """The files of a format, or of its module."""
    return {name: b"".join(parts) for name, parts in form.files(export).items()}
