"""The examples, run as their first lines say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from labelclean.report.table import Report

EXAMPLES = Path(__file__).parent.parent / "examples"


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / "new_method.py"), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
        capture_output=True,
        text=True,
    )


def test_a_new_method_filters_with_less_than_forty_lines_in_one_place(colour_folder: Path):
    lines = (EXAMPLES / "new_method.py").read_text().splitlines()
    assert len(lines) < 40
    (command,) = (line.split() for line in lines if line.strip().startswith("python "))
    assert command[:2] == ["python", "examples/new_method.py"]
    quick = ["--device", "cpu", "--epochs", "6", "--batch-size", "16", "--cache-dir", "cache"]
    done = _run(colour_folder, *command[2:], *quick)
    assert done.returncode == 0, done.stderr
    report = Report.read(colour_folder / "report.csv")
    assert len(report) == 60
    assert report.frame["label_score"].between(0, 1).all()
    assert report.meta.config["train"]["method"] == "sce"


def test_the_new_method_is_named_where_the_known_ones_are(colour_folder: Path):
    done = _run(colour_folder, "filter", "images", "labels.csv", "--method", "nonsense")
    assert done.returncode == 2
    assert "elr, sce" in done.stderr
