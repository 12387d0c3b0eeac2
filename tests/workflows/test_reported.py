"""The images of a report, found again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from labelclean.config import FilterConfig, RuntimeConfig, TrainConfig
from labelclean.config.source_options import SourceOptions
from labelclean.errors import SourceError
from labelclean.progress import Reporter
from labelclean.report.report import Report
from labelclean.workflows.filtering import filter_dataset
from labelclean.workflows.preparing import prepare
from labelclean.workflows.reported import read_source


def _config(cache: Path, epochs: int = 1) -> FilterConfig:
    return FilterConfig(
        train=TrainConfig(epochs=epochs, batch_size=16, flip=False),
        runtime=RuntimeConfig(cache_dir=cache, workers=1),
    )


def _filtered(folder: Path, labels: str | None = "labels.csv", source: str = "images", **options):
    return filter_dataset(
        folder / source,
        None if labels is None else folder / labels,
        out=folder / "report.csv",
        config=_config(folder / "cache"),
        options=SourceOptions(**options),
    )


def test_the_rows_are_those_of_the_report_without_the_table_of_labels(colour_folder: Path):
    report = _filtered(colour_folder)
    (colour_folder / "labels.csv").unlink()
    table = read_source(Report.read(colour_folder / "report.csv"))
    assert table.paths == tuple(report.frame["image"])
    assert [table.class_names[k] for k in table.labels] == report.frame["given_label"].tolist()
    first = (colour_folder / "images" / table.paths[0]).read_bytes()
    assert table.images.read(0) == first


def test_a_moved_folder_is_found_by_images_and_named_without(colour_folder: Path):
    report = _filtered(colour_folder)
    shutil.move(colour_folder / "images", colour_folder / "elsewhere")
    with pytest.raises(SourceError, match="images: the folder of the report's images is not there"):
        read_source(report)
    table = read_source(report, colour_folder / "elsewhere")
    assert (table.status == "ok").all()


def test_another_folder_is_refused(colour_folder: Path, tmp_path: Path):
    report = _filtered(colour_folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.png").write_bytes(b"")
    with pytest.raises(SourceError, match="none of the report's 60 images is there"):
        read_source(report, other)


def test_a_row_that_leads_out_of_the_folder_is_refused(colour_folder: Path):
    report = _filtered(colour_folder)
    frame = report.to_frame()
    frame.loc[3, "image"] = "../labels.csv"
    with pytest.raises(SourceError, match="row 4 of the report"):
        read_source(Report(frame=frame, meta=report.meta))


def test_images_inside_a_parquet_file_are_read_again_from_it(colour_folder: Path):
    names = sorted(path.name for path in (colour_folder / "images").iterdir())
    cells = [
        {"path": name, "bytes": (colour_folder / "images" / name).read_bytes()} for name in names
    ]
    labels = [f"class {k % 3}" for k in range(len(names))]
    pd.DataFrame({"image": cells, "label": labels}).to_parquet(colour_folder / "all.parquet")
    report = _filtered(colour_folder, labels=None, source="all.parquet")
    moved = shutil.move(colour_folder / "all.parquet", colour_folder / "moved.parquet")
    table = read_source(report, moved)
    assert table.images.read(5) == cells[5]["bytes"]
    assert (table.labels == np.arange(len(names)) % 3).all()


def test_held_out_rows_stay_held_out(colour_folder: Path):
    lines = (colour_folder / "labels.csv").read_text().splitlines()
    split = [f"{line},{'test' if k % 5 == 0 else 'train'}" for k, line in enumerate(lines[1:])]
    (colour_folder / "labels.csv").write_text("\n".join([lines[0] + ",split", *split]) + "\n")
    report = _filtered(colour_folder)
    assert (report.frame["flags"] == "held_out").sum() == 12
    assert np.flatnonzero(read_source(report).held_out).tolist() == list(range(0, 60, 5))


def test_parquet_images_need_no_table_of_labels(colour_folder: Path):
    names = sorted(path.name for path in (colour_folder / "images").iterdir())
    cells = [
        {"path": name, "bytes": (colour_folder / "images" / name).read_bytes()} for name in names
    ]
    pd.DataFrame({"image": cells}).to_parquet(colour_folder / "all.parquet")
    report = _filtered(colour_folder, source="all.parquet")
    (colour_folder / "labels.csv").unlink()
    table = read_source(report)
    assert table.paths == tuple(report.frame["image"])
    assert table.images.read(5) == cells[5]["bytes"]


def test_an_unreadable_image_is_tried_again_and_the_others_are_not(colour_folder: Path):
    broken = colour_folder / "images" / "05.png"
    whole = broken.read_bytes()
    broken.write_bytes(b"no image")
    report = _filtered(colour_folder)
    assert report.frame["status"][5] == "unreadable"
    where = _config(colour_folder / "cache").runtime
    stored = {path: path.stat().st_mtime_ns for path in (colour_folder / "cache").rglob("*.pixels")}
    samples = prepare(read_source(report), where, device_is_cpu=True, reporter=Reporter())
    assert 5 not in samples.rows and len(samples.rows) == 59
    again = {path: path.stat().st_mtime_ns for path in (colour_folder / "cache").rglob("*.pixels")}
    assert stored == again and len(stored) == 1
    broken.write_bytes(whole)
    samples = prepare(read_source(report), where, device_is_cpu=True, reporter=Reporter())
    assert len(samples.rows) == 60
