"""Killed before any of its file operations, a command does its work on the second try."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fault_data import FILTER, KILL, TRAIN, tree
from forked import Zygote

from labelclean.disk import PREFIX

EXPORT = ("export", "report.csv", "--to", "label-studio", "--out", "export", "--with-images")
APPLY = ("apply", "report.csv", "--decisions", "decisions.csv", "--out", "clean.csv")
PREDICT = ("predict", "model", "images", "--out", "predicted.csv", "--quiet")
INJECT = ("inject-noise", "images", "labels.csv", "--symm", "0.2", "--out", "noisy", "--quiet")
PLOT = ("plot", "report.csv", "--out", "plots")

SHORT = {
    "apply": ([], APPLY),
    "apply --force": ([APPLY], (*APPLY[:-2], "--above", "0.5", *APPLY[-2:], "--force")),
    "undo": ([APPLY], ("apply", "--undo", "clean.csv")),
    "undo of two": (
        [APPLY, (*APPLY, "--force")],
        ("apply", "--undo", "clean.csv"),
    ),
    "inject-noise": ([], INJECT),
    "inject-noise --force": ([INJECT], (*INJECT, "--seed", "1", "--force")),
    "export --force": ([EXPORT], (*EXPORT, "--force")),
}
LONG = {
    "filter": ([], (*FILTER, "--force"), 6),
    "train": ([], (*TRAIN, "--force"), 6),
    "predict": ([], PREDICT, 4),
    "predict --force": ([PREDICT], (*PREDICT, "--force"), 4),
}


def check_kill(
    zygote: Zygote,
    folder: Path,
    before: Sequence[Sequence[object]],
    command: Sequence[object],
    at: int,
    wanted: dict[str, object],
) -> bool:
    """Whether it was killed there. Then a second try has the same result, and leaves no rest."""
    for words in before:
        assert zygote.run(folder, *words).code == 0
    old = tree(folder)
    done = zygote.run(folder, *command, fault=KILL, at=at)
    if done.code != -KILL:
        assert done.code == 0, done.err
        return False
    again = zygote.run(folder, *command)
    is_done = again.code == 2 and ("already exists" in again.err or "is not empty" in again.err)
    if command[:2] == ("apply", "--undo") and again.code == 2:
        is_done = "has no clean.csv.apply.json" in again.err
    if again.code == 0 and command[:2] == ("apply", "--undo") and len(before) == 2:
        # what the killed one had begun was finished, and then the one before was undone too
        is_done = not (folder / "clean.csv").exists()
        wanted = {} if is_done else wanted
    assert again.code == 0 or is_done, (at, again.err)
    now = tree(folder)
    rests = [name for name in now if PREFIX in name]
    assert not rests, (at, rests)
    if any("before-2" in name for name in now) and "--force" in command:
        wanted = {}  # what the killed one had begun was finished, and then done once more
    if wanted:
        assert now == wanted, (at, sorted(set(now) ^ set(wanted)), old.keys())
    return True


@pytest.mark.parametrize("name", SHORT)
def test_a_short_command_killed_at_any_point(name: str, zygote: Zygote, copied: Callable[[], Path]):
    before, command = SHORT[name]
    folder = copied()
    for words in before:
        assert zygote.run(folder, *words).code == 0
    done = zygote.run(folder, *command, fault="count")
    assert done.code == 0, done.err
    wanted = tree(folder)
    points = range(1, done.changes + 1)
    if len(points) > 14:  # of a folder of images most are alike
        points = [*points[:4], *points[-10:]]
    for at in points:
        assert check_kill(zygote, copied(), before, command, at, wanted)


@pytest.mark.parametrize("name", LONG)
def test_a_long_command_killed_at_random_points(
    name: str, zygote: Zygote, copied: Callable[[], Path], dice: random.Random
):
    before, command, times = LONG[name]
    folder = copied()
    for words in before:
        assert zygote.run(folder, *words).code == 0
    done = zygote.run(folder, *command, fault="count")
    assert done.code == 0, done.err
    wanted = tree(folder)
    points = sorted(dice.sample(range(1, done.changes + 1), min(times, done.changes)))
    for at in points:
        assert check_kill(zygote, copied(), before, command, at, wanted)
