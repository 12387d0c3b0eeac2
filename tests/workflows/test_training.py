"""train from end to end on tiny real files: what it learns and writes."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from training_data import WRONG, changed, config_of, holdout, move_images, train, write_world
from typer.testing import CliRunner

import labelclean
from labelclean.cli import app
from labelclean.config.names import SCHEMES
from labelclean.decisions.decision import Decision
from labelclean.decisions.decision_tables import write_decisions_csv
from labelclean.errors import LabelcleanError
from labelclean.learning import runtime, trainer
from labelclean.learning.methods import Method
from labelclean.progress import Reporter
from labelclean.report.report import Report
from labelclean.workflows.training_source import (
    read_training,
)


@pytest.fixture
def world(tmp_path: Path, handmade) -> Path:
    return write_world(tmp_path, handmade)


def _says(world: Path, folder: str, image: Path) -> str:
    model = labelclean.load_model(world / folder)
    with torch.no_grad():
        logits = model(model.transform(Image.open(image))[None])
    return model.class_names[int(logits.argmax())]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_learns_the_three_colours(world: Path, scheme: str):
    epochs = 20 if scheme == "two-stage" else 8  # ten for each stage
    trained = train(world, scheme=scheme, test=holdout(world), epochs=epochs)
    assert trained.figures is not None
    assert trained.figures.accuracy.value >= (0.7 if scheme == "ce-noisy" else 0.9)
    training = trained.config.training
    assert training["scheme"] == scheme
    left_out = training["judged_wrong"] if scheme == "ce-clean" else 0
    assert training["images"] == 90 - training["held_out"] - left_out
    assert sorted(path.name for path in trained.folder.iterdir()) == [
        "README.md",
        "config.json",
        "confusion.png",
        "model.safetensors",
    ]
    assert not (world / "model.run").exists()


def test_the_second_view_teaches_something_else(world: Path):
    weights = [
        torch.cat([value.flatten() for value in _weights(train(world, scheme, scheme=scheme))])
        for scheme in ("default", "soft")
    ]
    assert float((weights[0] - weights[1]).abs().max()) > 0.01


def _weights(trained: Any) -> list[torch.Tensor]:
    model = labelclean.load_model(trained.folder)
    return [value for value in model.state_dict().values() if value.is_floating_point()]


@pytest.mark.parametrize(
    ("given", "epochs"), [({}, 6), ({"scheme": "soft"}, 12), ({"is_compared": True}, 4)]
)
def test_minutes_are_those_of_all_that_is_trained(
    world: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], epochs: int
):
    def seconds(*_: Any, method: Method, **__: Any) -> float:
        return 5.0 * method.views

    monkeypatch.setattr(trainer, "epoch_seconds", seconds)
    config = config_of(world, **given)
    config = replace(config, runtime=replace(config.runtime, minutes=1.0))
    trained = train(world, config=config, test=holdout(world))
    assert trained.config.training["epochs"] == epochs


def test_an_epoch_of_two_views_is_timed_as_one(world: Path, monkeypatch: pytest.MonkeyPatch):
    config = config_of(world)
    config = replace(config, runtime=replace(config.runtime, minutes=0.02))
    timed: list[Any] = []
    plain = trainer.epoch_seconds

    def looked_at(model: Any, batches: Any, *args: Any, **given: Any) -> float:
        timed.extend(batch.distorted is not None for batch in batches.epoch(0))
        return plain(model, batches, *args, **given)

    monkeypatch.setattr(trainer, "epoch_seconds", looked_at)
    assert train(world, config=config).config.training["epochs"] >= 1
    assert timed and all(timed)


def test_a_loaded_model_says_what_was_tested(world: Path):
    trained = train(world, test=holdout(world), val=0.45)
    right = [
        _says(world, "model", world / "test" / f"{k:03d}.png") == ("red", "green", "blue")[k % 3]
        for k in range(30)
    ]
    assert trained.figures is not None
    assert trained.figures.accuracy.value == pytest.approx(np.mean(right))
    model = labelclean.load_model(world / "model")
    assert not model.training and model.config.temperature == trained.config.temperature != 1.0


def test_the_temperature_divides_the_logits(world: Path):
    train(world, epochs=2)
    model = labelclean.load_model(world / "model")
    images = torch.randn(2, 3, 16, 16)
    warm = type(model)(model.network, replace(model.config, temperature=4.0)).eval()
    with torch.no_grad():
        torch.testing.assert_close(4 * warm(images), model(images) * model.config.temperature)


def test_the_same_share_of_believed_and_doubted_labels_is_held_out_of_every_class(world: Path):
    training = train(world, epochs=1, val=0.3).config.training
    given = [WRONG.get(k, ("red", "green", "blue")[k % 3]) for k in range(90)]
    held_out = {
        is_wrong: sum(
            int(0.3 * sum(given[k] == name and (k in WRONG) == is_wrong for k in range(90)))
            for name in ("red", "green", "blue")
        )
        for is_wrong in (False, True)
    }
    assert held_out[False] > held_out[True] > 0
    assert training["held_out"] == sum(held_out.values())
    assert training["images"] == 90 - training["held_out"]
    assert training["judged_wrong"] == len(WRONG) - held_out[True]


def test_the_same_seed_gives_the_same_bytes_and_another_other_ones(world: Path):
    files = []
    for out, seed in (("one", 0), ("two", 0), ("three", 1)):
        train(world, out, epochs=2, seed=seed)
        files.append((world / out / "model.safetensors").read_bytes())
    assert files[0] == files[1] != files[2]


class _Listener(Reporter):
    """Keeps the notes."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__()
        self._notes = notes

    def note(self, text: str) -> None:
        self._notes.append(text)


