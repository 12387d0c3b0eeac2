"""A world of small files, and copies of it to run commands on with faults."""

from __future__ import annotations

import itertools
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # for its modules: pytest imports no siblings

from fault_data import FILTER, SEED, TRAIN
from forked import Zygote


@pytest.fixture(scope="session")
def world(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/, labels.csv, report.csv with decisions.csv, model/: what commands start from."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "images").mkdir()
    generator = np.random.default_rng(0)
    lines = ["image,label"]
    for k in range(24):
        pixels = generator.integers(0, 90, (8, 8, 3))
        pixels[:, :, k % 2] += 150
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{k:02d}.png")
        lines.append(f"{k:02d}.png,{'red' if (k % 2 == 0) != (k in (3, 8)) else 'green'}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    for words in (FILTER, TRAIN):
        done = zygote.run(folder, *words)
        assert done.code == 0, done.err
    (folder / "decisions.csv").write_text(
        "image,action,label\n03.png,other,green\n08.png,other,red\n"
    )
    return folder


@pytest.fixture
def copied(world: Path, tmp_path: Path) -> Callable[[], Path]:
    """A copy of the world, each time anew."""
    numbers = itertools.count()

    def copy() -> Path:
        return Path(shutil.copytree(world, tmp_path / str(next(numbers))))

    return copy


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers of this test; the seed is printed where it fails."""
    seed = f"{SEED} {request.node.name}"
    print(f"LABELCLEAN_FAULTS_SEED={SEED}")
    return random.Random(seed)
