"""filter --decisions: what people decided is certain, and teaches the rest."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from labelclean import filter_dataset
from labelclean.cli import app
from labelclean.config import FilterConfig, HeadConfig, TrainConfig, ViewConfig
from labelclean.decisions.decision import FIELDS, Decision
from labelclean.decisions.store import decisions_path, read_decisions
from labelclean.errors import ConfigError, ReportError
from labelclean.report.report import Report

CONFIG = FilterConfig(
    train=TrainConfig(epochs=3, batch_size=16),
    view=ViewConfig(views=("features",), head=HeadConfig(epochs=5, least_steps=30, repeats=1)),
)


def run(folder: Path, name: str, **changes: Any) -> Report:
    return filter_dataset(
        folder / "images",
        folder / "labels.csv",
        out=folder / name,
        config=replace(CONFIG, **changes),
    )


def given_labels(folder: Path) -> dict[str, str]:
    with open(folder / "labels.csv", newline="") as file:
        return {row["image"]: row["label"] for row in csv.DictReader(file)}


def decided(folder: Path, labels: dict[str, str | None]) -> Path:
    """A table of decisions; None excludes."""
    given = given_labels(folder)
    path = folder / "decided.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        for image, label in labels.items():
            action = "exclude" if label is None else "keep" if label == given[image] else "other"
            writer.writerow(
                [image, action, label or "", given[image], "me", "2026-01-01T00:00:00Z"]
            )
    return path


def test_what_was_decided_is_certain_and_goes_on_with_the_new_report(colour_folder: Path):
    given = given_labels(colour_folder)
    images = sorted(given)
    kept, excluded, other, new = images[0], images[1], images[2], images[3]
    label = next(name for name in sorted(set(given.values())) if name != given[other])
    path = decided(colour_folder, {kept: given[kept], excluded: None, other: label, new: "zebra"})
    before = run(colour_folder, "first.csv").frame.set_index("image")
    report = run(colour_folder, "second.csv", decisions=path)
    rows = report.frame.set_index("image")
    assert list(rows.index) == list(before.index)
    assert (rows["given_label"] == before["given_label"]).all()
    assert rows.loc[kept, "issue_probability"] == 0 and not rows.loc[kept, "is_label_issue"]
    for image, name in ((other, label), (new, "zebra")):
        assert rows.loc[image, "issue_probability"] == 1 and rows.loc[image, "is_label_issue"]
        assert rows.loc[image, "suggested_label"] == name
    assert 0 < rows.loc[excluded, "issue_probability"] < 1
    assert set(rows.index[["decided" in x for x in rows["flags"]]]) == {kept, excluded, other, new}
    assert read_decisions(decisions_path(colour_folder / "second.csv")) == read_decisions(path)
    assert Report.read(colour_folder / "second.csv").frame.equals(report.frame)
    with pytest.raises(ReportError, match="there are decisions in .*second.decisions.sqlite"):
        filter_dataset(
            colour_folder / "images",
            colour_folder / "labels.csv",
            out=colour_folder / "second.csv",
            force=True,
            config=replace(CONFIG, decisions=path),
        )


def test_decisions_move_the_images_that_look_alike(colour_folder: Path):
    """All images of a class but two are decided to be of another: the two get doubtful."""
    given = given_labels(colour_folder)
    old, new = sorted(set(given.values()))[:2]
    images = [image for image in sorted(given) if given[image] == old]
    left, rest = images[:2], images[2:]
    path = decided(colour_folder, dict.fromkeys(rest, new))
    before = run(colour_folder, "first.csv").frame.set_index("image")
    after = run(colour_folder, "second.csv", decisions=path).frame.set_index("image")
    assert (after.loc[left, "issue_probability"] > before.loc[left, "issue_probability"]).all()


def test_no_decision_changes_nothing(colour_folder: Path):
    path = decided(colour_folder, {})
    first = run(colour_folder, "first.csv").frame
    assert run(colour_folder, "second.csv", decisions=path).frame.equals(first)


def test_the_self_test_flips_no_label_that_was_decided(colour_folder: Path):
    given = given_labels(colour_folder)
    path = decided(colour_folder, {image: given[image] for image in sorted(given)[5:]})
    report = run(colour_folder, "second.csv", decisions=path, self_test=0.2)
    assert report.meta.self_test is None or report.meta.self_test["planted"] <= 5
    assert np.isclose(report.meta.noise_rate, report.frame["issue_probability"].mean(), atol=1e-4)


def test_decisions_on_other_images_or_labels_are_refused(colour_folder: Path):
    image, label = next(iter(given_labels(colour_folder).items()))
    path = decided(colour_folder, {image: label})
    path.write_text(path.read_text().replace(image, "strange.png"))
    with pytest.raises(ReportError, match="1 of 1 images are not in the data, such as strange.png"):
        run(colour_folder, "second.csv", decisions=path)
    path.write_text(path.read_text().replace("strange.png", image).replace(label, "x"))
    with pytest.raises(ReportError, match=f"the label was 'x' then, now it is '{label}'"):
        run(colour_folder, "second.csv", decisions=path)
    assert not (colour_folder / "second.csv").exists()
    with pytest.raises(ConfigError, match="--decisions teach a training"):
        FilterConfig(decisions=path, from_model=Path("model"))


def test_the_command_takes_the_store_of_a_review(
    colour_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    from labelclean.workflows.decided import Decided

    given = given_labels(colour_folder)
    image = sorted(given)[0]
    report = run(colour_folder, "first.csv")
    decision = Decision(
        image=image, action="exclude", label=None, before=given[image], reviewer="", at="x"
    )
    none = np.empty(0, np.int64)
    Decided(rows=none, names=(), labels=none, decisions={image: decision}).store(
        report, colour_folder / "first.csv"
    )
    monkeypatch.chdir(colour_folder)
    words = ["filter", "images", "labels.csv", "--decisions", "first.decisions.sqlite"]
    done = CliRunner().invoke(app, [*words, "--views", "features", "--out", "second.csv"])
    assert done.exit_code == 0, done.output
    rows = Report.read(Path("second.csv")).frame.set_index("image")
    assert rows.loc[image, "flags"].split()[-1] == "decided"
