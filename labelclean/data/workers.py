"""Worker: a decoding process, of which it is known which image it dies of."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import suppress
from typing import Any

import loky
import numpy as np
from numpy.typing import NDArray

from labelclean.data.images import DAMAGED, Block, Job, decode_block

_job: Job  # of this decoding process


def begin_process() -> None:
    """To be called first in every process: it ends when its parent does, and only then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this one
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _begin(job: Job) -> None:
    global _job
    _job = job
    warnings.simplefilter("ignore")
    begin_process()


def _end_with(parent: int) -> None:
    """Ends this process when its parent was killed; it would go on for nobody."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _decode_here(start: int, wanted: NDArray[np.bool_]) -> Block:
    return decode_block(_job, start, wanted)


SECONDS = 60.0  # an image may take; a process that hangs costs its row


class Worker:
    """Decodes blocks in a process of its own, so that it is known which block a crash is due to.

    loky and not multiprocessing: it does not import the user's main script (and with it torch).
    """

    def __init__(self, job: Job, *, in_process: bool) -> None:
        self._job, self._in_process = job, in_process
        self._executor: loky.ProcessPoolExecutor | None = None
        self._is_stopped = False
        self._lock = threading.Lock()

    def decode(self, start: int, wanted: NDArray[np.bool_]) -> list[Block]:
        if self._in_process:
            with suppress(BrokenExecutor, TimeoutError):
                return [self._send(start, wanted)]
            # Where no process can start at all, the images are not to blame.
            self._in_process = self._can_start()
        if not self._in_process:
            return [decode_block(self._job, start, wanted)]
        rows = [start + int(at) for at in np.flatnonzero(wanted)]
        return [self._decode_alone(row) for row in rows]

    def _decode_alone(self, row: int) -> Block:
        try:
            return self._send(row, np.ones(1, bool))
        except (BrokenExecutor, TimeoutError) as error:
            is_slow = isinstance(error, TimeoutError)
            reason = f"not decoded in {SECONDS:g} s" if is_slow else "the decoder crashed on it"
            return Block(
                start=row,
                outcome=np.full(1, DAMAGED, np.uint8),
                digest=np.zeros((1, 2), np.uint64),
                reasons=((row, reason),),
            )

    def _can_start(self) -> bool:
        try:
            self._submit(os.getpid).result()
        except (BrokenExecutor, OSError):
            self._discard()
            return False
        return True

    def _send(self, start: int, wanted: NDArray[np.bool_]) -> Block:
        try:
            # of a whole block as much as for one image and a second more for each
            patience = SECONDS + int(wanted.sum()) - 1
            block: Block = self._submit(_decode_here, start, wanted).result(patience)
        except (BrokenExecutor, TimeoutError):
            self._discard()
            raise
        return block

    def _submit(self, function: Callable[..., object], *args: object) -> Future[Any]:
        with self._lock:
            if self._is_stopped:
                raise CancelledError
            if self._executor is None:
                self._executor = loky.ProcessPoolExecutor(
                    max_workers=1,
                    initializer=_begin,
                    initargs=(self._job,),
                    env={"LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"},  # large images are no leak
                )
            future: Future[Any] = self._executor.submit(function, *args)
            return future

    def _discard(self) -> None:
        with self._lock:
            if self._executor is not None:
                self._executor.shutdown(wait=True, kill_workers=True)
                self._executor = None

    def stop(self) -> None:
        self._is_stopped = True
        self._discard()
