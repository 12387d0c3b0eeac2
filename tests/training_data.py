"""A report of small squares to train on, and the ways in which the tests of train call it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from labelclean.config import RuntimeConfig
from labelclean.config.source_options import SourceOptions
from labelclean.config.training_config import TrainingConfig, train_preset
from labelclean.report.report import Report
from labelclean.workflows.testing import HoldoutSource
from labelclean.workflows.training import train_classifier

WRONG = {k: ("green", "blue", "red")[k % 3] for k in range(0, 90, 4)}


def write_world(folder: Path, handmade: Any) -> Path:
    """images/ of 90 squares, report.csv that finds the wrong labels, test/ with test.csv."""
    truth = handmade.images(folder / "images", 90)
    handmade.report(folder / "report.csv", folder / "images", truth, WRONG)
    handmade.labels(folder / "test.csv", handmade.images(folder / "test", 30, seed=1))
    return folder


def config_of(world: Path, **given: Any) -> TrainingConfig:
    train = {
        "epochs": 6,
        "batch_size": 16,
        "lr": 0.1,
        **{k: given.pop(k) for k in ("epochs", "seed") if k in given},
    }
    return TrainingConfig(
        is_from_scratch=given.pop("is_from_scratch", True),
        train=train_preset("quick", **train),
        runtime=RuntimeConfig(device="cpu", precision="float32", cache_dir=world / "cache"),
        **given,
    )


def holdout(world: Path, **options: Any) -> HoldoutSource:
    labels = SourceOptions(labels=world / "test.csv")
    return HoldoutSource(source=world / "test", options=labels, **options)


def train(world: Path, out: str = "model", **given: Any):
    passed = {k: given.pop(k) for k in ("test", "force", "reporter", "images") if k in given}
    decisions = given.pop("decisions", None)
    config = given.pop("config", None) or config_of(world, **given)
    return train_classifier(
        world / "report.csv", out=world / out, config=config, decisions=decisions, **passed
    )


def changed(**columns: list[object]):
    """Puts these columns into the report."""

    def change(world: Path) -> None:
        report = Report.read(world / "report.csv")
        frame = report.to_frame().assign(**columns)
        Report(frame=frame, meta=report.meta).write(world / "report.csv", force=True)

    return change


def move_images(world: Path) -> None:
    shutil.move(world / "images", world / "elsewhere")
