"""Every method from images to a report, and from a checkpoint to the same report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from labelclean import filter_dataset
from labelclean.config import FilterConfig, RuntimeConfig, TrainConfig, ViewConfig, names
from labelclean.errors import ConfigError
from labelclean.learning import trainer
from labelclean.learning.methods import METHODS
from labelclean.progress import Advance, Reporter
from labelclean.report.report import Report

WRONG = {"07.png", "20.png", "42.png"}
NEW = ("nlnl", "co-teaching", "jocor", "nfl-rce", "nce-rce", "forward", "gce", "elr")


def _config(folder: Path, method: str, **train: Any) -> FilterConfig:
    needed = {"noise_rate": 0.05} if METHODS[method].needs_noise_rate else {}
    options = {"epochs": 9, "batch_size": 16, "lr": 0.1, "method": method, **needed, **train}
    return FilterConfig(
        train=TrainConfig(**options),
        runtime=RuntimeConfig(device="cpu", precision="float32", cache_dir=folder / "cache"),
    )


def _filter(folder: Path, config: FilterConfig, **options: Any) -> Report:
    return filter_dataset(folder / "images", folder / "labels.csv", config=config, **options)


@pytest.mark.parametrize("method", NEW)
def test_every_method_ranks_the_wrong_labels_first(colour_folder: Path, method: str):
    frame = _filter(colour_folder, _config(colour_folder, method)).frame
    assert np.isfinite(frame[["label_score", "issue_probability", "margin"]]).all().all()
    assert set(frame.sort_values("label_score").head(3)["image"]) == WRONG


class _Killed(BaseException):
    pass


class _Dying(Reporter):
    """Ends a run after a share of its training."""

    @contextmanager
    def _shown(self, name: str) -> Iterator[Advance]:
        def advance(done: float, total: float, words: str) -> None:
            if name == "training" and done > 0.7:
                raise _Killed

        yield advance


@pytest.mark.parametrize("method", ["forward", "co-teaching"])
def test_a_killed_run_resumes_to_the_same_bytes(colour_folder: Path, monkeypatch, method: str):
    config = _config(colour_folder, method, epochs=5)
    _filter(colour_folder, config, out=colour_folder / "whole.csv")
    monkeypatch.setattr(trainer, "REPORT_EVERY", 0.0)
    monkeypatch.setattr(trainer, "SAVE_EVERY", 0.0)
    killed = colour_folder / "killed.csv"
    with pytest.raises(_Killed):
        _filter(colour_folder, config, out=killed, reporter=_Dying())
    saved = torch.load(colour_folder / "killed.run" / "checkpoint.pt", weights_only=True)
    assert set(saved["memory"]) == set(METHODS[method].memory(1, 1))
    resuming = replace(config, runtime=replace(config.runtime, resume=True))
    _filter(colour_folder, resuming, out=killed)
    assert killed.read_bytes() == (colour_folder / "whole.csv").read_bytes()


@pytest.mark.parametrize("method", ["nlnl", "co-teaching"])
def test_a_batch_in_pieces_trains_as_well(colour_folder: Path, monkeypatch, method: str):
    optimise, is_full = trainer._optimise, []

    def with_little_memory(run: Any, batch: Any) -> Any:
        if run.parts < 2:
            is_full.append(True)
            raise torch.OutOfMemoryError("as if")
        return optimise(run, batch)

    monkeypatch.setattr(trainer, "_optimise", with_little_memory)
    frame = _filter(colour_folder, _config(colour_folder, method)).frame
    assert is_full == [True]
    scores, is_wrong = frame["label_score"], frame["image"].isin(WRONG)
    assert np.isfinite(scores).all()
    assert scores[is_wrong].max() < scores[~is_wrong].median()


def test_a_method_that_needs_the_noise_rate_has_it_estimated(colour_folder: Path):
    config = _config(colour_folder, "co-teaching", noise_rate=None, epochs=6)
    report = _filter(colour_folder, config)
    assert 0 <= report.meta.config["train"]["noise_rate"] < 0.2
    assert report.meta.config["train"]["method"] == "co-teaching"


@pytest.mark.parametrize("method", ["jocor", "elr"])
def test_heads_on_features_refuse_methods_that_need_a_network_of_their_own(
    colour_folder: Path, method: str
):
    config = replace(_config(colour_folder, method), view=ViewConfig(views=("features",)))
    with pytest.raises(ConfigError, match=f"--method {method} needs a network of its own"):
        _filter(colour_folder, config)


def test_the_names_of_the_options_are_those_of_the_registry():
    assert list(METHODS) == list(names.METHODS)
