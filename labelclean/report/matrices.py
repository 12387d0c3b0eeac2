"""Shared by figures of class against class: the classes, their names, the counts in cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from labelclean.report.figures import INK, written

NUMBERED = 20  # classes up to which every cell bears its count
NAME = 18  # columns of a class name


def most_involved(counts: NDArray[np.int64], most: int) -> NDArray[np.intp]:
    """The classes with the most pairs (c, c), in their own order."""
    involved = counts.sum(axis=0) + counts.sum(axis=1)
    return np.sort(np.argsort(-involved, kind="stable")[:most])


def name_classes(axes: Axes, names: Sequence[str], size: float) -> None:
    """Writes the names along both axes, `size` in points."""
    labels = [written(name, NAME) for name in names]
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=size)
    axes.set_yticks(range(len(labels)), labels, fontsize=size)


def write_counts(axes: Axes, counts: NDArray[np.int64], is_dark: NDArray[np.bool_]) -> None:
    """Writes each count that is not 0 into its cell, white where the cell is dark; both (c, c)."""
    for y, x in np.argwhere(counts):
        colour = "white" if is_dark[y, x] else INK
        axes.text(x, y, f"{counts[y, x]:,}", ha="center", va="center", color=colour, fontsize=8)
