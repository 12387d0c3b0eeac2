"""Signals that end a command: Ctrl-C, and what batch systems and closed terminals send.

In the training loop a signal waits until the checkpoint is written; anywhere else it ends the
command at once, and a second one always does.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP

# In the environment of processes that labelclean itself started (--gpus): a folder for
LAUNCHED = "LABELCLEAN_LAUNCHED"
LAST_WORDS = "ended"  # the line of a process that a signal ended

_waiting: int | None = None  # the signal that came while they were deferred
_deferred = 0


class Interrupted(KeyboardInterrupt):
    """The command is to end because of a signal.

    can_resume  whether there is a checkpoint to go on from; None: the command keeps none
    """

    def __init__(self, number: int, can_resume: bool | None = None) -> None:
        super().__init__(signal.Signals(number).name)
        self.number, self.can_resume = number, can_resume


@contextmanager
def raised() -> Iterator[None]:
    """Signals within become Interrupted; those that are ignored (nohup) stay so."""
    before = {}
    if threading.current_thread() is threading.main_thread():  # no other may
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, _handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _handle(number: int, frame: FrameType | None) -> None:
    global _waiting
    if _deferred and _waiting is None:
        _waiting = number
    else:
        raise Interrupted(number)


@contextmanager
def deferred(*caused: type[Exception]) -> Iterator[None]:
    """A first signal within waits for stop_if_waiting, or for the end of the block.

    caused  errors that a waiting signal explains: it takes their place
    """
    global _deferred, _waiting
    _deferred += 1
    try:
        yield
        stop_if_waiting()
    except caused:
        stop_if_waiting()
        raise
    finally:
        _deferred -= 1
        if not _deferred:
            _waiting = None


def is_waiting() -> bool:
    return _waiting is not None


def stop_if_waiting() -> None:
    """Raises Interrupted if a signal waits."""
    if _waiting is not None:
        raise Interrupted(_waiting)


def ended_at_once(run: Callable[[], object]) -> None:
    """Runs the whole of a process that torchrun started, and ends it after Python's own end.

    Threads of torch's connections may be left when the objects of C++ are taken down. Then the
    process aborts after its work is done (seen in 2 of 31), and torchrun ends all the others.
    """
    code: object = 1

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))

    atexit.register(leave)  # registered first: called last
    try:
        run()
        code = 0
    except SystemExit as end:
        code = end.code
        raise
