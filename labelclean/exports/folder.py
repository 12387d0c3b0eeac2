"""A folder that appears whole or not at all, and replaces only what is an export itself."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from labelclean.errors import ReportError, printable
from labelclean.report.files import encode_json

MARKER = "labelclean-export.json"  # tells an export from a folder that nobody should remove


def check_can_make(out: Path, force: bool) -> None:
    """Raises ReportError if the folder cannot be made, or must not be replaced."""
    parent = out.absolute().parent
    if not parent.is_dir():
        raise ReportError(f"{printable(out)}: there is no folder {printable(parent)}; make it")
    if not os.path.lexists(out) or (out.is_dir() and not any(out.iterdir())):
        return
    if not is_export(out):
        raise ReportError(
            f"{printable(out)}: already exists and is no export; choose another folder"
        )
    if not force:
        raise ReportError(
            f"{printable(out)}: already exists; choose another folder, or --force replaces it"
        )


def is_export(folder: Path) -> bool:
    try:
        found = json.loads((folder / MARKER).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return not folder.is_symlink() and isinstance(found, dict) and "labelclean" in found


@contextmanager
def new_folder(out: Path, facts: Mapping[str, object], force: bool = False) -> Iterator[Path]:
    """A folder beside `out` to write into; it becomes `out` when the block ends without error.

    facts  what its marker file says

    Raises ReportError.
    """
    check_can_make(out, force)
    stage = out.absolute().parent / f".{secrets.token_hex(6)}.tmp"
    try:
        try:
            stage.mkdir()
            yield stage
            (stage / MARKER).write_bytes(encode_json(facts) + b"\n")
            _replace(stage, out)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    except OSError as error:
        raise ReportError(
            f"{printable(out)}: cannot be written: {error.strerror or error}; choose another place"
        ) from None


def _replace(stage: Path, out: Path) -> None:
    """The old export moves aside first, and back if the new one cannot take its place."""
    if not os.path.lexists(out) or not any(out.iterdir()):
        os.replace(stage, out)
        return
    aside = stage.with_name(f".{secrets.token_hex(6)}.old")
    os.replace(out, aside)
    try:
        os.replace(stage, out)
    except BaseException:
        os.replace(aside, out)
        raise
    shutil.rmtree(aside, ignore_errors=True)
