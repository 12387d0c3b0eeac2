"""A folder of very many image files for benchmarks: 1,000 real ones, under many folders' names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

FILES = 1_000  # of a folder
SIDE = 160  # px


def names(count: int) -> list[str]:
    """The files' names below the folder."""
    return [f"{k // FILES:05d}/{k % FILES:04d}.jpg" for k in range(count)]


def make_images(folder: Path, count: int) -> None:
    """Makes files of these names: the first folder's, which the others are links to."""
    first = folder / f"{0:05d}"
    first.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for k in range(FILES):
        pixels = rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(first / f"{k:04d}.jpg")
    for k in range(1, -(-count // FILES)):
        link = folder / f"{k:05d}"
        if not link.is_symlink():
            link.symlink_to(first.name, target_is_directory=True)
