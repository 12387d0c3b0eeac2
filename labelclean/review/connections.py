"""Connections of the review server end when nothing comes: half a request is not held for ever."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 10.0  # s that a request may take to come in whole
MOST = 200  # connections at once; a browser opens six


class PatientProtocol(H11Protocol):
    """uvicorn's own ends connections that idle between requests, not those within one."""

    _look: asyncio.TimerHandle | None = None
    _begun = 0.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._begun = self.loop.time()
        self._look = self.loop.call_later(PATIENCE, self._end_if_incomplete)
        if len(self.connections) > MOST:
            self._end_oldest_incomplete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def _is_incomplete(self) -> bool:
        """Whether it waits for the rest of a request."""
        cycle = self.cycle
        is_answering = cycle is not None and not cycle.response_complete and not cycle.more_body
        is_between = self.timeout_keep_alive_task is not None  # which ends it
        return not is_answering and not is_between

    def _end_oldest_incomplete(self) -> None:
        """So that who floods the server with connections shuts nobody out."""
        others = (each for each in self.connections if isinstance(each, PatientProtocol))
        waiting = [each for each in others if each is not self and each._is_incomplete()]
        if waiting:
            min(waiting, key=lambda each: each._begun).transport.abort()

    def _end_if_incomplete(self) -> None:
        if not self._is_incomplete():
            self._look = self.loop.call_later(PATIENCE, self._end_if_incomplete)
        elif not self.transport.is_closing():
            self.transport.abort()
