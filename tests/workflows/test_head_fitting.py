"""train as it is without options: a head on a pretrained network's features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_data import config_of, holdout, train, write_world
from typer.testing import CliRunner

import labelclean
from labelclean.cli import app
from labelclean.errors import ConfigError
from labelclean.learning import backbones, models, trainer
from labelclean.progress import Reporter
from labelclean.workflows import head_fitting, training, training_source
from labelclean.workflows.head_fitting import SCHEMES


@pytest.fixture
def world(tmp_path: Path, handmade) -> Path:
    return write_world(tmp_path, handmade)


def _head(world: Path, out: str = "model", **given):
    config = config_of(world, is_from_scratch=False, **given.pop("config", {}))
    return train(world, out, config=config, **given)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_of_a_head_learns_the_three_colours(world: Path, scheme: str):
    trained = _head(world, test=holdout(world), config={"scheme": scheme})
    assert trained.figures is not None
    assert trained.figures.accuracy.value >= (
        0.7 if scheme == "ce-noisy" else 0.8
    )  # of three classes
    assert trained.config.architecture == "efficientnet-lite0-depths"
    assert trained.config.training["backbone"] == "efficientnet-lite0"
    assert "a head on the features of efficientnet-lite0" in trained.describe()


@pytest.mark.usefixtures("enlarged_less")
@pytest.mark.parametrize("scheme", ["default", "ce-clean"])
def test_the_whole_network_learns_on_after_its_head(world: Path, scheme: str):
    settings = {"scheme": scheme, "epochs": 4, "is_finetuned": True}
    trained = _head(world, test=holdout(world), config=settings)
    assert trained.figures is not None and trained.figures.accuracy.value > 0.5  # of three classes
    assert "fine-tuned from efficientnet-lite0" in trained.describe()
    assert trained.config.architecture == "efficientnet-lite0"  # the features of its last layer
    assert "trained on" in (world / "model" / "README.md").read_text()
    training = trained.config.training
    assert training["epochs"] == 4 and training["is_finetuned"]
    pretrained = backbones.load_backbone("efficientnet-lite0").network.state_dict()
    model = labelclean.load_model(world / "model")
    learned = model.network.backbone[1].state_dict()  # after the enlargement
    assert not any(
        torch.equal(value, learned[name]) for name, value in pretrained.items() if "conv" in name
    )


@pytest.mark.usefixtures("enlarged_less")
def test_minutes_are_those_of_a_fine_tuning_and_of_what_it_is_compared_with(
    world: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(trainer, "epoch_seconds", lambda *_, **__: 5.0)
    config = config_of(world, is_from_scratch=False, is_compared=True, is_finetuned=True)
    config = replace(config, runtime=replace(config.runtime, minutes=0.5))
    trained = train(world, config=config, test=holdout(world))
    assert trained.config.training["is_finetuned"]
    assert trained.config.training["epochs"] == 3
    assert trained.figures is not None and trained.figures.gain is not None
    assert not (world / "model.run").exists()


@pytest.mark.usefixtures("enlarged_less")
@pytest.mark.parametrize("likes", ["the head", "the network", "neither: few are held out"])
def test_where_nobody_insists_the_fine_tuned_network_is_kept_if_it_fits_held_out_labels_better(
    world: Path, monkeypatch: pytest.MonkeyPatch, likes: str
):
    monkeypatch.setattr(trainer, "epoch_seconds", lambda *_, **__: 15.0)
    if not likes.startswith("neither"):
        monkeypatch.setattr(training, "FEWEST", 2)
    asked: list[float] = []

    def nats(*_: object) -> float:
        asked.append(float(len(asked)) if likes == "the head" else -float(len(asked)))
        return asked[-1]

    monkeypatch.setattr(training, "negative_log_likelihood", nats)
    config = config_of(world, is_from_scratch=False)
    config = replace(config, runtime=replace(config.runtime, minutes=0.5))
    notes: list[str] = []
    monkeypatch.setattr(Reporter, "note", lambda _, text: notes.append(text))
    trained = train(world, config=config, reporter=Reporter())
    is_finetuned = likes == "the network"
    assert trained.config.training["is_finetuned"] == is_finetuned
    assert (trained.config.training["held_out"] > 0) == is_finetuned  # the head learns from all
    (line,) = (note for note in notes if "fine-tuning (" in note)
    expected = {"the head": "does not help", "the network": "helps: "}
    assert expected.get(likes, "do not tell") in line
    assert len(asked) == (0 if likes.startswith("neither") else 2)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--finetune", "--from-scratch"), "--finetune trains no network from scratch"),
        (("--finetune", "--scheme", "two-stage"), "two-stage trains from scratch"),
        (("--finetune", "--lr", "0.1"), "settings of its own: leave --lr out"),
    ],
)
def test_options_that_a_fine_tuning_cannot_take_are_refused(world: Path, words, line):
    report = str(world / "report.csv")
    done = CliRunner().invoke(app, ["train", "--report", report, *words])
    assert done.exit_code == 2 and line in " ".join(done.stderr.split())


def test_the_folder_holds_network_and_head_and_needs_no_pretrained_weights(
    world: Path, monkeypatch: pytest.MonkeyPatch
):
    trained = _head(world, test=holdout(world))
    monkeypatch.setattr(backbones, "_PACKAGE", "no_such_package")
    model = labelclean.load_model(world / "model")
    assert (model.config.enlarged, model.config.image_size) == (160, 16)
    names = (world / "test.csv").read_text().splitlines()[1:]
    right = 0
    for line in names:
        name, label = line.split(",")
        with torch.no_grad():
            logits = model(model.transform(Image.open(world / "test" / name))[None])
        right += model.class_names[int(logits.argmax())] == label
    assert trained.figures is not None
    assert right / len(names) == pytest.approx(trained.figures.accuracy.value)


def test_the_network_enlarges_as_the_features_were_made():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.uniform(0, 255, (2, 3, 8, 8)).astype(np.float32))
    enlarged = models.Enlarging(8, 32)(images)
    assert enlarged.shape == (2, 3, 32, 32)
    mean = images.mean()  # weights of the enlargement sum to one
    assert float(enlarged.mean()) == pytest.approx(float(mean), rel=0.05)
    flat = models.Enlarging(8, 32)(torch.full((1, 3, 8, 8), 7.0))
    torch.testing.assert_close(flat, torch.full((1, 3, 32, 32), 7.0))


def test_the_same_seed_gives_the_same_bytes(world: Path):
    _head(world, "one")
    _head(world, "two")
    one, two = (world / name / "model.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_no_image_is_held_out_of_a_head_and_folds_calibrate_it(world: Path):
    config = _head(world, test=holdout(world)).config
    assert config.training["held_out"] == 0 and config.training["images"] == 90
    assert config.temperature != 1.0
    assert "no image was held out" in (world / "model" / "README.md").read_text()
    share = _head(world, out="other", config={"val": 0.3}).config
    assert share.training["held_out"] > 0 and share.training["images"] < 90


@pytest.mark.usefixtures("enlarged_less")
def test_images_are_held_out_of_a_network_that_learns_on(world: Path):
    training = _head(world, config={"is_finetuned": True, "epochs": 1}).config.training
    assert training["held_out"] > 0


def test_images_are_held_out_where_folds_would_take_too_much(world: Path, monkeypatch):
    monkeypatch.setattr(head_fitting, "MOST_TARGETS", 100)
    training = _head(world).config.training
    assert training["held_out"] > 0


def test_filter_judges_by_the_model(world: Path):
    _head(world, config={"val": 0.0})
    labels = "\n".join(
        f"{k:03d}.png,{('red', 'green', 'blue')[(k + (k == 5)) % 3]}" for k in range(90)
    )
    (world / "some.csv").write_text(f"image,label\n{labels}\n")
    words = [
        *("filter", str(world / "images"), str(world / "some.csv"), "--quiet", "--force"),
        *("--from-model", str(world / "model"), "--out", str(world / "new.csv"), "--budget", "1"),
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    frame = labelclean.Report.read(world / "new.csv").frame
    assert frame.loc[frame["is_label_issue"].astype(bool), "image"].tolist() == ["005.png"]


def test_two_stages_and_many_small_images_are_learned_from_scratch(
    world: Path, monkeypatch: pytest.MonkeyPatch
):
    two = _head(world, "two", config={"scheme": "two-stage", "epochs": 2})
    assert two.config.training["backbone"] is None
    monkeypatch.setattr(training_source, "MANY_SMALL", 50)
    many = _head(world, "many", config={"epochs": 2})
    assert many.config.architecture == "smallnet"


def test_a_backbone_that_is_missing_is_told_before_images_are_read(
    world: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(training_source, "prepare", None)
    with pytest.raises(ConfigError, match="its ImageNet weights are not on this machine"):
        _head(world, config={"backbone": "resnet18"})


def test_options_of_a_training_and_of_a_pretrained_network_exclude_each_other(world: Path):
    words = ["train", "--report", str(world / "report.csv"), "--out", str(world / "model")]
    done = CliRunner().invoke(app, [*words, "--backbone", "resnet18", "--lr", "0.1"])
    assert done.exit_code == 2
    assert "--lr is of a network that is trained from scratch" in done.stderr
