"""Warnings about the figures of a report: shown before the figures, not after them."""

from __future__ import annotations

from collections.abc import Sequence

HARDLY_BELIEVED = 0.5  # noise rate above which more labels would be wrong than right


def doubts(noise_rate: float) -> list[str]:
    """One line for each reason to doubt the figures, none where they can be believed."""
    if noise_rate <= HARDLY_BELIEVED:
        return []
    return [
        f"{noise_rate:.0%} of the labels look wrong: if that cannot be, the network has "
        "learned too little; try more --epochs or a larger --arch"
    ]


def warnings_and_notes(noise_rate: float, notes: Sequence[str]) -> tuple[list[str], list[str]]:
    """The notes of a report, apart: those that raise doubts, and all others."""
    warnings = [note for note in notes if note in doubts(noise_rate)]
    return warnings, [note for note in notes if note not in warnings]
