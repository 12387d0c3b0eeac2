"""Columns: which names the files is decided by the files, not by its own name alone."""

from __future__ import annotations

import pytest
from source_data import given, labels_file, put, refusal

from labelclean.sources import SourceOptions, read

COUNT = 12


def files(tmp_path, *names: str):
    put(tmp_path / "i", *(names or [f"{k}.png" for k in range(COUNT)]))
    return tmp_path / "i"


@pytest.mark.parametrize(
    "other", ["image_name", "filename", "filenames", "img_name", "image_file", "Image Index",
              "images", "img", "pic"],
)  # fmt: skip
@pytest.mark.parametrize("number", ["id", "image_id", "ImageID"])
def test_a_row_number_does_not_win_over_the_names_of_files(tmp_path, number, other):
    root = files(tmp_path)
    lines = [f"{k},{(k * 5 + 3) % COUNT}.png,{'ab'[k % 2]}" for k in range(COUNT)]
    csv = labels_file(tmp_path / "l.csv", *lines, header=f"{number},{other},label")
    expected = {f"{(k * 5 + 3) % COUNT}.png": "ab"[k % 2] for k in range(COUNT)}
    assert given(read(root, SourceOptions(labels=csv))) == expected
    alone = labels_file(root / "l.csv", *lines, header=f"{number},{other},label")
    assert given(read(alone, SourceOptions())) == expected


def test_a_column_that_is_not_called_so_is_taken_when_its_cells_are_files_and_reported(tmp_path):
    root = files(tmp_path)
    lines = [f"x{k},{k}.png,{'ab'[k % 2]}" for k in range(COUNT)]
    csv = labels_file(tmp_path / "l.csv", *lines, header="id,photo_of_it,label")
    table = read(root, SourceOptions(labels=csv))
    assert table.paths[3] == "3.png"
    assert any("'photo_of_it' names the images" in note for note in table.notes)


def test_two_columns_of_different_files_are_refused(tmp_path):
    root = files(tmp_path)
    lines = [f"{k}.png,{COUNT - 1 - k}.png,{'ab'[k % 2]}" for k in range(COUNT)]
    csv = labels_file(tmp_path / "l.csv", *lines, header="image,file,label")
    assert "'image' and 'file' could each hold the images" in refusal(root, labels=csv)


def test_two_columns_of_the_same_files_are_one(tmp_path):
    root = files(tmp_path)
    lines = [f"{k}.png,{k}.png,{'ab'[k % 2]}" for k in range(COUNT)]
    csv = labels_file(tmp_path / "l.csv", *lines, header="image,file,label")
    assert len(read(root, SourceOptions(labels=csv))) == COUNT


@pytest.mark.parametrize("label", ["label", "labels", "class_name", "class_id", "species", "breed",
                                   "Finding Labels", "dx"])  # fmt: skip
def test_labels_are_known_by_the_names_of_public_data_sets(tmp_path, label):
    root = files(tmp_path)
    lines = [f"{k}.png,{'ab'[k % 2]}" for k in range(COUNT)]
    csv = labels_file(tmp_path / "l.csv", *lines, header=f"filename,{label}")
    assert read(root, SourceOptions(labels=csv)).class_names == ("a", "b")


def test_base_names_match_files_in_sub_folders_when_they_are_unique(tmp_path):
    root = files(tmp_path, *(f"part{k % 3}/{k}.png" for k in range(COUNT)))
    lines = [f"{k}.png,{'ab'[k % 2]}" for k in range(COUNT)]
    csv = labels_file(tmp_path / "l.csv", *lines)
    table = read(root, SourceOptions(labels=csv))
    assert table.paths[4] == "part1/4.png" and len(table) == COUNT
    assert any(note.startswith("the names lack their folder: found in") for note in table.notes)
    put(root, "part2/4.png")
    message = refusal(root, labels=csv)
    assert "l.csv:6: 4.png fits part1/4.png and part2/4.png: write the name with its" in message


@pytest.mark.parametrize("ending", [".png", ""])
def test_of_train_and_test_images_those_are_taken_that_hold_all_names(tmp_path, ending):
    put(tmp_path, *(f"train_images/{k}.png" for k in range(COUNT)))
    put(tmp_path, *(f"test_images/{k}.png" for k in range(5)))
    lines = [f"{k}{ending},{'ab'[k % 2]}" for k in range(COUNT)]
    csv = labels_file(tmp_path / "train.csv", *lines, header="id,label")
    table = read(tmp_path, SourceOptions(labels=csv))
    labels = given(table)
    assert {p: x for p, x in labels.items() if x} == {
        f"train_images/{k}.png": "ab"[k % 2] for k in range(COUNT)
    }
    assert not table.held_out.any()


def test_names_that_two_folders_hold_are_refused(tmp_path):
    put(tmp_path, *(f"{f}/{k}.png" for f in ("train_images", "other") for k in range(COUNT)))
    lines = [f"{k}.png,{'ab'[k % 2]}" for k in range(COUNT)]
    csv = labels_file(tmp_path / "train.csv", *lines)
    assert "its images are in other and train_images of" in refusal(tmp_path, labels=csv)


def test_a_hint_names_a_folder_only_if_it_holds_all_the_files(tmp_path):
    files(tmp_path, "x.png")
    put(tmp_path, "0.png")
    csv = labels_file(tmp_path / "l.csv", "0.png,a", "1.png,b")
    message = refusal(tmp_path / "i", labels=csv)
    assert "they are in" not in message
    put(tmp_path, "1.png")
    assert f"they are in {tmp_path}: give that folder" in refusal(tmp_path / "i", labels=csv)


def test_file_addresses_and_the_home_folder_are_paths(tmp_path, monkeypatch):
    root = files(tmp_path, "a b.png", "c.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    lines = [f"file://{root}/a%20b.png,x", "~/i/c.png,y"]
    csv = labels_file(tmp_path / "l.csv", *lines)
    assert given(read(root, SourceOptions(labels=csv))) == {"a b.png": "x", "c.png": "y"}
