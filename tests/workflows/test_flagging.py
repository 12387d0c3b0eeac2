"""Near copies are found in cached images, in streams, and from files of features alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelclean import filter_dataset
from labelclean.config import FilterConfig, RuntimeConfig, ViewConfig
from labelclean.report.report import Report
from labelclean.workflows.featurising import write_source_features


def _scene(seed: int) -> Image.Image:
    """A picture of 240 x 180 px with coloured blobs of all sizes."""
    generator = np.random.default_rng(seed)
    pixels = np.zeros((180, 240, 3))
    for side in (3, 6, 12, 24, 48):
        small = generator.normal(0, 25, (side, side, 3)).clip(-100, 100) + 100
        large = Image.fromarray(small.astype(np.uint8)).resize((240, 180), Image.Resampling.BICUBIC)
        pixels += np.asarray(large, np.float64) - 100
    pixels += generator.integers(60, 200, 3)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twenty photos of two classes, and in b a part of one of a."""
    for k in range(20):
        place = tmp_path / "images" / ("a", "b")[k % 2] / f"{k:02d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        _scene(k).save(place)
    copy = Image.open(tmp_path / "images" / "a" / "04.jpg").crop((20, 10, 220, 160))
    copy.save(tmp_path / "images" / "b" / "copy.jpg", quality=50)
    return tmp_path / "images"


def _assert_found(report: Report) -> None:
    near = report.frame.set_index("image")["near_duplicate_of"]
    assert near["b/copy.jpg"] == "a/04.jpg"
    assert (near != "").sum() == 1


@pytest.mark.parametrize("limit", [50.0, 0.0], ids=["cached", "decoded anew"])
def test_a_copy_under_another_label_is_found(photos: Path, tmp_path: Path, limit: float):
    runtime = RuntimeConfig(device="cpu", cache_dir=tmp_path / "cache", cache_limit=limit)
    config = FilterConfig(runtime=runtime, view=ViewConfig(views=("features",)))
    _assert_found(filter_dataset(photos, config=config))


def test_a_copy_is_found_by_files_of_features_alone(photos: Path, tmp_path: Path):
    runtime = RuntimeConfig(device="cpu", cache_dir=tmp_path / "cache")
    out = tmp_path / "features"
    for part in ("1/2", "2/2"):
        write_source_features(photos, out=out, shard=part, where=runtime)
    shutil.rmtree(photos)
    config = FilterConfig(runtime=runtime)
    _assert_found(filter_dataset(out, config=config))
