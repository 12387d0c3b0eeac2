"""Fixtures for tests of several rooms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def colour_folder(tmp_path: Path) -> Path:
    """images/ of 60 noisy 16 px squares, red, green or blue, and labels.csv with three wrong."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    names = ("red", "green", "blue")
    lines = ["image,label"]
    for k in range(60):
        pixels = rng.integers(0, 90, (16, 16, 3))
        pixels[:, :, k % 3] += 120
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{k:02d}.png")
        given = (k + 1) % 3 if k in (7, 20, 42) else k % 3
        lines.append(f"{k:02d}.png,{names[given]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path
