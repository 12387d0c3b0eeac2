"""A small data set with a test split, and rows of results to make tables of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from labelclean.benchmark import processes
from labelclean.benchmark.results import Row
from labelclean.benchmark.runs import Task
from labelclean.learning import runtime

COLOURS = ("red", "green", "blue")


@pytest.fixture(scope="package")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/COLOUR/ with 20 noisy squares of 16 px each, test/COLOUR/ with 8."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("squares")
    for k in range(84):
        pixels = rng.integers(0, 90, (16, 16, 3))
        pixels[:, :, k % 3] += 120
        place = folder / ("train" if k < 60 else "test") / COLOURS[k % 3]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"{k:02d}.png")
    return folder


@pytest.fixture(autouse=True)
def _always_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """The precision depends on the machine: another one would be another result."""
    monkeypatch.setattr(runtime, "_for_cpu", lambda: torch.float32)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """The tasks that run_grid would have done: it does none."""
    found: list[Task] = []
    monkeypatch.setattr(processes, "do_all", lambda left, **_: found.extend(left))
    return found


@pytest.fixture
def make_row() -> Callable[..., Row]:
    def make(**cells: Any) -> Row:
        plain = {
            "data": "cifar10",
            "n": 5000,
            "noise": "symm:0.4",
            "seed": 0,
            "method": "ce",
            "preset": "quick",
            "epochs": 20,
            "arch": "smallnet",
            "average_precision": 0.9,
            "machine": "m",
            "torch": "2",
            "run": "r",
            "input": "i",
        }
        return Row(**{**plain, **cells})

    return make
