"""The command line: exit codes, one line for each mistake, nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

QUICK = ("--epochs", "2", "--batch-size", "16", "--quiet")


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labelclean", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"},
    )


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
    _write(at, "l.csv", "a,b\n00.png,red\n")
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
            _options("--epochs", "0", "--momentum", "2", "--method", "x"),
            "--method is x, must be one of jnpl, nl, ce; --epochs is 0, must be at least 1; "
            "--momentum is 2",
        ),
        (_options("--preset", "fast"), "--preset fast is unknown; there are quick, standard"),
        (_options("--self-test", "half"), "--self-test is half, must be a share"),
        (_options("--threshold", "0.9", "--budget", "9"), "--threshold and --budget exclude"),
        (_options("--image-col", "pic"), "pic"),
        (_options("--arch", "vgg"), "--arch vgg is unknown"),
        (_options("--weights", "none.pt"), "--weights none.pt: no such file"),
    ],
)
def test_a_mistake_is_one_line_exit_code_2_and_nothing_written(
    colour_folder: Path, prepare: Callable[[Path], list[str]], says: str
):
    arguments = prepare(colour_folder)
    before = sorted(colour_folder.rglob("*"))
    done = run("filter", *arguments, *QUICK[2:], cwd=colour_folder)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("labelclean: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert done.stdout == ""
    assert sorted(colour_folder.rglob("*")) == before
