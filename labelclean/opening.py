"""Files from strangers: only regular files are opened, and none beyond a limit is read."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

IMAGE_BYTES = 512 << 20  # of one image file
TABLE_BYTES = 8 << 30  # of a table, a report or a model


def read_regular(path: str | Path, limit: int = TABLE_BYTES) -> bytes:
    """The whole content of a regular file of at most `limit` bytes.

    Raises OSError.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise OSError(errno.EFBIG, f"{_size(size)}, at most {_size(limit)} are read")
        # not to its end: files of the system have no size and may never end
        return file.read(size)


def open_regular(path: str | Path) -> BinaryIO:
    """A regular file, to be read.

    Devices, pipes and sockets may block for ever or never end, and opening one may do something.

    Raises OSError.
    """
    check_regular(path)
    # no blocking where it has become something else meanwhile
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    file = open(handle, "rb")  # noqa: SIM115 (the caller closes it)
    try:
        _check_regular(os.fstat(handle))
    except OSError:
        file.close()
        raise
    return file


def check_regular(path: str | Path) -> None:
    """Raises OSError if there is none, or it is something else."""
    _check_regular(os.stat(path))


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file but a device, pipe or socket")


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"
