"""Rows that are not judged have a reason, in the report's row, its notes and its counts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from labelclean.cli import app
from labelclean.config import FilterConfig, RuntimeConfig, TrainConfig
from labelclean.report.report import Report
from labelclean.report.summary import summary_text
from labelclean.sources import SourceOptions
from labelclean.workflows.filtering import filter_dataset
from labelclean.workflows.reasons import without_untrained


@pytest.fixture
def report(colour_folder: Path) -> Report:
    """Of images with each reason not to be judged, as it was written and read again."""
    lines = (colour_folder / "labels.csv").read_text().splitlines()
    rows = [f"{line},train" for line in lines[1:]]
    rows[1:1] = [rows[0]]  # the row after names the same image again
    rows += ["gone.png,red,train", "50b.png,violet,test", "bad.png,red,train",
             "empty.png,red,train", "cut.png,red,train"]  # fmt: skip
    (colour_folder / "labels.csv").write_text("\n".join(["image,label,split", *rows]) + "\n")
    images = colour_folder / "images"
    whole = (images / "50.png").read_bytes()
    for name, data in (
        ("50b.png", (images / "51.png").read_bytes()), ("bad.png", b"<html>Not found</html>"),
        ("empty.png", b""), ("cut.png", whole[:150]), ("free.png", whole),
    ):  # fmt: skip
        (images / name).write_bytes(data)
    config = FilterConfig(
        train=TrainConfig(epochs=2, batch_size=16, flip=False),
        runtime=RuntimeConfig(cache_dir=colour_folder / "cache", workers=1),
    )
    filter_dataset(
        images, colour_folder / "labels.csv", out=colour_folder / "report.csv", config=config,
        options=SourceOptions(),
    )  # fmt: skip
    return Report.read(colour_folder / "report.csv")


def test_every_row_of_the_input_is_in_the_report_with_its_reason(report: Report):
    frame = report.to_frame()
    assert frame["image"].tolist()[:3] == ["00.png", "00.png", "01.png"]
    reasons = dict(zip(frame["image"][2:], frame["reason"][2:], strict=True))
    assert frame["reason"][1] == "an earlier row is of the same image"
    assert frame["status"][1] == "repeated"
    assert reasons["gone.png"] == "No such file or directory" or "no such" in reasons["gone.png"]
    assert reasons["50b.png"] == "no image of class 'violet' is trained on"
    assert reasons["bad.png"].startswith("not in an image format that")
    assert reasons["empty.png"] == "the file is empty"
    assert "truncated" in reasons["cut.png"]
    assert reasons["free.png"] == "no label"
    judged = frame["label_score"].notna()
    assert (judged == (frame["reason"] == "")).all() and judged.sum() == 60


def test_a_row_of_a_class_without_training_images_keeps_its_label_and_is_no_issue(report: Report):
    (row,) = report.frame[report.frame["image"] == "50b.png"].to_dict("records")
    assert (row["given_label"], row["suggested_label"]) == ("violet", "violet")
    assert not row["is_label_issue"]
    assert report.meta.class_names == ("blue", "green", "red")


def test_the_summary_counts_rows_by_reason(report: Report):
    text = " ".join(summary_text(report, width=1000).split())
    assert "6 rows not judged: " in text
    assert "not in an image format that" in text and "no label (1)" in text
    assert "60 judged, of 67 rows" in text and "1 repeated" in text


def test_other_commands_have_each_image_once(report: Report, colour_folder: Path):
    words = ["apply", str(colour_folder / "report.csv"), "--above", "0.5", "--dry-run", "--out",
             str(colour_folder / "clean.csv")]  # fmt: skip
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output


def test_a_copy_under_another_label_counts_for_its_own_class_too():
    table = SimpleNamespace(labels=np.array([0, 0, 1, 1, 2, 2]), num_classes=3)
    # class 2 has a copy of the first image, and one of its own
    samples = SimpleNamespace(
        table=table, first=np.array([0, 1, 2, 3, 0, 5]), train_rows=np.arange(6)
    )
    assert without_untrained(samples) is samples
