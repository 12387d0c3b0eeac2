"""filter --from-model: a report by a model that was trained before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import labelclean
from labelclean.cli import app
from labelclean.config import RuntimeConfig, TrainConfig
from labelclean.report.table import Report
from labelclean.workflows.training import TrainingConfig, train_classifier

WRONG = {7: "red", 20: "green", 42: "blue"}  # of 60; true: green, blue, red


@pytest.fixture
def world(tmp_path: Path, handmade) -> Path:
    """images/, labels.csv with three wrong labels, and report.csv that finds them."""
    truth = handmade.images(tmp_path / "images", 60)
    handmade.labels(tmp_path / "labels.csv", [WRONG.get(k, truth[k]) for k in range(60)])
    handmade.report(tmp_path / "report.csv", tmp_path / "images", truth, WRONG)
    return tmp_path


def _filter(world: Path, *words: object) -> Report:
    out = world / "again.csv"
    done = _run(world, "--out", out, *words)
    assert done.exit_code == 0, done.stderr
    return Report.read(out)


def _run(world: Path, *words: object):
    given = ("filter", world / "images", world / "labels.csv", "--device", "cpu", "--force")
    return CliRunner().invoke(app, [*map(str, given), *map(str, words)])


def test_the_labels_are_judged_by_what_the_model_says_of_image_and_mirror_image(
    world: Path, handmade
):
    # its classes stand in another order than those of the table, and there is one more
    handmade.model(world / "model", ("red", "violet", "blue", "green"))
    report = _filter(world, "--from-model", world / "model", "--precision", "float32")
    model = labelclean.load_model(world / "model")
    for row in report.to_frame().head(10).itertuples():
        image = model.transform(Image.open(world / "images" / row.image))[None]
        with torch.no_grad():
            logits = (model.network(image) + model.network(image.flip(3)))[0] / 2
        known = {name: float(logits[model.class_names.index(name)]) for name in handmade.NAMES}
        own = known.pop(row.given_label)
        assert row.margin == pytest.approx(own - max(known.values()), abs=1e-4)
    assert report.meta.config["from_model"] == str(world / "model")
    assert set(report.meta.config["train"]) == {"arch", "flip", "seed"}
    assert report.meta.training == ()
    assert np.load(world / "again.run" / "embeddings.npy").shape == (60, 128)


def test_a_model_trained_on_the_cleaned_labels_finds_the_wrong_ones(world: Path):
    config = TrainingConfig(
        train=TrainConfig(epochs=20, batch_size=16, lr=0.1),
        runtime=RuntimeConfig(device="cpu", precision="float32"),
        val=0.0,
    )
    train_classifier(world / "report.csv", out=world / "model", config=config)
    frame = _filter(world, "--from-model", world / "model").to_frame()
    suspicious = frame.sort_values("label_score").head(3)
    assert set(suspicious["image"]) == {"007.png", "020.png", "042.png"}
    assert suspicious["is_label_issue"].all()
    right = {"007.png": "green", "020.png": "blue", "042.png": "red"}
    assert all(right[row.image] == row.suggested_label for row in suspicious.itertuples())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--epochs", "3"), "--from-model trains nothing: leave --epochs out"),
        (("--preset", "quick", "--lr", "1"), "leave --preset, --lr out"),
        (("--image-size", "32"), "leave --image-size out"),
        (("--self-test", "2%"), "--self-test measures a training, --from-model has none"),
        (("--resume",), "--resume goes on with a training"),
        (("--minutes", "1"), "--minutes is of a training"),
    ],
)
def test_what_only_a_training_needs_is_refused(world: Path, handmade, words, message: str):
    handmade.model(world / "model")
    done = _run(world, "--from-model", world / "model", *words)
    assert done.exit_code == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_a_class_that_the_model_does_not_know_is_told(world: Path, handmade):
    handmade.model(world / "model", ("blue", "violet", "red"))
    done = _run(world, "--from-model", world / "model")
    assert done.exit_code == 2
    assert "--from-model: the model does not know the class 'green'; train it" in done.stderr


def test_a_folder_that_is_no_model_is_told(world: Path):
    done = _run(world, "--from-model", world / "images")
    assert done.exit_code == 2 and "give the folder that train wrote" in done.stderr
