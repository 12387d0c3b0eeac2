"""A signal ends a command with its own exit code, after the checkpoint where one is kept."""

from __future__ import annotations

import errno
import signal

import pytest
from typer.testing import CliRunner

from labelclean import cli, signals
from labelclean.signals import Interrupted

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers():
    with signals.raised():
        yield


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_ends_what_is_done_at_once(number: int):
    with pytest.raises(Interrupted) as caught:
        signal.raise_signal(number)
    assert caught.value.number == number


@pytest.mark.parametrize("number", NUMBERS)
def test_a_deferred_signal_waits_and_a_second_one_does_not(number: int):
    with pytest.raises(Interrupted), signals.deferred():
        signal.raise_signal(number)
        assert signals.is_waiting()
        signals.stop_if_waiting()
    assert not signals.is_waiting()
    with pytest.raises(Interrupted), signals.deferred():
        signal.raise_signal(number)
        signal.raise_signal(number)
        raise AssertionError("the second was lost")
    with pytest.raises(Interrupted), signals.deferred():
        signal.raise_signal(number)  # nothing asks: the end of the block ends it


def test_a_signal_that_is_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    with signals.raised():
        signal.raise_signal(signal.SIGHUP)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (Interrupted(signal.SIGINT), 130, "interrupted"),
        (Interrupted(signal.SIGTERM), 143, "ended by SIGTERM"),
        (Interrupted(signal.SIGHUP), 129, "ended by SIGHUP: the terminal was closed"),
        (
            Interrupted(signal.SIGTERM, can_resume=True),
            143,
            "ended by SIGTERM; the same command with --resume goes on from the checkpoint",
        ),
        (
            Interrupted(signal.SIGINT, can_resume=False),
            130,
            "interrupted; no checkpoint was written yet: start again",
        ),
        (MemoryError(), 2, "there is not enough memory; give fewer images, or a smaller --workers"),
        (
            OSError(errno.EMFILE, "Too many open files"),
            2,
            "too many open files; raise the limit (ulimit -n), or give a smaller --workers",
        ),
    ],
)
def test_how_a_command_ends_is_one_line_and_a_code(error, code, line, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(cli, "__version__", "x")
    monkeypatch.setattr("labelclean.workflows.planning.plan_review", fail)
    done = CliRunner().invoke(cli.app, ["plan", "r.csv"])
    assert (done.exit_code, done.stderr) == (code, f"labelclean: {line}\n")
