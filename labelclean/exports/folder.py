"""A folder that appears whole or not at all, and replaces only what is an export itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from labelclean import disk
from labelclean.report.files import encode_json

MARKER = "labelclean-export.json"  # marks an export: a folder without it is never removed


def check_can_make(out: Path, force: bool) -> None:
    """Raises OutputError if the folder cannot be made, or must not be replaced."""
    disk.check(out, force=force, is_folder=True, what="export", replaces=is_export)


def is_export(folder: Path) -> bool:
    try:
        marker = json.loads((folder / MARKER).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return not folder.is_symlink() and isinstance(marker, dict) and "labelclean" in marker


@contextmanager
def new_folder(out: Path, facts: Mapping[str, object], force: bool = False) -> Iterator[Path]:
    """A folder to write into; it becomes `out` when the block ends without error.

    facts  what its marker file says

    Raises OutputError.
    """
    with disk.staged(out) as place:
        check_can_make(out, force)
        place.mkdir()
        yield place
        (place / MARKER).write_bytes(encode_json(facts) + b"\n")
