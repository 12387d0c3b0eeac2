"""open_images: images of a report in the viewer of the system."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labelclean.data.images import UnreadableImage
from labelclean.data.samples import SampleTable
from labelclean.errors import RunError, printable
from labelclean.review.thumbnails import make_picture

SIDE = 4096  # px, the longer side of a copy at most
FAILS_WITHIN = 2.0  # s in which a viewer that cannot start ends


@dataclass(frozen=True, kw_only=True)
class Opened:
    """folder: where the copies lie; opened, unreadable: how many images."""

    folder: Path
    opened: int
    unreadable: int


def open_images(samples: SampleTable, rows: Sequence[int]) -> Opened:
    """Opens copies of the images, numbered in the order of the rows.

    Opens re-encoded copies: the original could be an executable. Images inside archives can be
    opened so too.

    Raises RunError if the system has no viewer, or it does not start.
    """
    opener = _opener()
    folder = Path(tempfile.mkdtemp(prefix="labelclean-"))
    copies = []
    for number, row in enumerate(rows, start=1):
        try:
            picture = make_picture(samples.images.read(row), SIDE)
        except (OSError, UnreadableImage):
            continue
        ending = picture.media_type.rpartition("/")[2]
        copy = folder / f"{number:03d}-{_plain_name(samples.paths[row])}.{ending}"
        copy.write_bytes(picture.data)
        copies.append(copy)
    if copies:
        _start(opener, copies)
    return Opened(folder=folder, opened=len(copies), unreadable=len(rows) - len(copies))


def _plain_name(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", path.rpartition("/")[2].partition(".")[0])[:60]


def _opener() -> str:
    """The program that opens files; "" on Windows, which has a call for it."""
    if sys.platform == "win32":
        return ""
    name = "open" if sys.platform == "darwin" else "xdg-open"
    program = shutil.which(name)
    if program is None:
        raise RunError(f"--open: there is no program {name}; install it (on Linux: xdg-utils)")
    return program


def _start(opener: str, copies: Sequence[Path]) -> None:
    if sys.platform == "win32":
        for copy in copies:
            os.startfile(copy)
        return
    at_once = [copies] if sys.platform == "darwin" else [[copy] for copy in copies]
    running = [
        subprocess.Popen(
            [opener, *map(str, files)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C here is not meant for the viewer
        )
        for files in at_once
    ]
    for viewer in running:
        with contextlib.suppress(subprocess.TimeoutExpired):  # still open: it works
            if viewer.wait(FAILS_WITHIN / len(running)):
                raise RunError(
                    f"--open: {printable(opener)} failed ({viewer.returncode}); the images are in "
                    f"{printable(copies[0].parent)}, open them from there"
                )
