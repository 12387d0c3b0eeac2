"""What train and load_model refuse: one line each, and nothing is half-written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from training_data import WRONG, changed, holdout, move_images, train, write_world
from typer.testing import CliRunner

import labelclean
from labelclean.cli import app
from labelclean.decisions.decision import Decision
from labelclean.decisions.decision_tables import write_decisions_csv
from labelclean.decisions.store import DecisionStore, digest_of
from labelclean.errors import LabelcleanError, RunError
from labelclean.report.report import Report


@pytest.fixture
def world(tmp_path: Path, handmade) -> Path:
    return write_world(tmp_path, handmade)


def _without_meta(world: Path) -> None:
    (world / "report.meta.json").unlink()


def _of_other_images(world: Path) -> None:
    shutil.rmtree(world / "images")
    (world / "images").mkdir()
    (world / "images" / "other.png").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "given", "words"),
    [
        (_without_meta, {}, "report.meta.json: missing"),
        (move_images, {}, "give it by --images"),
        (_of_other_images, {}, "none of the report's 90 images is there"),
        (
            changed(is_label_issue=[True] * 90),
            {},
            "no label of the report is believed to be right",
        ),
        (
            changed(is_label_issue=[k in WRONG or k % 3 == 0 for k in range(90)]),
            {"scheme": "two-stage"},
            "no label 'red' is believed to be right",
        ),
        (None, {"scheme": "best"}, "--scheme is best, must be one of default, soft, two-stage"),
        (None, {"val": 0.9}, "--val is 0.9, must be in [0, 0.5]"),
        (None, {"export": "tflite"}, "--export is tflite, must be onnx"),
        (None, {"is_compared": True}, "--compare needs a test set: give --test"),
        (None, {"scheme": "two-stage", "epochs": 1}, "--scheme two-stage needs at least 2"),
        (None, {"out": ".."}, "..: is no name for a new folder"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_model(world: Path, spoil, given, words: str):
    if spoil is not None:
        spoil(world)
    with pytest.raises(LabelcleanError) as caught:
        train(world, **given)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not (world / "model").exists()


def test_a_test_image_that_is_trained_on_is_refused_unless_allowed(world: Path):
    shutil.copy(world / "images" / "004.png", world / "test" / "005.png")
    with pytest.raises(LabelcleanError, match="1 of its 30 images are also trained on.*005.png"):
        train(world, epochs=1, test=holdout(world))
    assert not (world / "model").exists()
    trained = train(world, epochs=1, test=holdout(world, allow_overlap=True))
    assert trained.figures is not None and trained.figures.accuracy.count == 30


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--test-labels", "test.csv"], "--test-labels"),
        (["--allow-overlap"], "--allow-overlap"),
        (["--root", "images"], "--root"),
    ],
)
def test_options_of_a_test_set_are_refused_without_one(world: Path, words: list[str], named: str):
    command = ["train", "--report", str(world / "report.csv"), "--out", str(world / "model")]
    done = CliRunner().invoke(app, [*command, *words])
    assert done.exit_code == 2 and not (world / "model").exists()
    assert done.stderr == f"labelclean: {named} is of a test set: give --test as well\n"


def test_decisions_about_another_report_are_refused(world: Path):
    path = world / "report.decisions.sqlite"
    DecisionStore.open(path, report_digest="of another").close()
    with pytest.raises(LabelcleanError, match="decisions.sqlite"):
        train(world, epochs=1)
    assert not (world / "model").exists()
    path.unlink()
    digest = digest_of(Report.read(world / "report.csv"))
    DecisionStore.open(path, report_digest=digest).close()
    train(world, epochs=1)


@pytest.mark.parametrize("scheme", ["default", "ce-noisy"])
def test_where_every_image_is_excluded_nothing_is_trained(world: Path, scheme: str):
    at = "2026-01-01T00:00:00+00:00"
    excluded = [
        Decision(image=f"{k:03d}.png", action="exclude", label=None, before="", reviewer="", at=at)
        for k in range(90)
    ]
    write_decisions_csv(world / "d.csv", excluded)
    with pytest.raises(LabelcleanError, match="no image of the report is left to train on"):
        train(world, scheme=scheme, decisions=world / "d.csv")


def test_a_class_that_only_the_test_set_has_is_refused(world: Path):
    text = (world / "test.csv").read_text().replace("003.png,red", "003.png,violet")
    (world / "test.csv").write_text(text)
    with pytest.raises(LabelcleanError, match="does not know the class 'violet'"):
        train(world, epochs=1, test=holdout(world))


def test_an_existing_model_is_replaced_only_if_told_and_other_folders_never(world: Path):
    train(world, epochs=1)
    with pytest.raises(LabelcleanError, match="already exists; .*--force replaces it"):
        train(world, epochs=1)
    train(world, epochs=1, seed=1, force=True)
    assert json.loads((world / "model" / "config.json").read_text())["training"]["seed"] == 1
    with pytest.raises(LabelcleanError, match="is there and is no model"):
        train(world, "images", epochs=1, force=True)
    assert len(list((world / "images").iterdir())) == 90


def test_a_failed_export_leaves_the_old_model(world: Path, monkeypatch):
    from labelclean.learning import onnx_export

    train(world, epochs=1)
    before = (world / "model" / "model.safetensors").read_bytes()

    def failing(model: object) -> bytes:
        raise RunError("no")

    monkeypatch.setattr(onnx_export, "onnx_bytes", failing)
    with pytest.raises(RunError):
        train(world, epochs=1, seed=1, force=True, export="onnx")
    assert (world / "model" / "model.safetensors").read_bytes() == before
    assert not [path for path in world.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: shutil.rmtree(folder), "no such folder; give the one that train wrote"),
        (lambda folder: (folder / "config.json").write_text("{"), "not the config of a model"),
        (
            lambda folder: (folder / "config.json").write_text('{"format": 99}'),
            "format 99, this labelclean reads 2; update labelclean",
        ),
        (
            lambda folder: (folder / "config.json").write_text('{"format": 1}'),
            "format 1, this labelclean reads 2; train it again",
        ),
        (
            lambda folder: (folder / "config.json").write_text('{"format": 2}'),
            "damaged (no 'architecture')",
        ),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 20),
            "model.safetensors: damaged",
        ),
        (
            lambda folder: (folder / "config.json").write_text(
                (folder / "config.json").read_text().replace('"smallnet"', '"resnet10"')
            ),
            "not the weights that config.json describes",
        ),
        (lambda folder: (folder / "model.safetensors").unlink(), "No such file or directory"),
    ],
)
def test_a_damaged_model_is_named_in_one_line(world: Path, spoil, words: str):
    train(world, epochs=1)
    spoil(world / "model")
    with pytest.raises(LabelcleanError) as caught:
        labelclean.load_model(world / "model")
    assert words in str(caught.value) and "\n" not in str(caught.value)
