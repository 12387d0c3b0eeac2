"""Progress for people, on stderr: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

FIRST_LINE = 2.0  # s until the first plain line of a stage: shorter stages stay silent
LINE_EVERY = 10.0  # s between two plain lines

Advance = Callable[[float, float, str], None]  # done, total, what the line adds


def image_counter(advance: Advance, total: int) -> Callable[[int], None]:
    """Turns images that were done just now into images done so far."""
    done = 0

    def count(images: int) -> None:
        nonlocal done
        done += images
        advance(done, total, f"{done:,} of {total:,} images")

    return count


@dataclass
class Reporter:
    """Tells stages, notes and seconds per stage; says nothing itself."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[Advance]:
        """Times a stage; the function it gives is called as often as one likes."""
        started = time.monotonic()
        try:
            with self._shown(name) as advance:
                yield advance
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started

    def note(self, text: str) -> None:
        """One line that stays."""

    @contextmanager
    def _shown(self, name: str) -> Iterator[Advance]:
        yield lambda done, total, words: None


class TerminalReporter(Reporter):
    """Shows progress on stderr, live where that is a terminal."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        super().__init__()
        self._is_quiet = self._has_no_notes = is_quiet
        self._console = Console(stderr=True, highlight=False)

    def without_notes(self) -> TerminalReporter:
        """A reporter for work whose notes are printed elsewhere."""
        other = TerminalReporter(is_quiet=self._is_quiet)
        other._has_no_notes = True
        return other

    def note(self, text: str) -> None:
        if not self._has_no_notes:
            self._console.print(Text(f"labelclean: {text}"), soft_wrap=True)

    @contextmanager
    def _shown(self, name: str) -> Iterator[Advance]:
        if self._is_quiet:
            yield lambda done, total, words: None
        elif self._console.is_terminal:
            with self._live(name) as advance:
                yield advance
        else:
            yield _PlainLines(name)

    @contextmanager
    def _live(self, name: str) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}", markup=False),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(name, total=None, words="")
            yield lambda done, total, words: progress.update(
                task, completed=done, total=total, words=words
            )


class _PlainLines:
    """A line after two seconds, then every ten: for logs and pipes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = time.monotonic()
        self._next = self._started + FIRST_LINE

    def __call__(self, done: float, total: float, words: str) -> None:
        now = time.monotonic()
        if now < self._next or total <= 0:
            return
        self._next = now + LINE_EVERY
        elapsed = now - self._started
        left = elapsed * (total - done) / max(done, 1e-9)
        line = f"{self._name} {done / total:4.0%}, {_clock(elapsed)} gone, {_clock(left)} left"
        print(f"{line}, {words}" if words else line, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
