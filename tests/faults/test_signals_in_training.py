"""A signal in a training: a checkpoint, a true line, its exit code; then --resume ends it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_data import FILTER, TRAIN, Zygote, tree

MANY = ("--epochs", 60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", [FILTER, TRAIN], ids=["filter", "train"])
def test_a_signal_in_a_training(
    command: tuple[object, ...], number: int, zygote: Zygote, copied: Callable[[], Path]
):
    words = [word for word in command if word != "--quiet"]
    words = [*words, "--force", *MANY]
    folder = copied()
    pid = zygote.start(folder, *words)
    until = time.monotonic() + 60
    while "training" not in zygote.stderr(pid) and time.monotonic() < until:
        time.sleep(0.02)
    zygote.signal(pid, number)
    ended = zygote.wait(pid)
    if ended.code != 0:  # else it had ended before
        assert ended.code == 128 + number, ended.err
        assert ended.line.endswith("; the same command with --resume goes on from the checkpoint")
        again = zygote.run(folder, *words, "--resume")
        assert again.code == 0 and "resuming from" in again.err, again.err
    whole = copied()
    assert zygote.run(whole, *words).code == 0
    assert tree(folder) == tree(whole)


def test_a_signal_before_the_training_promises_nothing(zygote: Zygote, copied: Callable[[], Path]):
    folder = copied()
    (folder / "report.run" / "checkpoint.pt").unlink(missing_ok=True)
    ended = zygote.run(folder, *FILTER, "--force", fault=int(signal.SIGTERM), at=3)
    assert ended.code == 143
    assert ended.line == "labelclean: ended by SIGTERM; no checkpoint was written yet: start again"
