"""filter and train in two processes of torchrun: one report, one model, one line of error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import labelclean
from labelclean.cli import app
from labelclean.errors import ConfigError, RunError
from labelclean.report.report import Report
from labelclean.workflows import launching
from labelclean.workflows.launching import launch

QUICK = ("--device", "cpu", "--precision", "float32", "--epochs", "3", "--batch-size", "16")
FILTER = ("filter", "images", "labels.csv", "--quiet")


@pytest.fixture
def world(tmp_path: Path, handmade, monkeypatch: pytest.MonkeyPatch) -> Path:
    """images/ of 60 squares, an eighth of their labels wrong, in labels.csv."""
    monkeypatch.setenv("LABELCLEAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    labels = handmade.images(tmp_path / "images", 60)
    labels[::8] = [labels[k + 1] for k in range(0, 60, 8)]
    handmade.labels(tmp_path / "labels.csv", labels)
    return tmp_path


def test_two_processes_write_one_report_and_one_model(
    world: Path, capfd: pytest.CaptureFixture[str]
):
    report, model = world / "report.csv", world / "model"
    source = (str(world / "images"), str(world / "labels.csv"))
    assert launch(2, ["filter", *source, "--out", str(report), "--json", *QUICK]) == 0
    printed = capfd.readouterr().out
    assert json.loads(printed)["rows"] == 60  # so it is there once
    found = Report.read(report)
    assert len(found.frame) == 60 and found.meta.device == "cpu, 1 threads, 2 processes, float32"
    assert found.frame["label_score"].notna().all()
    assert sorted(path.name for path in (world / "report.run").iterdir()) == [
        "embeddings.npy",
        "model.safetensors",
    ]

    assert (
        launch(
            2,
            ["train", "--report", str(report), "--out", str(model), "--scheme", "ce-noisy", *QUICK],
        )
        == 0
    )
    assert capfd.readouterr().out.count("model: ") == 1
    assert labelclean.load_model(model).class_names == ("blue", "green", "red")
    assert not (world / "model.run").exists()


def test_heads_on_features_say_of_two_processes_what_they_say_of_one(world: Path):
    words = ["filter", str(world / "images"), str(world / "labels.csv"), "--views", "features"]
    words += ["--device", "cpu", "--quiet"]
    one, two = world / "one.csv", world / "two.csv"
    assert CliRunner().invoke(app, [*words, "--out", str(one)]).exit_code == 0
    apart = str(world / "cache of two")  # where no feature is known yet
    assert launch(2, [*words, "--out", str(two), "--cache-dir", apart]) == 0
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("name", ["scratch", "finetuned"])
def test_a_second_view_is_learned_by_two_processes(world: Path, name: str):
    report = world / "report.csv"
    words = ["filter", str(world / "images"), str(world / "labels.csv"), "--out", str(report)]
    words += ["--views", f"features,{name}", "--view-scores", "--quiet"]
    words += QUICK if name == "scratch" else ("--device", "cpu", "--epochs", "1")
    assert launch(2, words) == 0
    frame = Report.read(report).frame
    assert len(frame) == 60
    for column in ("features_score", f"{name}_score"):
        assert frame[column].notna().all() and frame[column].nunique() > 10


@pytest.fixture
def second(world: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the second process alone run a line of Python as it starts, in the folder of world."""
    monkeypatch.chdir(world)
    monkeypatch.setenv("PYTHONPATH", f"{world}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")

    def run(line: str) -> None:
        code = f"import os\nif os.environ.get('RANK') == '1':\n    {line}\n"
        (world / "sitecustomize.py").write_text(code)  # which every Python runs

    return run


IN_STEPS = """import sys, threading, time
    def in_steps(action):
        def watch():
            name = "labelclean.learning.trainer"
            while not hasattr(sys.modules.get(name), "epoch_seconds"):  # its last function
                time.sleep(0.01)
            sys.modules[name]._optimise = lambda *_: action()
        threading.Thread(target=watch, daemon=True).start()
    """


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("filter", "nowhere"), "labelclean: nowhere: "),
        ((*FILTER, "--from-model", "nowhere"), "labelclean: nowhere: "),
        ((*FILTER, "--run-dir", ".", "--resume"), "labelclean: checkpoint.pt: not a checkpoint"),
        (
            (*FILTER, *QUICK[:-1], "3"),
            "labelclean: 2 processes are too many for 3 images a step; give a larger --batch-size",
        ),
        (
            (*FILTER, "--batch-size", "3", "--minutes", "1"),
            "labelclean: 2 processes are too many for 3 images a step; give a larger --batch-size",
        ),
    ],
)
def test_what_a_user_can_mend_is_one_line_of_all_processes(
    world: Path,
    words: tuple[str, ...],
    line: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(world)
    (world / "checkpoint.pt").write_text("of something else")
    assert launch(2, words) == 2
    lines = _errors(capfd)
    assert len(lines) == 1 and lines[0].startswith(line)
    assert not (world / "report.csv").exists()


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("os.chdir('/')", "labelclean: images: "),  # as on a machine that lacks the images
        (
            "from labelclean.learning import models\n"
            "    from labelclean.errors import RunError\n"
            "    def fail(*_): raise RunError('these weights are not here')\n"
            "    models.build = fail",
            "labelclean: these weights are not here",
        ),
        (
            f"import torch, {IN_STEPS.removeprefix('import ')}"
            "def fail(): raise torch.OutOfMemoryError('of this process')\n    in_steps(fail)",
            "labelclean: out of memory on cpu with 15 images a step in 2 processes; give a smaller",
        ),
    ],
)
def test_what_one_process_alone_meets_is_its_line_and_no_other(
    world: Path,
    second: Callable[[str], None],
    what: str,
    line: str,
    capfd: pytest.CaptureFixture[str],
):
    second(what)
    assert launch(2, [*FILTER, *QUICK]) == 2
    lines = _errors(capfd)
    assert len(lines) == 1 and lines[0].startswith(line), lines


