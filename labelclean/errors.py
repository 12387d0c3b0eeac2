"""Problems that the user can fix: each is shown as one line and ends with exit code 2."""

from __future__ import annotations


class LabelcleanError(Exception):
    """A problem the user can fix: what is wrong, where, and what to do."""


class SourceError(LabelcleanError):
    """The images or labels cannot be read as given."""


class ConfigError(LabelcleanError):
    """The options contradict each other or are out of range."""


class ReportError(LabelcleanError):
    """A report cannot be read or written as asked."""


class OutputError(LabelcleanError):
    """An output cannot be written, is another process's, or must not be replaced."""


class RunError(LabelcleanError):
    """A training run cannot start, go on or end well with what it was given."""


def printable(name: object) -> str:
    """A name on one line: control characters, direction marks and broken UTF-8 are escaped."""
    text = str(name)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\u200d" else char.encode("unicode_escape").decode()
        for char in text  # the joiner of emoji is harmless
    )
