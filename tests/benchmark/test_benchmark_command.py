"""labelclean benchmark: what it prints, its exit codes, and how it goes on."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from labelclean.cli import app


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["benchmark", *map(str, arguments)])


def _rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_grid_on_cifar_prints_its_tables_and_is_not_run_twice(cifar10_root: Path, tmp_path: Path):
    grid = (
        "--data", "cifar10", "--root", cifar10_root, "--count", "60", "--methods", "ce,jnpl",
        "--noise", "symm:0.4", "--seeds", "1", "--epochs", "2", "--jobs", "2", "--threads", "1",
        "--device", "cpu", "--out", tmp_path / "out",
    )  # fmt: skip
    done = _run(*grid, "--quiet")
    # so few images of noise teach nothing: a run may collapse, and is then a row with its error
    rows = _rows(tmp_path / "out")
    failed = [row for row in rows if row["error"]]
    assert done.exit_code == (1 if failed else 0), done.stderr
    assert [(row["data"], row["n"], row["epochs"]) for row in rows] == [("cifar10", "60", "2")] * 2
    finished = [row for row in rows if not row["error"]]
    assert finished and all(float(row["rate"]) == pytest.approx(0.4, abs=0.07) for row in finished)
    assert all(0 <= float(row["test_accuracy"]) <= 1 for row in finished)
    assert done.stdout.startswith("cifar10, 60 images, quick, smallnet, 2 epochs\n\nAverage prec")
    assert "  paper: " in done.stdout
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").glob("*.npz")}
    assert len(before) == len(finished)
    again = _run(*grid, "--json")
    found = json.loads(again.stdout)
    assert found["runs"] == 2 and found["done_now"] == len(failed) == len(found["failed"])
    assert [row["run"] for row in found["rows"]] == [row["run"] for row in rows]
    assert "of 2 runs are there already" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (tmp_path / "out" / "results.md").is_file()
    assert (tmp_path / "out" / "results.html").is_file()


def test_failed_runs_are_named_at_the_end_with_exit_code_1(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from dataclasses import replace

    from labelclean.benchmark import processes

    def all_but_nl(tasks, *, on_row, **_):  # type: ignore[no-untyped-def]
        for task in tasks:
            says = "out of\x1b memory" if task.key.method == "nl" else ""
            on_row(replace(task.row(), average_precision=0.5, error=says))

    monkeypatch.setattr(processes, "do_all", all_but_nl)
    done = _run(
        "--data", squares, "--methods", "nl,ce", "--noise", "symm:0.2", "--seeds", "2",
        "--out", tmp_path / "out", "--quiet", "--device", "cpu",
    )  # fmt: skip
    assert done.exit_code == 1
    assert done.stderr == (
        "labelclean: 2 of 4 runs failed: nl on symm:0.2, seed 0: out of\\x1b memory; "
        "nl on symm:0.2, seed 1: out of\\x1b memory\n"
    )
    assert len(_rows(tmp_path / "out")) == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--data", "nowhere"), "nowhere: no such file or folder"),
        (("--data", "cifar10", "--root", "nowhere"), "--root"),
        (("--methods", "magic"), "--methods: there is no magic"),
        (("--noise", "fog:0.2"), "--noise fog:0.2: must be symm:0.2"),
        (("--seeds", "0"), "--seeds is 0, must be at least 1"),
        (("--epochs", "0"), "--epochs is 0, must be at least 1"),
        (("--device", "cuda"), "--device cuda: this machine has none"),
    ],
)
def test_a_mistake_is_one_line_exit_code_2_and_no_folder(
    squares: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
):
    from labelclean.learning import runtime

    if "cuda" in arguments and runtime.choose_device("auto").type == "cuda":
        pytest.skip("there is one here")
    monkeypatch.chdir(tmp_path)
    done = _run("--data", squares, *arguments, "--out", "out", "--quiet")
    assert done.exit_code == 2, done.stderr
    assert done.stderr.startswith("labelclean: ") and done.stderr.count("\n") == 1
    assert says in done.stderr and done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_results_that_is_a_file_is_one_line(squares: Path, tmp_path: Path):
    (tmp_path / "out").write_text("mine")
    done = _run("--data", squares, "--out", tmp_path / "out", "--quiet", "--device", "cpu")
    assert done.exit_code == 2 and done.stderr.count("\n") == 1
    assert "is a file; give a folder" in done.stderr
    assert (tmp_path / "out").read_text() == "mine"


def test_an_interruption_ends_the_runs_and_says_how_to_go_on(squares: Path, tmp_path: Path):
    command = [
        sys.executable, "-m", "labelclean", "benchmark", "--data", str(squares), "--methods", "ce",
        "--noise", "symm:0.2", "--epochs", "100000", "--out", str(tmp_path / "out"),
        "--device", "cpu", "--threads", "1",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LABELCLEAN_CACHE": str(tmp_path / "c")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        while not first.startswith("runs "):
            assert first
            first = process.stderr.readline()
        assert " left, 0 of 3, ce on symm:0.2, seed 0" in first
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()  # ends only when the run's process, which has it too, does
    assert process.returncode == 130
    assert "labelclean: what is done is kept; the same command goes on from there\n" in rest
    assert "Traceback" not in rest
    assert not (tmp_path / "out" / "results.md").exists()
