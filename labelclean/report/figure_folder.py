"""Figures as files of one folder: all or none, and none of an earlier report beside them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from labelclean import disk
from labelclean.errors import OutputError, printable


def check_can_write_figures(folder: Path, names: Collection[str], force: bool = False) -> None:
    """Raises OutputError if `folder` is no folder, or has a file of `names` and not `force`."""
    if not folder.is_dir():
        if os.path.lexists(folder):
            raise OutputError(f"{printable(folder)}: is no folder; choose another name")
        return
    for name in names:
        disk.check(folder / name, force=force)


def write_figures(folder: Path, names: Collection[str], drawn: Mapping[str, bytes]) -> None:
    """Writes the drawn PNG files; removes those of `names` that were not drawn this time.

    Raises OutputError if they cannot be written.
    """
    absent = [folder / name for name in sorted(set(names) - set(drawn))]
    with disk.claim_folder(folder):
        disk.write_files({folder / name: data for name, data in drawn.items()}, gone=absent)
