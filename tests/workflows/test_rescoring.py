"""filter --from-model: a report by a model that was trained before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import labelclean
from labelclean.cli import app
from labelclean.config import RuntimeConfig, TrainConfig
from labelclean.config.training_config import TrainingConfig
from labelclean.report.report import Report
from labelclean.workflows.training import train_classifier

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
        known = dict(zip(model.class_names, logits.tolist(), strict=True))
        own = known.pop(row.given_label)
        assert row.margin == pytest.approx(own - max(known.values()), abs=1e-4)
    assert report.meta.config["from_model"] == str(world / "model")
    assert set(report.meta.config["train"]) == {"arch", "flip", "seed"}
    assert report.meta.training == ()
    assert np.load(world / "again.run" / "embeddings.npy").shape == (60, 128)


def test_an_image_may_be_of_a_class_that_only_the_model_knows(world: Path):
    train_classifier(world / "report.csv", out=world / "model", config=_quick(val=0.0))
    (world / "labels.csv").write_text(
        "\n".join(["image,label", *(f"{k:03d}.png,red" for k in range(0, 60, 3) if k)])
        + "\n001.png,red\n"
    )
    out = world / "red.csv"
    done = _run(world, "--from-model", world / "model", "--budget", "1", "--out", out)
    assert done.exit_code == 0, done.stderr
    frame = Report.read(out).to_frame().set_index("image")
    labelled = frame[frame["given_label"] == "red"]
    assert len(labelled) == 20 and labelled["label_score"].idxmin() == "001.png"
    assert labelled.loc["001.png", "is_label_issue"]
    assert labelled.loc["001.png", "suggested_label"] == "green"
    assert "to train on" not in done.stderr


def test_a_test_split_alone_can_be_judged(world: Path, handmade):
    lines = (world / "labels.csv").read_text().splitlines()
    marked = [f"{line},test" for line in lines[1:]]
    (world / "labels.csv").write_text("\n".join(["image,label,split", *marked]) + "\n")
    handmade.model(world / "model")
    report = _filter(world, "--from-model", world / "model")
    assert report.frame["label_score"].notna().all()
    assert "--split all trains on all" in _run(world, "--out", world / "other.csv").stderr


def test_a_model_that_saw_no_mirror_images_is_asked_about_none(world: Path, handmade):
    handmade.model(world / "model")
    config = json.loads((world / "model" / "config.json").read_text())
    config["flip"] = False
    (world / "model" / "config.json").write_text(json.dumps(config))
    found = _filter(world, "--from-model", world / "model", "--precision", "float32")
    assert found.meta.config["train"]["flip"] is False
    model = labelclean.load_model(world / "model")
    row = found.to_frame().iloc[0]
    image = model.transform(Image.open(world / "images" / row.image))[None]
    with torch.no_grad():
        known = dict(zip(model.class_names, model.network(image)[0].tolist(), strict=True))
    own = known.pop(row.given_label)
    assert row.margin == pytest.approx(own - max(known.values()), abs=1e-4)


def _quick(**given: Any) -> TrainingConfig:
    return TrainingConfig(
        is_from_scratch=True,
        train=TrainConfig(epochs=20, batch_size=16, lr=0.1),
        runtime=RuntimeConfig(device="cpu", precision="float32"),
        **given,
    )


def test_a_model_trained_on_the_cleaned_labels_finds_the_wrong_ones(world: Path):
    train_classifier(world / "report.csv", out=world / "model", config=_quick(val=0.0))
    frame = _filter(world, "--from-model", world / "model", "--budget", "3").to_frame()
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
