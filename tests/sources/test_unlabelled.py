"""Images without labels: from folders, tables, Parquet files and CIFAR."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from labelclean.config.source_options import SourceOptions
from labelclean.data.images import ImageSpec, decode
from labelclean.data.samples import MISSING, NO_LABEL, OK, UNREADABLE
from labelclean.data.streaming import decoded
from labelclean.errors import SourceError
from labelclean.sources.read_source import read_images


def _png(path: Path, grey: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (grey, grey, grey)).save(path)


def test_a_folder_without_labels_gives_every_image_in_it_and_below(tmp_path: Path):
    for name in ("b.png", "a.png", "sub/c.png", "sub/.hidden.png"):
        _png(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    table = read_images(tmp_path, SourceOptions())
    assert table.paths == ("a.png", "b.png", "sub/c.png")
    assert (table.labels == NO_LABEL).all() and table.class_names == ()
    assert table.images.read(2) == (tmp_path / "sub" / "c.png").read_bytes()


def test_one_class_and_one_image_are_no_mistakes_here(tmp_path: Path):
    _png(tmp_path / "cat" / "a.png")
    assert read_images(tmp_path, SourceOptions()).paths == ("cat/a.png",)
    assert read_images(tmp_path / "cat" / "a.png", SourceOptions()).paths == ("a.png",)


def test_a_table_needs_no_label_column_and_keeps_its_order(tmp_path: Path):
    for name in ("a.png", "b.png"):
        _png(tmp_path / "images" / name)
    (tmp_path / "list.csv").write_text("image,note\nb.png,x\na.png,y\nb.png,again\ngone.png,z\n")
    options = SourceOptions(labels=tmp_path / "list.csv")
    table = read_images(tmp_path / "images", options)
    assert table.paths == ("b.png", "a.png", "gone.png")
    assert table.status.tolist() == [OK, OK, MISSING]
    assert any("1 repeated row left out" in note for note in table.notes)


def test_a_split_is_chosen_by_its_name(tmp_path: Path):
    for name in ("a.png", "b.png", "c.png"):
        _png(tmp_path / name)
    (tmp_path / "list.csv").write_text("image,split\na.png,train\nb.png,test\nc.png,test\n")
    table = read_images(tmp_path / "list.csv", SourceOptions(split="test"))
    assert table.paths == ("b.png", "c.png")
    assert table.images.read(1) == (tmp_path / "c.png").read_bytes()


def test_images_in_a_parquet_file_need_no_labels(tmp_path: Path):
    cells = []
    for grey in (0, 90):
        out = io.BytesIO()
        Image.new("L", (8, 8), grey).save(out, "PNG")
        cells.append(out.getvalue())
    pd.DataFrame({"image": cells}).to_parquet(tmp_path / "images.parquet")
    table = read_images(tmp_path / "images.parquet", SourceOptions())
    assert [table.images.read(k) for k in range(2)] == cells


def test_of_cifar_the_test_split_is_read(cifar10_root: Path):
    table = read_images("cifar10", SourceOptions(root=cifar10_root))
    assert len(table) == 40 and table.paths[0].startswith("test/")
    assert (table.labels == NO_LABEL).all()


@pytest.mark.parametrize(
    ("make", "source", "words"),
    [
        (lambda root: None, "", "is empty: give the folder that holds the images"),
        (lambda root: (root / "x.txt").write_text(""), "", "none of its 1 files is an image"),
        (lambda root: None, "nowhere", "no such file or folder"),
        (
            lambda root: (root / "t.csv").write_text("image\na.png\n"),
            "t.csv",
            "none of the 1 image it names is in",
        ),
        (
            lambda root: (root / "t.csv").write_text("image,x\n,1\n"),
            "t.csv",
            "t.csv:2: 'image' is empty",
        ),
        (
            lambda root: (root / "t.csv").write_text("image\n../../etc/passwd\n"),
            "t.csv",
            "is not in",
        ),
    ],
)
def test_what_holds_no_images_is_named_in_one_line(tmp_path: Path, make, source, words):
    make(tmp_path)
    with pytest.raises(SourceError) as caught:
        read_images(tmp_path / source, SourceOptions())
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_the_stream_decodes_as_decode_does_and_says_what_is_broken(tmp_path: Path, at_once: int):
    for k in range(5):
        _png(tmp_path / f"{k}.png", 40 * k)
    (tmp_path / "2.png").write_bytes(b"no image")
    table = read_images(tmp_path, SourceOptions())
    (tmp_path / "3.png").unlink()
    spec = ImageSpec(size=4, resize=5)
    chunks = list(decoded(table, spec, at_once=at_once, workers=2))
    assert [chunk.start for chunk in chunks] == list(range(0, 5, at_once))
    assert sum((chunk.status for chunk in chunks), []) == [OK, OK, UNREADABLE, MISSING, OK]
    pixels = np.concatenate([chunk.pixels for chunk in chunks])
    for k in (0, 1, 4):
        assert (pixels[k] == decode((tmp_path / f"{k}.png").read_bytes(), spec)).all()
    assert not pixels[2:4].any()
