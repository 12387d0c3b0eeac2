"""Classes of one or two images, and one class among a thousand: nothing right is called wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from labelclean.config import FilterConfig, ViewConfig
from labelclean.report.report import Report
from labelclean.workflows.filtering import filter_dataset


def features_of(folder: Path, counts: list[int]) -> tuple[Path, Path]:
    """A table and the features of its rows: a cloud for each class, far from the others."""
    generator = np.random.default_rng(0)
    centres = 3 * generator.normal(0, 1, (len(counts), 64))
    rows = [(f"{k}_{j}.png", k) for k, count in enumerate(counts) for j in range(count)]
    noise = generator.normal(0, 1, (len(rows), 64))
    np.save(folder / "f.npy", (centres[[k for _, k in rows]] + noise).astype(np.float32))
    lines = "".join(f"{name},class {k}\n" for name, k in rows)
    (folder / "labels.csv").write_text("image,label\n" + lines)
    return folder / "labels.csv", folder / "f.npy"


def judged(counts: list[int], folder: Path) -> Report:
    labels, features = features_of(folder, counts)
    return filter_dataset(labels, config=FilterConfig(view=ViewConfig(features=features)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "counts",
    [[2] * 5, [1000, 20, 2]],
    ids=["two images a class", "one class of a thousand others"],
)
def test_right_labels_of_small_classes_stay(counts: list[int], tmp_path: Path) -> None:
    report = judged(counts, tmp_path)
    frame = report.to_frame()
    assert frame["is_label_issue"].mean() < 0.005  # of 1,021 it were 91 without a limit of weights
    assert frame["label_score"].notna().all()
    low, high = report.meta.noise_rate_interval
    assert low == 0 and high > 1 / len(frame)  # it does not claim to know


@pytest.mark.slow
def test_the_only_image_of_a_class_is_not_judged_and_says_why(tmp_path: Path) -> None:
    report = judged([30, 30, 30, 1], tmp_path)
    frame = report.to_frame()
    last = frame.iloc[-1]
    assert (last["given_label"], last["suggested_label"]) == ("class 3", "class 3")
    assert np.isnan(last["label_score"]) and not last["is_label_issue"]
    assert last["reason"] == "no other image of class 'class 3' to compare with"
    assert frame["label_score"][:-1].notna().all() and not frame["is_label_issue"].any()
    assert report.meta.class_names == ("class 0", "class 1", "class 2")


@pytest.mark.slow
def test_two_classes_of_one_image_each_are_judged_all_the_same(tmp_path: Path) -> None:
    assert judged([1, 1], tmp_path).to_frame()["label_score"].notna().all()
