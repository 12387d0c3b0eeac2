"""A signal in a training: a checkpoint, a true line, its exit code; then --resume ends it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_data import FILTER, TRAIN, tree
from forked import Zygote

MANY = ("--epochs", 60)  # so that it is not over before the signal comes
COMMANDS = {"filter": FILTER, "train": TRAIN}


def words_of(name: str) -> list[object]:
    return [*(word for word in COMMANDS[name] if word != "--quiet"), "--force", *MANY]


@pytest.fixture(scope="module")
def wholes() -> dict[str, dict[str, bytes | str | None]]:
    """The files that each command makes when it is left alone."""
    return {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_in_a_training(
    name: str,
    number: int,
    zygote: Zygote,
    copied: Callable[[], Path],
    wholes: dict[str, dict[str, bytes | str | None]],
):
    words, folder = words_of(name), copied()
    pid = zygote.start(folder, *words, tells_all=True)
    until = time.monotonic() + 60
    while "training " not in zygote.stderr(pid) and time.monotonic() < until:
        time.sleep(0.02)
    zygote.signal(pid, number)
    ended = zygote.wait(pid)
    assert ended.code == 128 + number, ended.err
    assert ended.line.endswith("; the same command with --resume goes on from the checkpoint")
    again = zygote.run(folder, *words, "--resume")
    assert again.code == 0 and "resuming from" in again.err, again.err
    if name not in wholes:
        whole = copied()
        assert zygote.run(whole, *words).code == 0
        wholes[name] = tree(whole)
    assert tree(folder) == wholes[name]


def test_a_signal_before_the_training_promises_nothing(zygote: Zygote, copied: Callable[[], Path]):
    folder = copied()
    (folder / "report.run" / "checkpoint.pt").unlink(missing_ok=True)
    ended = zygote.run(folder, *FILTER, "--force", fault=int(signal.SIGTERM), at=3)
    assert ended.code == 143
    assert ended.line == "labelclean: ended by SIGTERM; no checkpoint was written yet: start again"
