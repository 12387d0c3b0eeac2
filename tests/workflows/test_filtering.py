"""filter from end to end on tiny real files: what is in the report, and when it is the same."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from labelclean import filter_dataset
from labelclean.config import FilterConfig, RuntimeConfig, TrainConfig, VerdictConfig, ViewConfig
from labelclean.config.source_options import SourceOptions
from labelclean.data.images import ImageSpec
from labelclean.data.transform import Transform
from labelclean.learning import models, trainer
from labelclean.progress import Reporter
from labelclean.report.report import Report

WRONG = {"07.png", "20.png", "42.png"}


def _config(folder: Path, **train: Any) -> FilterConfig:
    return FilterConfig(
        train=TrainConfig(**{"epochs": 12, "batch_size": 16, "lr": 0.1, **train}),
        runtime=RuntimeConfig(device="cpu", precision="float32", cache_dir=folder / "cache"),
        view=ViewConfig(views=("scratch",)),
    )


def _filter(folder: Path, config: FilterConfig | None = None, **options: Any) -> Report:
    return filter_dataset(
        folder / "images", folder / "labels.csv", config=config or _config(folder), **options
    )


@pytest.mark.parametrize("method", ["jnpl", "nl", "ce"])
def test_the_wrong_labels_of_three_colours_are_found_with_their_colour(colour_folder, method):
    report = _filter(colour_folder, _config(colour_folder, method=method))
    frame = report.to_frame()
    suspicious = frame.sort_values("label_score").head(3)
    assert set(suspicious["image"]) == WRONG
    found = frame[frame["is_label_issue"]]
    right = {"07.png": "green", "20.png": "blue", "42.png": "red"}
    assert set(found["image"]) <= WRONG  # sixty images are ranked, but few are sure to be wrong
    assert all(right[row.image] == row.suggested_label for row in found.itertuples())
    low, high = report.meta.noise_rate_interval
    assert low <= 3 / 60 <= high
    if method != "nl":  # NL alone is slow
        assert report.meta.noise_rate == pytest.approx(3 / 60, abs=0.05)


def test_the_report_is_the_same_for_the_same_seed_and_another_for_another(colour_folder):
    first, second = (_filter(colour_folder).to_frame() for _ in range(2))
    other = _filter(colour_folder, _config(colour_folder, seed=1)).to_frame()
    assert first.equals(second)
    assert not first["margin"].equals(other["margin"])


class _Killed(BaseException):
    pass


def test_a_killed_run_resumes_to_the_same_bytes(colour_folder: Path, monkeypatch):
    config = _config(colour_folder)
    _filter(colour_folder, config, out=colour_folder / "whole.csv")
    monkeypatch.setattr(trainer, "REPORT_EVERY", 0.0)
    monkeypatch.setattr(trainer, "SAVE_EVERY", 0.0)

    class Dying(Reporter):
        def _shown(self, name):  # type: ignore[no-untyped-def]
            from contextlib import contextmanager

            @contextmanager
            def shown():  # type: ignore[no-untyped-def]
                def advance(done: float, total: float, words: str) -> None:
                    if name == "training" and done > 0.6:
                        raise _Killed

                yield advance

            return shown()

    with pytest.raises(_Killed):
        _filter(colour_folder, config, out=colour_folder / "killed.csv", reporter=Dying())
    assert not (colour_folder / "killed.csv").exists()
    assert (colour_folder / "killed.run" / "checkpoint.pt").exists()
    resuming = replace(config, runtime=replace(config.runtime, resume=True))
    _filter(colour_folder, resuming, out=colour_folder / "killed.csv")
    assert (colour_folder / "killed.csv").read_bytes() == (colour_folder / "whole.csv").read_bytes()
    assert not (colour_folder / "killed.run" / "checkpoint.pt").exists()
    histories = [Report.read(colour_folder / f"{x}.csv").meta.training for x in ("whole", "killed")]
    assert histories[0] == histories[1]
    assert [epoch["epoch"] for epoch in histories[0]] == list(range(1, len(histories[0]) + 1))
    paths = (colour_folder / f"{x}.run" / "embeddings.npy" for x in ("whole", "killed"))
    one, other = map(np.load, paths)
    np.testing.assert_array_equal(one, other)


def test_unreadable_missing_and_unlabelled_rows_are_there_with_their_status(colour_folder: Path):
    images = colour_folder / "images"
    (images / "05.png").write_bytes((images / "05.png").read_bytes()[:40])
    (images / "06.png").write_bytes(b"")
    (images / "08.png").unlink()
    shutil.copy(images / "10.png", images / "extra.png")
    report = _filter(colour_folder)
    status = dict(zip(report.frame["image"], report.frame["status"], strict=True))
    assert (status["05.png"], status["06.png"], status["08.png"]) == (
        "unreadable",
        "unreadable",
        "missing",
    )
    assert status["extra.png"] == "unlabelled"
    assert len(report) == 61
    extra = report.frame.set_index("image").loc["extra.png"]
    assert extra["given_label"] == "" and extra["suggested_label"] == "green"
    assert report.frame.set_index("image").loc["05.png", "suggested_label"] == "blue"  # as given
    assert np.isnan(report.frame.set_index("image").loc["05.png", "label_score"])
    assert any("missing" in note or "no image" in note for note in report.meta.notes)


def test_identical_images_with_different_labels_come_out_as_such(colour_folder: Path):
    images = colour_folder / "images"
    shutil.copy(images / "00.png", images / "60.png")  # red, said to be blue
    shutil.copy(images / "01.png", images / "61.png")  # green, said to be green
    with open(colour_folder / "labels.csv", "a") as file:
        file.write("60.png,blue\n61.png,green\n")
    report = _filter(colour_folder)
    rows = report.frame.set_index("image")
    assert rows.loc["60.png", "status"] == "duplicate_of:00.png"
    assert rows.loc["61.png", "status"] == "duplicate_of:01.png"
    assert rows.loc["60.png", "is_label_issue"] and not rows.loc["00.png", "is_label_issue"]
    assert rows.loc["60.png", "suggested_label"] == "red"
    assert not rows.loc["61.png", "is_label_issue"]
    assert report.meta.notes[-1] == (
        "1 image is there more than once with different labels: 00.png (red) = 60.png (blue)"
    )


def test_rows_of_a_test_split_are_judged_but_not_trained_on(colour_folder: Path):
    lines = (colour_folder / "labels.csv").read_text().splitlines()
    split = ["image,label,split"]
    split += [f"{line},{'test' if k % 5 == 0 else 'train'}" for k, line in enumerate(lines[1:])]
    (colour_folder / "labels.csv").write_text("\n".join(split) + "\n")
    report = _filter(colour_folder)
    assert report.frame["label_score"].notna().all()
    suspicious = report.frame.sort_values("label_score").head(3)
    assert set(suspicious["image"]) == WRONG  # 20.png is in the test split
    one = filter_dataset(
        colour_folder / "images",
        colour_folder / "labels.csv",
        config=_config(colour_folder),
        options=SourceOptions(split="train"),
    )
    assert len(one) == 48


def test_the_self_test_measures_planted_flips_and_leaves_their_rows_honest(colour_folder: Path):
    config = replace(_config(colour_folder), self_test=0.1)
    report = _filter(colour_folder, config)
    figures = report.meta.self_test
    assert figures is not None and figures["planted"] == 6
    assert figures["recall"] >= figures["suggestion_accuracy"] > 0
    given = dict(line.split(",") for line in (colour_folder / "labels.csv").read_text().split())
    assert dict(zip(report.frame["image"], report.frame["given_label"], strict=True)) == {
        k: v for k, v in given.items() if k != "image"
    }
    ranked = report.frame.sort_values("label_score")["image"].tolist()
    assert WRONG <= set(ranked[:6])  # the planted rows are not among the most suspicious


@pytest.mark.parametrize(
    ("verdict", "count"),
    [
        (VerdictConfig(budget=7), 7),
        (VerdictConfig(budget=0), 0),
        (VerdictConfig(threshold=0.0), 60),
        (VerdictConfig(gamma=0.0), 0),
        (VerdictConfig(target_precision=0.0), 60),
    ],
)
def test_the_verdict_follows_the_rule_that_is_asked_for(colour_folder, verdict, count):
    config = replace(_config(colour_folder, epochs=4), verdict=verdict)
    assert int(_filter(colour_folder, config).frame["is_label_issue"].sum()) == count


def test_the_meta_file_says_how_the_report_was_made(colour_folder: Path):
    _filter(colour_folder, out=colour_folder / "report.csv")
    meta = json.loads((colour_folder / "report.meta.json").read_text())
    assert meta["class_names"] == ["blue", "green", "red"]
    assert meta["image_root"] == str(colour_folder / "images")
    assert meta["config"]["train"]["epochs"] == 12
    assert set(meta["seconds"]) == {
        *("reading", "decoding", "training", "predicting", "judging", "near duplicates"),
        "near duplicates at other sizes",
    }
    assert np.array(meta["transition_matrix"]).sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-4)
    assert Path(meta["checkpoint"]).suffix == ".safetensors" and Path(meta["checkpoint"]).exists()
    with safe_open(meta["checkpoint"], framework="pt") as weights:
        described = weights.metadata()
    assert json.loads(described["class_names"]) == ["blue", "green", "red"]
    assert (described["arch"], described["image_size"]) == ("smallnet", "16")
    assert all(60 < level < 130 for level in json.loads(described["mean"]))
    low, high = meta["noise_rate_interval"]
    assert low <= meta["noise_rate"] <= high


@pytest.mark.parametrize("averaging", [0.15, 0.0])
def test_the_saved_model_says_of_each_image_what_the_report_does(
    colour_folder: Path, averaging: float
):
    config = _config(colour_folder, epochs=3, averaging=averaging)
    report = _filter(colour_folder, config, out=colour_folder / "report.csv")
    assert report.meta.checkpoint is not None
    with safe_open(report.meta.checkpoint, framework="pt") as weights:
        mean, std = (json.loads(weights.metadata()[name]) for name in ("mean", "std"))
    model = models.build("smallnet", 3, 16, report.meta.checkpoint).eval()
    prepared = Transform(spec=ImageSpec(size=16, resize=16), mean=tuple(mean), std=tuple(std))
    margins = []
    for name, given in report.frame[["image", "given_label"]].itertuples(index=False):
        image = prepared(Image.open(colour_folder / "images" / name))[None]
        with torch.no_grad():
            logits = ((model(image) + model(image.flip(3))) / 2)[0].tolist()
        own = logits.pop(report.meta.class_names.index(given))
        margins.append(own - max(logits))
    np.testing.assert_allclose(margins, report.frame["margin"], rtol=1e-3, atol=1e-3)


def test_a_streamed_run_gives_the_same_report_as_a_cached_one(colour_folder: Path):
    cached = _config(colour_folder, epochs=3)
    streamed = replace(cached, runtime=replace(cached.runtime, cache_limit=0.0))
    assert _filter(colour_folder, cached).frame.equals(_filter(colour_folder, streamed).frame)


def test_grey_palette_and_large_images_mix_with_others(tmp_path: Path):
    rng = np.random.default_rng(0)
    for k in range(24):
        name = ("dark", "light")[k % 2]
        (tmp_path / "images" / name).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 60, (90 + k, 120)) + 150 * (k % 2)
        image = Image.fromarray(pixels.astype(np.uint8))
        mode = ("L", "P", "RGBA", "CMYK", "1", "I;16")[k // 4]
        path = tmp_path / "images" / name / f"{k}.{'tif' if mode in ('CMYK', 'I;16') else 'png'}"
        if mode == "I;16":
            image = Image.fromarray((pixels * 257).astype(np.uint16))
        elif mode != "L":
            image = image.convert(mode)
        image.save(path)
    report = filter_dataset(tmp_path / "images", config=_config(tmp_path, epochs=3))
    assert (report.frame["status"] == "ok").all()
    assert report.frame["label_score"].notna().all()
