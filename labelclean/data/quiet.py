"""Keeps what C libraries print about single images from the terminal."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps warnings about single files from the terminal: the status says it all.

    Pillow's, and what libtiff and its kin write themselves, without a file's name.
    """
    with warnings.catch_warnings(), _own_errors_only():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _own_errors_only() -> Iterator[None]:
    """Drops what C libraries write to the file of standard error, not what Python writes."""
    with _silence.lock:
        _silence.depth += 1
        if _silence.depth == 1:
            _silence.begin()
    try:
        yield
    finally:
        with _silence.lock:
            _silence.depth -= 1
            if _silence.depth == 0:
                _silence.end()


class _Silence:
    """Shared by all threads, since the process has one standard error."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.depth = 0
        self._plain: TextIO | None = None
        self._own: int | None = None

    def begin(self) -> None:
        plain = sys.stderr
        try:
            is_shared = plain.fileno() == 2
            plain.flush()
            self._own = os.dup(2)
        except (OSError, ValueError, AttributeError):  # closed, or no file
            return
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        if is_shared:
            self._plain = plain
            sys.stderr = open(
                self._own, "w", 1, encoding=plain.encoding, errors=plain.errors, closefd=False
            )

    def end(self) -> None:
        if self._own is None:
            return
        if self._plain is not None:
            sys.stderr.flush()
            sys.stderr, self._plain = self._plain, None
        os.dup2(self._own, 2)
        os.close(self._own)
        self._own = None


_silence = _Silence()
