"""A disk that is full, or becomes so, at any write: one line, and all is as it was."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_data import FILTER, TRAIN, tree
from forked import Zygote
from test_kills import APPLY, EXPORT, INJECT, PLOT, PREDICT

COMMANDS = {
    "apply": APPLY,
    "inject-noise": INJECT,
    "export": EXPORT,
    "plot": PLOT,
    "predict": PREDICT,
    "filter": (*FILTER, "--force"),
    "train": (*TRAIN, "--force"),
}
MOST = 8  # points of a command


@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_is_full_at_some_change(
    name: str, zygote: Zygote, copied: Callable[[], Path], dice: random.Random
):
    command = COMMANDS[name]
    done = zygote.run(copied(), *command, fault="count")
    assert done.code == 0, done.err
    points = list(range(1, done.changes + 1))
    for at in sorted(dice.sample(points, min(MOST, len(points)))):
        folder = copied()
        old = tree(folder)
        done = zygote.run(folder, *command, fault="full", at=at)
        if done.code == 0:  # it was about to remove something, or can do without
            continue
        done.check_refused()
        assert "No space left on device" in done.err, (at, done.err)
        assert tree(folder) == old, at


@pytest.mark.parametrize("name", COMMANDS)
def test_files_that_may_not_grow_beyond_a_size(
    name: str, zygote: Zygote, copied: Callable[[], Path]
):
    for largest in (700, 3_000, 30_000):  # its line takes up to 700
        folder = copied()
        old = tree(folder)
        # its log is written through descriptors that are open already, but is limited as well
        done = zygote.run(folder, *COMMANDS[name], largest=largest)
        if done.code != 0:
            assert done.code == 2 and "Traceback" not in done.err, (largest, done)
            assert tree(folder) == old, largest
