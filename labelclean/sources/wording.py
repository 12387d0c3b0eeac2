"""Names and counts as they stand in messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def shown(name: str) -> str:
    """The name on one line, whatever it holds."""
    return name if name.isprintable() else repr(name)[1:-1]


def first_three(names: Iterable[str], total: int) -> str:
    some = [shown(name) for name, _ in zip(names, range(3), strict=False)]
    return ", ".join(some) + (", ..." if total > len(some) else "")


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "es" if noun.endswith("s") else "s")


def listed(parts: Sequence[str], most: int = 6) -> str:
    """a, b and c; of many the first few."""
    some = list(parts[:most])
    if len(parts) > most:
        return ", ".join(some) + f" and {len(parts) - most} more"
    return " and ".join([", ".join(some[:-1]), some[-1]] if len(some) > 1 else some)