def _errors(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of error; there is no traceback among the others."""
    told = capfd.readouterr().err
    assert "Traceback" not in told
    return [line for line in told.splitlines() if line.startswith("labelclean:")]


@pytest.mark.parametrize("command", [("filter", "images"), ("train", "--report", "report.csv")])
def test_gpus_that_are_not_there_are_refused(command: tuple[str, ...]):
    for given, words in (("0", "must be at least 1"), ("2", "the device is not cuda")):
        found = CliRunner().invoke(app, [*command, "--gpus", given, "--device", "cpu"])
        assert found.exit_code == 2 and "labelclean: --gpus" in found.stderr
        assert words in found.stderr


def test_gpus_checks_the_input_once_and_then_starts_that_many_processes(
    world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(world)
    monkeypatch.setattr(launching, "check_gpus", lambda count, device: None)  # as if there were two

    def invoke(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["labelclean", *words, "--gpus", "2", *QUICK])
        return CliRunner().invoke(app, sys.argv[1:]).exit_code

    assert invoke("filter", "images", "labels.csv") == 0
    assert Report.read(world / "report.csv").meta.device.count("2 processes") == 1
    assert (
        invoke("train", "--report", "report.csv", "--scheme", "ce-noisy") == 0
        and (world / "model").is_dir()
    )
    monkeypatch.setattr(launching, "launch", lambda *_: pytest.fail("started for bad input"))
    assert invoke("filter", "images", "labels.csv") == 2  # the report is there already
    assert invoke("filter", "nowhere") == 2
    assert invoke("train", "--report", "report.csv") == 2


@pytest.mark.parametrize(
    "when", ["os.kill(os.getpid(), 9)", f"{IN_STEPS}in_steps(lambda: os.kill(os.getpid(), 9))"]
)
def test_a_process_that_is_killed_is_told_once(
    second: Callable[[str], None], when: str, capfd: pytest.CaptureFixture[str]
):
    second(when)
    with pytest.raises(RunError, match="process 1 of 2 was killed .SIGKILL.*--resume goes on"):
        launch(2, [*FILTER, *QUICK])
    assert _errors(capfd) == []  # that is for the caller to print


PROGRAM = """
import sys
from labelclean import cli
from labelclean.learning.methods import METHODS
from labelclean.workflows import launching

METHODS["mine"] = METHODS["ce"]
launching.check_gpus = lambda count, device: None  # as if there were two
if __name__ == "__main__":
    cli.main()
"""


def test_a_method_of_a_script_is_known_in_all_processes_that_it_starts(
    world: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(world)
    (world / "mine.py").write_text(PROGRAM)
    words = [sys.executable, "mine.py", *FILTER, *QUICK, "--method", "mine", "--gpus=2"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 processes" in Report.read(world / "report.csv").meta.device


def test_who_is_asked_to_end_ends_all_processes_and_says_so(
    world: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(world)
    (world / "mine.py").write_text(PROGRAM)
    words = [sys.executable, "mine.py", "filter", "images", "labels.csv", *QUICK]  # not --quiet
    words += ["--epochs", "100000", "--gpus", "2"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert any("training" in line for line in running.stderr)  # it waits for that line
        running.send_signal(signal.SIGTERM)
        lines = running.stderr.read().splitlines()
    assert running.returncode == 143
    assert [line for line in lines if line.startswith("labelclean:")] == [
        "labelclean: ended by SIGTERM; the same command with --resume goes on from the checkpoint"
    ]


def test_gpus_within_torchrun_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(launching.distributed, "is_launched", lambda: True)
    with pytest.raises(ConfigError, match="--gpus starts the processes itself"):
        launching.check_gpus(2, "auto")
