"""Fields of a config that are options of the command line, and how their values are checked."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from labelclean.errors import ConfigError


def option(
    default: Any, help: str, *, is_share: bool = False, is_repeated: bool = False, **others: Any
) -> Any:
    """A field that commands have as an option: its default and its line of help.

    is_share     the option takes 5% and 0.05
    is_repeated  a tuple: the option is given once for each item, not once with commas
    others       of typer.Option, such as metavar
    """
    how = {"help": help, "is_share": is_share, "is_repeated": is_repeated, "others": others}
    return field(default=default, metadata=how)


def not_among(flag: str, value: str, known: tuple[str, ...]) -> list[str]:
    """A problem if the value is none of the known ones."""
    return [] if value in known else [f"{flag} is {value}, must be one of {', '.join(known)}"]


def below(flag: str, value: int | None, least: int) -> list[str]:
    """A problem if the value is less than `least`; None is none."""
    return (
        [] if value is None or value >= least else [f"{flag} is {value}, must be at least {least}"]
    )


def outside(
    flag: str,
    value: float | None,
    low: float,
    high: float,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> list[str]:
    """A problem if the value is not within [low, high], or without an open end; None is none."""
    if value is None:
        return []
    # written so that NaN, which compares false with everything, is outside
    above = value > low if open_low else value >= low
    below = value < high if open_high else value <= high
    if above and below:
        return []
    brackets = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
    return [f"{flag} is {value:g}, must be in {brackets}"]


def raise_all(problems: list[str]) -> None:
    """Raises ConfigError with all problems, if there are any."""
    if problems:
        raise ConfigError("; ".join(problems))
