"""The examples, run as their first lines say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from labelclean.report.report import Report

EXAMPLES = Path(__file__).parent.parent / "examples"


def _run(
    folder: Path, *arguments: str, script: str = "new_method.py"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
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


def test_train_quality_compares_the_schemes_on_any_photos(colour_folder: Path):
    labels = (colour_folder / "labels.csv").read_text().splitlines()[1:]
    for name, label in (line.split(",") for line in labels):
        photo = colour_folder / "photos" / label / name
        photo.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(colour_folder / "images" / name, photo)
    words = ["--flowers", "photos", "--out", "out", "--noises", "symm 0.2", "--seeds", "0"]
    words += ["--jobs", "1", "--schemes", "ce-noisy,default,of-right,true", "--epochs", "2"]
    done = _run(colour_folder, *words, script="benchmark/train_quality.py")
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(colour_folder / "out" / "train_quality.csv")
    assert found["scheme"].tolist() == ["ce-noisy", "default", "of-right", "true"]
    assert (found["n"] == 48).all() and found["accuracy"].between(0, 100).all()
    noisy, default, _, true = found["accuracy"]
    gap = found.set_index("scheme")["gap"]["default"]
    expected = (default - noisy) / (true - noisy) if true > noisy else np.nan
    assert gap == pytest.approx(expected, rel=1e-2, nan_ok=True)
    assert "filter, and filter --from-model with the model of default" in done.stdout
    again = _run(colour_folder, *words, script="benchmark/train_quality.py")
    assert again.returncode == 0 and again.stdout == done.stdout


@pytest.mark.slow
def test_the_notebook_runs_and_is_the_one_that_is_committed(tmp_path: Path):
    done = _run(tmp_path, "--out", "tour.ipynb", script="make_tour.py")
    assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "tour.ipynb").read_text())
    committed = json.loads((EXAMPLES / "tour.ipynb").read_text())
    parts = ("id", "cell_type", "source")
    assert [[cell[part] for part in parts] for cell in made["cells"]] == [
        [cell[part] for part in parts] for cell in committed["cells"]
    ]
    shown = [output for cell in made["cells"] for output in cell.get("outputs", ())]
    assert not [output for output in shown if output["output_type"] == "error"]
    assert "noise rate:" in "".join(shown[1]["data"]["text/html"])
