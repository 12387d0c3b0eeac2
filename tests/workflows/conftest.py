"""Images and reports made by hand, for tests of what comes after filter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from report_data import meta_of

from labelclean.learning import embedding, models
from labelclean.learning.model_folder import ModelConfig, weights_bytes, write_folder
from labelclean.report.report import Report


@pytest.fixture
def enlarged_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fine-tuning on small images takes a quarter of its time, and is the same otherwise."""
    monkeypatch.setattr(embedding, "ENLARGED", 64)


NAMES = ("blue", "green", "red")
_CHANNEL = {"red": 0, "green": 1, "blue": 2}


class Handmade:
    """Writes small data sets of three colours."""

    NAMES = NAMES

    @staticmethod
    def images(folder: Path, count: int, seed: int = 0) -> list[str]:
        """Noisy squares of 16 px, and the colour of each, in the order of their names."""
        rng = np.random.default_rng(seed)
        folder.mkdir(parents=True)
        truth = [("red", "green", "blue")[k % 3] for k in range(count)]
        for k, name in enumerate(truth):
            pixels = rng.integers(0, 90, (16, 16, 3))
            pixels[:, :, _CHANNEL[name]] += 120
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{k:03d}.png")
        return truth

    @staticmethod
    def labels(path: Path, labels: list[str]) -> None:
        lines = [f"{k:03d}.png,{label}" for k, label in enumerate(labels)]
        path.write_text("\n".join(["image,label", *lines]) + "\n")

    @staticmethod
    def report(
        path: Path,
        images: Path,
        truth: list[str],
        wrong: Mapping[int, str],
        **changed: list[object],
    ) -> Report:
        """A report that finds every wrong label, {row: given label}, and suggests the true one."""
        rows = range(len(truth))
        given = [wrong.get(k, truth[k]) for k in rows]
        columns: dict[str, list[object]] = {
            "image": [f"{k:03d}.png" for k in rows],
            "given_label": list(given),
            "suggested_label": list(truth),
            "is_label_issue": [k in wrong for k in rows],
            "label_score": [0.1 if k in wrong else 0.9 for k in rows],
            "issue_probability": [0.9 if k in wrong else 0.05 for k in rows],
            "suggested_probability": [0.85 if k in wrong else 0.95 for k in rows],
            "second_label": [wrong.get(k, "red" if truth[k] != "red" else "blue") for k in rows],
            "margin": [0.0 for _ in rows],
            "status": ["ok" for _ in rows],
        }
        meta = meta_of(
            class_names=NAMES,
            image_root=str(images.absolute()),
            noise_rate=len(wrong) / len(truth),
            noise_rate_interval=(0.0, 1.0),
        )
        report = Report.from_columns(columns, meta)
        report.write(path, force=True)
        return report

    @staticmethod
    def model(folder: Path, class_names: tuple[str, ...] = NAMES) -> Path:
        """A model with drawn weights: what it says is arbitrary, but always the same."""
        torch.manual_seed(0)
        network = models.build("smallnet", len(class_names), 16).eval()
        config = ModelConfig(
            architecture="smallnet",
            class_names=class_names,
            image_size=16,
            resize=18,
            mean=(120.0, 120.0, 120.0),
            std=(60.0, 60.0, 60.0),
            temperature=0.5,
        )
        contents = {
            "model.safetensors": weights_bytes(network, config),
            "config.json": config.to_json(),
        }
        write_folder(folder, contents)
        return folder


@pytest.fixture(scope="session")
def handmade() -> type[Handmade]:
    return Handmade
