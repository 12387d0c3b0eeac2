"""Ahead: the next of many files comes from its server while this one is worked on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType

from labelclean.errors import SourceError
from labelclean.sources.remote import Advance, Parts, is_url

_AT_ONCE = 0.2  # seconds after which waiting says how far the file has come
_TO_END = 10.0  # seconds that a fetching has to end and to clear up


class Ahead:
    """Fetches files one by one, each as soon as the one before is here; leave it by `with`.

    files  of one part each, in the order in which they are wanted
    """

    def __init__(self, files: Sequence[Parts]) -> None:
        self._files = files
        self._thread: threading.Thread | None = None
        self._said = (0.0, 1.0, "")
        self._is_given_up = False

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_given_up = True
        if self._thread is not None:
            self._thread.join(_TO_END)

    def arrived(self, number: int, advance: Advance) -> Parts:
        """Waits until that file is here, and returns it; the next one begins to come.

        Raises SourceError for what cannot be fetched or is not what the index says.
        """
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(_AT_ONCE)
            advance(*self._said)
        one = self._files[number]
        one.local(advance)  # what went wrong ahead is tried again, and said
        if number + 1 < len(self._files) and is_url(self._files[number + 1].parts[0].place):
            self._thread = threading.Thread(target=self._fetch, args=(number + 1,), daemon=True)
            self._thread.start()
        return one

    def _fetch(self, number: int) -> None:
        def advance(done: float, total: float, text: str) -> None:
            self._said = done, total, text
            if self._is_given_up:
                raise _GivenUp

        try:
            self._files[number].local(advance)
        except (_GivenUp, SourceError, OSError):
            return


class _GivenUp(Exception):
    """Nobody waits for the file any more."""
