"""The command line: exit codes, one line for each mistake, nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from forked import Zygote
from typer.testing import CliRunner

import labelclean
from labelclean.cli import app

QUICK = ("--epochs", "2", "--batch-size", "16", "--quiet")


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(zygote: Zygote) -> Run:
    """Commands in a folder, one thread each; a warning is an error."""

    def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        ended = zygote.run(cwd, *arguments, env=dict(os.environ), warnings="error")
        return subprocess.CompletedProcess(arguments, int(ended.code), ended.out, ended.err)

    return command


def _no_folder(at: Path) -> list[str]:
    return ["nowhere"]


def _empty_folder(at: Path) -> list[str]:
    (at / "empty").mkdir()
    return ["empty"]


def _write(at: Path, name: str, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    (at / name).write_bytes(data)


def _no_rows(at: Path) -> list[str]:
    _write(at, "l.csv", "image,label\n")
    return ["images", "l.csv"]


def _no_column(at: Path) -> list[str]:
    _write(at, "l.csv", "a,b\nx,red\n")
    return ["images", "l.csv"]


def _two_columns(at: Path) -> list[str]:
    _write(at, "l.csv", "image,label,class\n00.png,red,green\n")
    return ["images", "l.csv"]


def _conflict(at: Path) -> list[str]:
    _write(at, "l.csv", "image,label\n00.png,red\n01.png,green\n00.png,green\n")
    return ["images", "l.csv"]


def _one_class(at: Path) -> list[str]:
    _write(at, "l.csv", "image,label\n00.png,red\n03.png,red\n")
    return ["images", "l.csv"]


def _too_many_classes(at: Path) -> list[str]:
    lines = [f"{k:02d}.png,name{k}" for k in range(60)]
    _write(at, "l.csv", "image,label\n" + "\n".join(lines))
    return ["images", "l.csv"]


def _all_unreadable(at: Path) -> list[str]:
    for path in (at / "images").iterdir():
        path.write_bytes(b"no image")
    return ["images", "labels.csv"]


def _outside(at: Path) -> list[str]:
    _write(at, "l.csv", "image,label\n../secret.png,red\n01.png,green\n")
    return ["images", "l.csv"]


def _absolute_outside(at: Path) -> list[str]:
    _write(at, "l.csv", "image,label\n/etc/secret.png,red\n01.png,green\n")
    return ["images", "l.csv"]


def _existing_report(at: Path) -> list[str]:
    _write(at, "report.csv", "mine\n")
    return ["images", "labels.csv"]


def _other_shape(at: Path) -> list[str]:
    import torch

    torch.save({"whitening.weight": torch.zeros(1)}, at / "w.pt")
    return ["images", "labels.csv", "--weights", "w.pt"]


def _options(*options: str) -> Callable[[Path], list[str]]:
    return lambda at: ["images", "labels.csv", *options]


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (_no_folder, "nowhere: no such file or folder"),
        (_empty_folder, "empty: is empty"),
        (_no_rows, "l.csv"),
        (_no_column, "--image-col"),
        (_two_columns, "--label-col"),
        (_conflict, "00.png"),
        (_one_class, "red"),
        (_too_many_classes, "label"),
        (_all_unreadable, "none of the 60 images can be read"),
        (_outside, "l.csv:2"),
        (_absolute_outside, "l.csv:2"),
        (_existing_report, "--force"),
        (_other_shape, "w.pt: lacks"),
        (_options("--out", "gone/report.csv"), "there is no folder gone; make it"),
        (_options("--out", "report.txt"), "report.txt"),
        (_options("--device", "cuda"), "--device cuda: this machine has none; it has cpu"),
        (_options("--lr", "nan"), "--lr is nan, must be in (0, 100]"),
        (_options("--epochs", "0"), "--epochs is 0, must be at least 1"),
        (
            _options("--epochs", "0", "--momentum", "2"),
            "--epochs is 0, must be at least 1; --momentum is 2",
        ),
        (_options("--method", "x"), "--method is x, must be one of jnpl, ce, nl, nl-plus"),
        (_options("--noise-rate", "1"), "--noise-rate is 1, must be in [0, 1)"),
        (_options("--preset", "fast"), "--preset fast is unknown; there are quick, standard"),
        (_options("--self-test", "half"), "--self-test is half, must be a share"),
        (_options("--threshold", "0.9", "--budget", "9"), "--threshold and --budget exclude"),
        (_options("--image-col", "pic"), "pic"),
        (_options("--arch", "vgg"), "--arch vgg is unknown"),
        (_options("--weights", "none.pt"), "--weights none.pt: no such file"),
    ],
)
def test_a_mistake_is_one_line_exit_code_2_and_nothing_written(
    colour_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[Path], list[str]],
    says: str,
):
    arguments = prepare(colour_folder)
    monkeypatch.chdir(colour_folder)
    before = sorted(colour_folder.rglob("*"))
    # in this process: loading torch again for each mistake would take most of the time
    done = CliRunner().invoke(app, ["filter", *arguments, "--quiet"])
    assert done.exit_code == 2, done.stderr
    assert done.stderr.startswith("labelclean: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert done.stdout == ""
    assert sorted(colour_folder.rglob("*")) == before


def test_the_version_is_that_of_the_package():
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"labelclean {labelclean.__version__}\n")


def test_a_checkpoint_of_other_options_is_one_line(colour_folder: Path, run: Run):
    from labelclean.learning import runtime

    other = {"options": "others", "images or labels": "", "image size": "", "precision": ""}
    runtime.save_checkpoint(colour_folder / "report.run" / "checkpoint.pt", {}, other)
    done = run("filter", "images", "labels.csv", "--resume", *QUICK, cwd=colour_folder)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "report.run/checkpoint.pt: the checkpoint was made with other options" in done.stderr
    assert not (colour_folder / "report.csv").exists()


def test_a_whole_run_prints_its_summary_on_stdout_and_nothing_else(colour_folder: Path, run: Run):
    done = run("filter", "images", "labels.csv", *QUICK, cwd=colour_folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("images:        60 judged, of 60 rows\n")
    assert "\nreport:        report.csv\n" in done.stdout
    assert (colour_folder / "report.meta.json").exists()


def test_the_report_goes_to_stdout_and_the_summary_to_stderr(colour_folder: Path, run: Run):
    done = run("filter", "images", "labels.csv", "--out", "-", *QUICK, cwd=colour_folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 61 and lines[0].startswith("image,given_label,suggested_label,")
    assert "noise rate:" in done.stderr
    assert sorted(p.name for p in colour_folder.iterdir()) == ["images", "labels.csv"]


def test_json_is_for_machines_and_fail_over_for_continuous_integration(
    colour_folder: Path, run: Run
):
    command = ("filter", "images", "labels.csv", "--json", "--force", *QUICK)
    done = run(*command, "--fail-over", "0%", "--threshold", "0", cwd=colour_folder)
    summary = json.loads(done.stdout)
    assert summary["rows"] == 60 and summary["label_issues"] == 60
    assert done.returncode == (1 if summary["noise_rate"] > 0 else 0)
    assert ("is above 0.0%" in done.stderr) == (summary["noise_rate"] > 0)
    assert run(*command, "--fail-over", "100%", cwd=colour_folder).returncode == 0


def test_an_interruption_is_130_and_says_how_to_go_on(colour_folder: Path):
    import signal

    command = [sys.executable, "-m", "labelclean", "filter", "images", "labels.csv"]
    with subprocess.Popen(
        [*command, "--epochs", "100000", "--batch-size", "16"],
        cwd=colour_folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stderr is not None
        # plain lines where there is no terminal, after those about the source
        first = next((line for line in process.stderr if line.startswith("training ")), "")
        assert "images/s" in first and " left" in first
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert rest.splitlines()[-1] == (
        "labelclean: interrupted; the same command with --resume goes on from the checkpoint"
    )
    assert os.listdir(colour_folder / "report.run") == ["checkpoint.pt"]
    assert not (colour_folder / "report.csv").exists()


def test_hostile_names_reach_neither_the_terminal_nor_a_spreadsheet(colour_folder: Path, run: Run):
    evil = "=cmd('x')\x1b[31m \U0001f600\n.png"
    os.rename(colour_folder / "images" / "00.png", colour_folder / "images" / evil)
    labels = (colour_folder / "labels.csv").read_text()
    labels = labels.replace("00.png,red", f'"{evil}",red')
    (colour_folder / "labels.csv").write_text(labels)
    done = run("filter", "images", "labels.csv", "--threshold", "0", *QUICK, cwd=colour_folder)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    raw = (colour_folder / "report.csv").read_text()
    assert "\"'=cmd('x')" in raw

    from labelclean.report.report import Report

    assert Report.read(colour_folder / "report.csv").frame["image"][0] == evil


def test_a_symlink_loop_ends(colour_folder: Path, run: Run):
    for k in range(60):
        name = ("red", "green", "blue")[k % 3]
        (colour_folder / "classes" / name).mkdir(parents=True, exist_ok=True)
        source = colour_folder / "images" / f"{k:02d}.png"
        source.rename(colour_folder / "classes" / name / source.name)
    (colour_folder / "classes" / "red" / "loop").symlink_to(colour_folder / "classes")
    done = run("filter", "classes", *QUICK, cwd=colour_folder)
    assert done.returncode == 0, done.stderr
    assert "60 judged, of 60 rows" in done.stdout


def test_demo_refuses_a_folder_with_other_things(colour_folder: Path, run: Run):
    done = run("demo", colour_folder, cwd=colour_folder)
    assert done.returncode == 2 and "is not empty" in done.stderr


def test_evaluate_wants_a_truth_that_names_the_images(colour_folder: Path, run: Run):
    assert run("filter", "images", "labels.csv", *QUICK, cwd=colour_folder).returncode == 0
    _write(colour_folder, "other.csv", "image,label\nx.png,red\n")
    for truth, says in (
        ("gone.csv", "no such file"),
        ("other.csv", "names no image of report.csv"),
    ):
        done = run("evaluate", "report.csv", "--truth", truth, cwd=colour_folder)
        assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1
    done = run("evaluate", "report.csv", "--truth", "labels.csv", "--json", cwd=colour_folder)
    assert json.loads(done.stdout)["wrong_labels"] == 0
