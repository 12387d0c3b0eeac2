"""Relearner: ranks the undecided images again from the decisions so far, in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from labelclean.errors import LabelcleanError, printable
from labelclean.review.pages import Ints
from labelclean.review.rescored import Rescored
from labelclean.review.session import ReviewSession

EVERY = 10  # decisions after which the list is ranked again by itself
NEXT = 60  # undecided images that come next, in which a change is counted


# From the decided rows, (k,), and their labels as codes, (k,), NO_LABEL for an excluded image.
Relearn = Callable[[Ints, Ints], Rescored]


class Relearner:
    """Runs `relearn` in a thread, one at a time, and hands what it returns to the session."""

    def __init__(self, session: ReviewSession, relearn: Relearn) -> None:
        self._session = session
        self._relearn = relearn
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_running = False
        self._generation = 0
        self._moved = 0
        self._noise_rate: float | None = None
        self._learned = 0  # decisions that the last ranking knew
        self._problem = ""

    def start(self) -> bool:
        """Begins to rank again; False if that is under way."""
        with self._lock:
            if self._is_running:
                return False
            self._is_running = True
            self._problem = ""
            self._thread = threading.Thread(target=self._run, daemon=True, name="relearning")
            self._thread.start()
            return True

    def start_if_due(self) -> None:
        """Begins if there are EVERY decisions more, or less, than the last ranking knew."""
        if abs(self._session.count_settled() - self._learned) >= EVERY:
            self.start()

    def wait(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def state(self) -> dict[str, Any]:
        """For the page: grows by one generation with every new ranking.

        moved  of the NEXT images to come, those that were not among them before
        """
        with self._lock:
            return {
                "isRunning": self._is_running,
                "generation": self._generation,
                "moved": self._moved,
                "noise": self._noise_rate,
                "learned": self._learned,
                "problem": self._problem,
            }

    def _run(self) -> None:
        try:
            self._rank()
        finally:
            self._is_running = False

    def _rank(self) -> None:
        rows, labels = self._session.settled()
        try:
            rescored = self._relearn(rows, labels)
        except LabelcleanError as error:
            self._problem = printable(error)
            self._learned = len(rows)  # not again until there is more to learn from
            return
        before = self._session.coming(NEXT)
        self._session.rescore(rescored)
        moved = len(np.setdiff1d(self._session.coming(NEXT), before))
        with self._lock:
            self._moved = moved
            self._noise_rate = rescored.noise_rate
            self._learned = len(rows)
            self._generation += 1
