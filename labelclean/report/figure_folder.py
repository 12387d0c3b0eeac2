"""Figures as files of one folder: all or none, and none of an earlier report beside them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from labelclean.errors import ReportError, printable
from labelclean.report.files import write_whole


def check_can_write_figures(folder: Path, names: Collection[str], force: bool = False) -> None:
    """Raises ReportError if `folder` is no folder, or has a file of `names` and not `force`."""
    if not folder.is_dir():
        if os.path.lexists(folder):
            raise ReportError(f"{printable(folder)}: is no folder; choose another name")
        return
    there = [name for name in names if os.path.lexists(folder / name)]
    if there and not force:
        raise ReportError(
            f"{printable(folder / there[0])}: already exists; choose another folder, or --force "
            "replaces it"
        )


def write_figures(folder: Path, names: Collection[str], drawn: Mapping[str, bytes]) -> None:
    """Writes the drawn PNG files; removes those of `names` that were not drawn this time.

    Raises ReportError if they cannot be written.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            write_whole({folder / name: data for name, data in drawn.items()})
        except BaseException:  # Ctrl-C too must leave nothing behind
            if is_new:
                folder.rmdir()
            raise
        for name in set(names) - set(drawn):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise ReportError(
            f"{printable(folder)}: cannot be written: {error.strerror}; choose another place"
        ) from None