class _Killed(BaseException):
    pass


class _Dying(Reporter):
    """Ends the run at a share of one of its stages."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage = f"training {stage}"

    @contextmanager
    def _shown(self, name: str):  # type: ignore[no-untyped-def]
        def advance(done: float, total: float, words: str) -> None:
            if name == self._stage and done > 0.6:
                raise _Killed

        yield advance


@pytest.mark.parametrize(
    ("scheme", "stage"),
    [("default", "default"), ("two-stage", "two-stage-1"), ("two-stage", "two-stage-2")],
)
def test_a_killed_run_resumes_to_the_same_weights(world: Path, monkeypatch, scheme, stage):
    monkeypatch.setattr(trainer, "REPORT_EVERY", 0.0)
    monkeypatch.setattr(trainer, "SAVE_EVERY", 0.0)
    config = config_of(world, scheme=scheme, epochs=4)
    train(world, "whole", config=config)
    with pytest.raises(_Killed):
        train(world, "killed", config=config, reporter=_Dying(stage))
    assert not (world / "killed").exists()
    assert (world / "killed.run" / f"{stage}.pt").exists()
    resuming = replace(config, runtime=replace(config.runtime, resume=True))
    train(world, "killed", config=resuming)
    whole, killed = (world / name / "model.safetensors" for name in ("whole", "killed"))
    assert whole.read_bytes() == killed.read_bytes()


@pytest.mark.parametrize("scheme", ["default", "two-stage"])
def test_a_resumed_run_measures_neither_speed_nor_precision_again(
    world: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
):
    monkeypatch.setattr(trainer, "REPORT_EVERY", 0.0)
    monkeypatch.setattr(trainer, "SAVE_EVERY", 0.0)
    config = config_of(world, scheme=scheme)
    where = replace(config.runtime, minutes=1.0, precision="auto")
    config = replace(config, runtime=where)
    machine = {"seconds": 12.0, "dtype": torch.float32}
    monkeypatch.setattr(trainer, "epoch_seconds", lambda *_, **__: machine["seconds"])
    monkeypatch.setattr(runtime, "_for_cpu", lambda: machine["dtype"])
    whole = train(world, "whole", config=config)
    assert whole.config.training["epochs"] == (4 if scheme == "two-stage" else 5)
    with pytest.raises(_Killed):
        stage = "two-stage-1" if scheme == "two-stage" else scheme
        train(world, "killed", config=config, reporter=_Dying(stage))
    machine.update(seconds=3.0, dtype=torch.bfloat16)
    resumed = train(world, "killed", config=replace(config, runtime=replace(where, resume=True)))
    for one, other in zip(_weights(whole), _weights(resumed), strict=True):
        assert torch.equal(one, other)
    assert train(world, "new", config=config).config.training["epochs"] == 20


def test_a_run_does_not_resume_with_other_decisions(world: Path, monkeypatch):
    monkeypatch.setattr(trainer, "REPORT_EVERY", 0.0)
    monkeypatch.setattr(trainer, "SAVE_EVERY", 0.0)
    config = config_of(world, epochs=4)
    with pytest.raises(_Killed):
        train(world, config=config, reporter=_Dying("default"))
    write_decisions_csv(world / "d.csv", [_decision(1, "exclude", None)])
    resuming = replace(config, runtime=replace(config.runtime, resume=True))
    with pytest.raises(LabelcleanError, match="made with other images, labels or decisions"):
        train(world, config=resuming, decisions=world / "d.csv")


def _decision(row: int, action: str, label: str | None) -> Decision:
    before = WRONG.get(row, ("red", "green", "blue")[row % 3])
    at = "2026-01-01T00:00:00+00:00"
    return Decision(
        image=f"{row:03d}.png", action=action, label=label, before=before, reviewer="me", at=at
    )


def test_a_persons_decisions_override_the_report(world: Path):
    # a person calls red green and green red: that is what the model must learn
    swapped = [_decision(row, "other", "green") for row in range(0, 90, 3)]
    swapped += [_decision(row, "other", "red") for row in range(1, 90, 3)]
    write_decisions_csv(world / "d.csv", swapped)
    trained = train(world, epochs=8, decisions=world / "d.csv")
    assert trained.config.training["decided"] == 60
    said = [_says(world, "model", world / "test" / f"{k:03d}.png") for k in range(3)]
    assert said == ["green", "red", "blue"]


def test_excluded_rows_are_not_trained_on(world: Path):
    write_decisions_csv(world / "d.csv", [_decision(k, "exclude", None) for k in range(10)])
    training = train(world, epochs=1, val=0, decisions=world / "d.csv").config.training
    assert training["images"] == 80 and training["excluded"] == 10


def test_the_gain_over_the_given_labels_is_told_where_it_is_asked_for(world: Path):
    trained = train(world, test=holdout(world), is_compared=True)
    assert trained.figures is not None and trained.figures.gain is not None
    gain = trained.figures.gain
    own, other = trained.figures.accuracy.value, gain.other_accuracy.value
    assert gain.value == pytest.approx(own - other)
    assert gain.low <= gain.value <= gain.high


def test_onnx_says_the_same_on_a_batch_of_any_size(world: Path):
    onnxruntime = pytest.importorskip("onnxruntime")
    train(world, epochs=2, export="onnx")
    session = onnxruntime.InferenceSession(world / "model" / "model.onnx")
    model = labelclean.load_model(world / "model")
    for count in (1, 7):
        images = torch.randn(count, 3, 16, 16)
        (found,) = session.run(None, {"images": images.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(found), model(images).softmax(dim=1))


def test_a_class_without_a_believed_label_is_learned_from_suggestions(world: Path, handmade):
    truth = [("red", "green", "blue")[k % 3] for k in range(90)]
    swapped = {"red": "blue", "blue": "red"}  # every image of two classes has the other one's label
    wrong = {k: swapped[label] for k, label in enumerate(truth) if label in swapped}
    handmade.report(world / "report.csv", world / "images", truth, wrong)
    notes: list[str] = []
    trained = train(world, test=holdout(world), epochs=8, reporter=_Listener(notes))
    assert trained.figures is not None and trained.figures.accuracy.value >= 0.9
    assert [note for note in notes if "suggestions" in note] == [
        "no label of blue, red is believed: learned from suggestions alone"
    ]
    with pytest.raises(LabelcleanError, match="no label 'blue' and 1 more is believed"):
        train(world, scheme="ce-clean", force=True)


def test_the_only_suggestion_of_a_class_is_not_held_out(world: Path, handmade):
    truth = [("red", "green")[k % 2] for k in range(90)]
    truth[4] = "blue"
    wrong = {4: "red", 7: "red"}
    handmade.report(world / "report.csv", world / "images", truth, wrong)
    held_out = []
    for seed in range(6):  # one of the two red labels that are doubted is held out
        config = config_of(world, seed=seed, val=0.5)
        source = read_training(
            world / "report.csv", None, None, config, torch.device("cpu"), Reporter()
        )
        assert 4 in source.data.rows
        held_out.append(7 in source.data.val_rows)
    assert any(held_out) and not all(held_out)


def test_what_is_gone_since_the_report_is_told(world: Path):
    notes: list[str] = []
    for row in range(0, 90, 3):  # all that is red or is taken for it
        (world / "images" / f"{row:03d}.png").unlink()
    report = Report.read(world / "report.csv")
    rows = report.to_frame()["given_label"].replace("red", "green")
    changed(given_label=rows.tolist())(world)
    train(world, epochs=1, reporter=_Listener(notes))
    assert (
        "30 of the report's 90 images are no longer there, the first is 000.png: left out" in notes
    )
    assert "no image of red is left to train on: the model will hardly name it" in notes


def test_few_of_the_held_out_images_calibrate(world: Path, monkeypatch: pytest.MonkeyPatch):
    from labelclean.workflows import training

    seen: list[int] = []
    plain = training.fit_temperature

    def fit(logits: np.ndarray, likelihood: np.ndarray) -> float:
        seen.append(len(logits))
        return plain(logits, likelihood)

    monkeypatch.setattr(training, "fit_temperature", fit)
    monkeypatch.setattr(training, "CALIBRATED", 25)
    train(world, epochs=1, val=0.5)
    assert seen == [25]


def test_a_moved_folder_is_found_by_images(world: Path):
    move_images(world)
    assert train(world, epochs=1, images=world / "elsewhere").config.training["kept"] > 0


def test_all_judged_wrong_can_still_be_trained_on_as_given(world: Path):
    changed(is_label_issue=[True] * 90)(world)
    assert train(world, epochs=1, scheme="ce-noisy").config.training["kept"] == 0


def test_hostile_class_names_are_shown_escaped_and_are_no_markup(world: Path):
    evil = "=cmd()|'\u202e<b>\n"
    path = world / "report.csv"
    report = Report.read(path)
    frame = report.to_frame().replace("red", evil)
    meta = replace(report.meta, class_names=("blue", "green", evil))
    Report(frame=frame, meta=meta).write(path, force=True)
    train(world, epochs=1)
    card = (world / "model" / "README.md").read_text()
    assert "<b>" not in card and "\u202e" not in card and "\\<b\\>" in card
    assert labelclean.load_model(world / "model").class_names == ("blue", "green", evil)


def test_the_command_prints_the_figures_as_json(world: Path):
    words = ["train", "--report", "report.csv", "--out", "model", "--test", "test", "--json"]
    words += ["--test-labels", "test.csv", "--epochs", "2", "--batch-size", "16", "--quiet"]
    words += ["--cache-dir", str(world / "cache"), "--precision", "float32"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(world)
        done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["model"] == "model" and found["training"]["epochs"] == 2
    assert found["test"]["accuracy"]["images"] == 30
    assert np.array(found["test"]["confusion"]).sum() == 30
