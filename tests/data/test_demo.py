"""The demo: packed images, realised noise, awkward files, and folders that stay untouched."""

from __future__ import annotations

import csv
import errno
import gzip
import hashlib
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelclean.data import demo
from labelclean.errors import OutputError

IDX = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "new" / "demo"
    return folder, demo.write_demo(folder)


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["image", "label"]
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def digest(folder):
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return whole.hexdigest()


def refused(folder, **options) -> str:
    with pytest.raises(OutputError) as caught:
        demo.write_demo(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_packed_images_are_few_bytes_with_their_licence():
    sizes = [path.stat().st_size for path in demo.SHEETS.iterdir()]
    assert len(sizes) == 11 and sum(sizes) <= 3_000_000
    assert "The MIT License" in (demo.SHEETS / demo.LICENCE).read_text(encoding="utf-8")


@pytest.mark.skipif(not IDX.is_dir(), reason="needs Debian's dataset-fashion-mnist")
def test_every_packed_image_is_one_of_the_data_set_with_the_same_label():
    raw = gzip.decompress((IDX / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((IDX / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    known = {(raw[k * 784 : (k + 1) * 784], label) for k, label in enumerate(labels)}
    images, truth = demo.demo_images()
    assert all((i.tobytes(), t) in known for i, t in zip(images, truth.tolist(), strict=True))
    assert len({image.tobytes() for image in images}) == 4000


def test_the_demo_has_4000_images_400_of_each_class(written):
    folder, summary = written
    truth = table(folder / "truth.csv")
    del truth[demo.TRUNCATED]
    assert Counter(truth.values()) == dict.fromkeys(demo.CLASSES, 400)
    assert sorted(os.listdir(folder)) == [demo.LICENCE, "images", "labels.csv", "truth.csv"]
    files = set(os.listdir(folder / "images"))
    assert files == {*truth, demo.TRUNCATED, demo.EMPTY}
    assert (summary.images, summary.wrong_labels, summary.folder) == (4000, 800, folder)


def test_the_written_pixels_are_the_packed_ones_under_their_true_label(written):
    folder, _ = written
    images, labels = demo.demo_images()
    packed = {i.tobytes(): demo.CLASSES[k] for i, k in zip(images, labels, strict=True)}
    truth = table(folder / "truth.csv")
    del truth[demo.TRUNCATED]
    for name, label in truth.items():
        with Image.open(folder / "images" / name) as image:
            assert packed.pop(np.asarray(image).tobytes()) == label
    assert not packed


def test_a_fifth_of_the_labels_is_wrong_half_of_them_between_classes_that_look_alike(written):
    folder, summary = written
    given, truth = table(folder / "labels.csv"), table(folder / "truth.csv")
    wrong = Counter((truth[k], given[k]) for k in truth if truth[k] != given[k])
    assert wrong.total() == summary.wrong_labels == 800
    alike = {(source, target) for source, target, _ in demo.CONFUSABLE}
    assert all(54 <= wrong[pair] <= 55 for pair in alike)  # 50 confused, 40 / 9 uniformly wrong
    rest = [
        wrong[t, g] for t in demo.CLASSES for g in demo.CLASSES if t != g and (t, g) not in alike
    ]
    assert set(rest) == {4, 5}


def test_three_rows_have_an_image_that_is_torn_empty_or_missing(written):
    folder, summary = written
    given = table(folder / "labels.csv")
    assert [*given][4000:] == [*summary.awkward] == ["truncated.jpg", "empty.png", "missing.png"]
    assert (folder / "images" / demo.EMPTY).stat().st_size == 0
    assert not (folder / "images" / demo.MISSING).exists()
    with Image.open(folder / "images" / demo.TRUNCATED) as image:
        assert image.size == (28, 28)
        with pytest.raises(OSError, match="truncated"):
            image.load()


def test_the_same_seed_writes_the_same_bytes_and_another_seed_other_labels(written, tmp_path):
    folder, _ = written
    demo.write_demo(tmp_path / "again")
    assert digest(tmp_path / "again") == digest(folder)
    demo.write_demo(tmp_path / "other", seed=1)
    assert table(tmp_path / "other" / "truth.csv") != table(folder / "truth.csv")


def test_the_labels_of_seed_0_never_change(written):
    folder, _ = written
    labels = hashlib.sha256((folder / "labels.csv").read_bytes()).hexdigest()
    assert labels == "5e00d3a9dd5a9598497dd915126bb83ec80f320d46c71ada3f15e36f741f5132"


def test_an_empty_folder_is_filled_also_the_one_we_are_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    demo.write_demo(".")
    assert sorted(os.listdir()) == [demo.LICENCE, "images", "labels.csv", "truth.csv"]


def test_a_folder_that_is_not_empty_stays(tmp_path):
    (tmp_path / "labels.csv").write_text("mine")
    assert refused(tmp_path) == (
        f"'{tmp_path}': is not empty; choose another folder, or --force replaces an earlier demo "
        "in it"
    )
    assert refused(tmp_path, force=True) == (
        f"'{tmp_path}': is no demo's, --force does not replace it; choose another folder"
    )
    assert os.listdir(tmp_path) == ["labels.csv"]
    assert (tmp_path / "labels.csv").read_text() == "mine"


def test_force_replaces_an_earlier_demo_and_keeps_other_files(tmp_path):
    folder = tmp_path / "demo"
    demo.write_demo(folder, seed=1)
    (folder / "report.csv").write_text("mine")
    (folder / "images" / "00000.png").write_bytes(b"changed")
    demo.write_demo(folder, force=True)
    (folder / "report.csv").unlink()
    demo.write_demo(tmp_path / "fresh")
    assert digest(folder) == digest(tmp_path / "fresh")
    assert sorted(os.listdir(tmp_path)) == ["demo", "fresh"]


def test_force_never_deletes_pictures_that_are_not_the_demos(tmp_path):
    folder = tmp_path / "demo"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "holiday.jpg").touch()
    (folder / demo.LICENCE).touch()
    assert "holiday.jpg': is no demo's, --force does not replace it" in refused(folder, force=True)
    (folder / "images" / "holiday.jpg").unlink()
    (folder / "labels.csv").mkdir()
    assert "labels.csv': is no demo's" in refused(folder, force=True)


@pytest.mark.parametrize("exists", [True, False])
def test_a_disk_that_fills_leaves_the_folder_as_it_was(exists, tmp_path, monkeypatch):
    folder = tmp_path / "demo"
    if exists:
        folder.mkdir()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert refused(folder) == (
        f"{folder}: cannot be written: No space left on device; free some space, or choose "
        "another place"
    )
    assert [*tmp_path.rglob("*")] == ([folder] if exists else [])


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "demo").touch()
    assert refused(tmp_path / "demo").endswith("demo: is no folder; choose another name")
    assert "cannot be written: Not a directory" in refused(tmp_path / "demo" / "below")
