"""A model folder on the disk: there with all of its files, or not there."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from labelclean.data.disk import write_durably
from labelclean.errors import RunError, printable
from labelclean.learning import model_folder


def check_can_write_folder(folder: Path, force: bool) -> None:
    """Finds out before the training that the model could not be written after it.

    Raises RunError if something is there that may not be replaced, or nothing can be made there.
    """
    shown = printable(folder)
    if folder.name in ("", ".."):
        raise RunError(f"--out {shown}: is no name for a new folder; choose one")
    try:
        if os.path.lexists(folder):
            if not (folder / model_folder.CONFIG).is_file() and not _is_empty(folder):
                raise RunError(f"--out {shown}: is there and is no model; choose another name")
            if not force:
                raise RunError(f"--out {shown}: already exists; --force replaces it")
        if not folder.absolute().parent.is_dir():
            raise RunError(f"--out {shown}: there is no folder {printable(folder.parent)}; make it")
        trial = folder.absolute().parent / f".{secrets.token_hex(6)}.tmp"
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        raise RunError(
            f"--out {shown}: cannot be written: {error.strerror}; choose another place"
        ) from None


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())


def write_folder(folder: Path, contents: Mapping[str, bytes], force: bool) -> None:
    """The folder appears with all of its files, or not at all.

    Raises RunError if it cannot be written.
    """
    check_can_write_folder(folder, force)
    beside = folder.absolute().with_name(f".{secrets.token_hex(6)}.tmp")
    old = folder.absolute().with_name(f".{secrets.token_hex(6)}.old")
    try:
        beside.mkdir()
        for name, data in contents.items():
            write_durably(beside / name, data)
        if os.path.lexists(folder):
            os.replace(folder, old)
        os.replace(beside, folder)
    except OSError as error:
        raise RunError(
            f"--out {printable(folder)}: cannot be written: {error.strerror}; "
            "the checkpoints are kept: free some space and --resume"
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        if os.path.lexists(old) and not os.path.lexists(folder):
            os.replace(old, folder)  # interrupted between the two moves
        if old.is_symlink():
            old.unlink()  # to a model that stays where it is
        shutil.rmtree(old, ignore_errors=True)
