"""filter --dry-run: what the source was taken for, what would be trained, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from labelclean.cli import app


def _dry(folder: Path, *words: str):
    before = sorted(folder.rglob("*"))
    labels = str(folder / "labels.csv")
    done = CliRunner().invoke(
        app, ["filter", str(folder / "images"), labels, "--dry-run", "--device", "cpu", *words]
    )
    assert sorted(folder.rglob("*")) == before
    return done


def test_it_says_what_inspect_says_and_what_would_be_trained(colour_folder: Path):
    seen = CliRunner().invoke(
        app, ["inspect", str(colour_folder / "images"), str(colour_folder / "labels.csv")]
    )
    done = _dry(colour_folder, "--epochs", "3")
    assert done.exit_code == seen.exit_code == 0, done.output
    assert done.stdout.startswith(seen.stdout.rstrip("\n"))
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith(
        "would train: heads on the features of efficientnet-lite0 and smallnet from scratch, "
        "3 epochs, on 60 images of 16 px, cpu"
    )
    assert last.endswith("nothing was trained or written")


@pytest.mark.parametrize(
    ("words", "views", "network"),
    [
        (("--views", "features"), ["features"], None),
        (("--views", "scratch"), ["scratch"], "smallnet"),
        (("--preset", "paper", "--epochs", "2", "--arch", "resnet10"), ["scratch"], "resnet10"),
    ],
)
def test_for_machines_it_has_the_views_and_the_time(colour_folder: Path, words, views, network):
    done = _dry(colour_folder, "--json", *words)
    training = json.loads(done.stdout)["training"]
    assert (training["views"], training["network"]) == (views, network)
    assert training["seconds"] > 0


def test_of_features_of_ones_own_no_image_is_opened(colour_folder: Path):
    np.save(colour_folder / "own.npy", np.zeros((60, 4)))
    done = _dry(colour_folder, "--json", "--features", str(colour_folder / "own.npy"))
    assert json.loads(done.stdout)["training"]["image_size"] is None


def test_what_is_odd_needs_a_decision(colour_folder: Path):
    table = colour_folder / "labels.csv"
    table.write_text(table.read_text().replace("00.png,red", "00.png,violet"))
    done = _dry(colour_folder, "--views", "scratch")
    assert done.exit_code == 1
    assert "would train" in done.stdout and "violet" in done.stdout


def test_a_mistake_in_the_options_is_one_line(colour_folder: Path):
    done = _dry(colour_folder, "--backbone", "resnet50")
    assert done.exit_code == 2 and "not on this machine" in done.stderr
