"""filter and train in two processes of torchrun: one report, one model, one line of error."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import labelclean
from labelclean.cli import app
from labelclean.errors import RunError
from labelclean.report.table import Report
from labelclean.workflows import launching
from labelclean.workflows.launching import launch

QUICK = ("--device", "cpu", "--precision", "float32", "--epochs", "3", "--batch-size", "16")


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


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("filter", "nowhere"), "labelclean: nowhere: "),
        (
            ("filter", "images", "labels.csv", *QUICK[:-1], "3"),
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
    assert launch(2, words) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith(line)
    assert not (world / "report.csv").exists()


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


def test_a_process_that_is_killed_is_told(world: Path, monkeypatch: pytest.MonkeyPatch):
    (world / "sitecustomize.py").write_text(  # which every Python runs as it starts
        "import os, signal, sys\n"
        "if os.environ.get('RANK') == '1': os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{world}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(RunError, match="process 1 of 2 was killed .SIGKILL.*--resume goes on"):
        launch(2, ["filter", str(world / "images"), str(world / "labels.csv"), *QUICK])
