"""inspect: what a data set was taken for, what is odd in it, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from source_data import labels_file
from typer.testing import CliRunner

from labelclean.cli import app
from labelclean.sources import SourceOptions, inspection, read
from labelclean.sources.inspection import inspect_table, understood

PER_CLASS = 6


def write(path: Path, seed: int, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def folder(root: Path, splits: tuple[str, ...] = ("train", "test")) -> Path:
    seed = 0
    for split in splits:
        for label in ("cat", "dog"):
            for k in range(PER_CLASS):
                write(root / split / label / f"{k}.png", seed := seed + 1)
    return root


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["inspect", *map(str, words)])
    return done.exit_code, done.stdout if done.exit_code < 2 else done.stderr


def test_a_plain_data_set_is_described_and_exits_with_0(tmp_path):
    code, text = run(folder(tmp_path))
    assert code == 0
    assert f"{tmp_path}: class folders (test and train hold the classes)" in text
    assert "rows:      24 (24 ok)" in text
    assert "classes:   2: cat 12, dog 12" in text
    assert "split:     test: 12 rows, held out" in text
    assert "split:     train: 12 rows, trained on" in text
    assert "example:   test/cat/0.png: cat, test" in text
    assert "sizes:     8 x 8 to 8 x 8 px, in the middle 8 x 8" in text
    assert "looked at: all images were decoded" in text
    assert "odd:" not in text


def test_of_a_table_the_columns_that_are_taken_and_those_left_are_named(tmp_path):
    for k in range(12):
        write(tmp_path / f"i/{k}.png", k)
    lines = [f"{k},{k}.png,{'ab'[k % 2]},{'train' if k < 9 else 'val'},9" for k in range(12)]
    csv = labels_file(tmp_path / "l.csv", *lines, header="id,file,label,set,width")
    code, text = run(tmp_path / "i", csv)
    assert code == 0
    assert (
        "columns:   images from 'file', labels from 'label', split from 'set'; "
        "not used: id and width" in text
    )
    assert "table beside images (images with the table l.csv)" in text


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda root: write(root / "train/Cat/x.png", 99), "class names that look alike: 'cat' ="),
        (lambda root: write(root / "train/fox/x.png", 99), "1 class of fewer than 5 images: fox 1"),
        (lambda root: write(root / "train/cat/x.png", 99, (400, 400)), "very different sizes"),
        (lambda root: (root / "train/cat/x.png").write_bytes(b"<html>"), "1 image cannot be read"),
        (lambda root: (root / "train/cat/x.png").write_bytes(b""), "the file is empty (1)"),
        (lambda root: folder(root, ("extra",)), "no known words for splits: extra"),
        (lambda root: write(root / "test/free.png", 99), "1 images without a label: test/free"),
        (lambda root: write(root / "train/cat/x.png", 12), "1 image there more than once with dif"),
    ],
)  # fmt: skip
def test_what_is_odd_is_named_and_exits_with_1(tmp_path, spoil, expected):
    spoil(folder(tmp_path))
    code, text = run(tmp_path)
    assert code == 1, text
    assert expected in "\n".join(line for line in text.splitlines() if line.startswith("odd:"))


def test_what_cannot_be_read_is_one_line_and_exits_with_2(tmp_path):
    code, text = run(tmp_path / "nowhere")
    assert code == 2 and text.startswith("labelclean: ") and text.count("\n") == 1


def test_rows_without_an_image_are_counted_and_named(tmp_path):
    for k in range(12):
        write(tmp_path / f"{k}.png", k)
    lines = [f"{k}.png,{'ab'[k % 2]}" for k in range(12)] + ["gone.png,a", "0.png,a"]
    code, text = run(labels_file(tmp_path / "l.csv", *lines))
    assert code == 1
    assert "odd:       1 rows without an image: gone.png" in text
    assert "rows:      14 (12 ok, 1 missing, 1 repeated)" in text


def test_json_has_the_same_figures(tmp_path):
    code, text = run(folder(tmp_path), "--json")
    found = json.loads(text)
    assert code == 0
    assert found["classes"] == {"cat": 12, "dog": 12} and found["rows"] == 24
    assert found["splits"] == {"test": [12, "held out"], "train": [12, "trained on"]}
    assert found["copies"] == [0, 0, 0] and found["odd"] == []


def test_of_many_images_only_headers_are_read_and_that_is_said(tmp_path, monkeypatch):
    folder(tmp_path)
    (tmp_path / "train/cat/0.png").write_bytes((tmp_path / "train/cat/0.png").read_bytes()[:60])
    table = read(tmp_path, SourceOptions())
    assert inspect_table("x", table).unreadable
    monkeypatch.setattr(inspection, "WHOLE", 10)
    found = inspect_table("x", table)
    assert found.read == "the headers of all images were read, not their pixels"
    assert not found.unreadable
    monkeypatch.setattr(inspection, "HEADERS", 5)
    monkeypatch.setattr(inspection, "COPIES", 5)
    found = inspect_table("x", table)
    assert found.read == "the headers of 5 images were read, evenly spaced, not their pixels"
    assert found.copies is None


def test_of_many_classes_the_largest_and_smallest_are_named(tmp_path):
    for k in range(30):
        for n in range(5 + k % 3):
            write(tmp_path / f"class{k:02d}/{n}.png", 100 * k + n)
    _, text = run(tmp_path)
    (line,) = [line for line in text.splitlines() if line.startswith("classes:")]
    assert line.startswith("classes:   30: class02 7") and ", ..., " in line
    assert line.count("class") == 1 + 10


def test_the_first_lines_say_what_was_understood(tmp_path):
    table = read(folder(tmp_path), SourceOptions())
    assert understood(table) == [
        "class folders (test and train hold the classes): 24 rows, 2 classes: cat 12, dog 12",
        "splits: test (12) held out; train (12) trained on",
    ]
