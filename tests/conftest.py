"""Fixtures for tests of several rooms."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # for report_data: pytest imports no siblings

from forked import Zygote

# Nothing is kept in the cache of who runs the tests.
CACHE = tempfile.mkdtemp(prefix="labelclean-tests-")
os.environ["LABELCLEAN_CACHE"] = CACHE

# Where the tests run in the background (nohup, &), their processes would ignore these for ever.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


def pytest_sessionfinish() -> None:
    shutil.rmtree(CACHE, ignore_errors=True)


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


@pytest.fixture
def cifar10_root(tmp_path: Path) -> Path:
    """data/ with CIFAR-10's binary version: 40 images a file, of class k % 10, pixels by rule."""
    folder = tmp_path / "data" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for number, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        rows = np.arange(40 * number, 40 * number + 40, dtype=np.uint64)
        # A generator of our own, so that hashes of what follows outlive numpy's streams.
        mixed = (rows[:, None] * np.uint64(3072) + np.arange(3072, dtype=np.uint64)) ** 2
        pixels = (mixed * np.uint64(2654435761) >> np.uint64(13)).astype(np.uint8)
        labels = (rows % 10).astype(np.uint8)[:, None]
        (folder / f"{name}.bin").write_bytes(np.hstack([labels, pixels]).tobytes())
    return tmp_path / "data"


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    started = Zygote(tmp_path_factory.mktemp("zygote"))
    yield started
    started.close()
    print(f"\npeak memory of a command, with 0.5 GB of libraries: {started.peak} MiB")
