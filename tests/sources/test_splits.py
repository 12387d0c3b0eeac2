"""Splits: a row of a test or validation split is never trained on without a word."""

from __future__ import annotations

import pytest
from source_data import labels_file, put, refusal

from labelclean.sources import SourceOptions, read
from labelclean.sources.splits import split_of, split_of_path, split_within

TRAINED, HELD = False, True


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("Training", "train"), ("seg_train", "train"),
        ("images_train", "train"),
        ("training_set", "train"), ("train-00000-of-00002", "train"), ("train_000", "train"),
        ("test", "test"), ("test1", "test"), ("test_stg1", "test"), ("Test set", "test"),
        ("PublicTest", "test"), ("tst", "test"), ("val", "validation"), ("valid", "validation"),
        ("validation set", "validation"), ("dev", "validation"), ("eval_images", "validation"),
        ("id_test", None), ("test_tube", None), ("freight train", None), ("valley", None),
        ("contest", None), ("latest", None), ("", None), ("set", None), ("2", None),
        ("extra", None),
    ],
)  # fmt: skip
def test_a_name_is_a_split_when_it_says_nothing_else(name, split):
    assert split_of(name) == split


def test_a_split_inside_a_longer_name_is_found_only_when_asked_for_it():
    assert split_within("id_test") == "test"
    assert split_within("latest") is None and split_within("train_and_test") is None


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("default/test/0000.parquet", "test"), ("train/split.parquet", "train"),
        ("train_000.parquet", "train"), ("test_000.parquet", "test"), ("data/0000.parquet", None),
        ("data/train-00000-of-00001-abcdef.parquet", None), ("test/train-0.tar", "train"),
        ("a/validation/b/c.tar.gz", "validation"),
    ],
)  # fmt: skip
def test_the_split_of_a_shard_stands_in_its_name_or_a_folder_above(path, split):
    if "abcdef" in path:  # a hash after the name
        split = None
    assert split_of_path(path) == split


ROWS = 6


def held(tmp_path, header: str, cells: tuple[str, ...], **options: object):
    """Which of six rows are held out; their split column holds the cells."""
    put(tmp_path / "i", *(f"{k}.png" for k in range(ROWS)))
    lines = [f"{k}.png,{'cat' if k % 2 else 'dog'},{cells[k]}" for k in range(ROWS)]
    csv = labels_file(tmp_path / "l.csv", *lines, header=f"image,label,{header}")
    table = read(tmp_path / "i", SourceOptions(labels=csv, **options))  # type: ignore[arg-type]
    return table


A = ("train", "train", "train", "val", "test", "test")
EXPECTED = [TRAINED] * 3 + [HELD] * 3


@pytest.mark.parametrize(
    "header",
    ["split", "data set", "dataset", "Usage", "partition", "phase", "fold", "subset", "Set",
     "data_split"],
)  # fmt: skip
def test_a_column_of_words_for_splits_is_one_whatever_of_its_names_it_has(tmp_path, header):
    assert held(tmp_path, header, A).held_out.tolist() == EXPECTED


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("is_valid", ("False", "False", "False", "False", "True", "True"), [0, 0, 0, 0, 1, 1]),
        ("is_test", ("0", "0", "0", "0", "1", "1"), [0, 0, 0, 0, 1, 1]),
        ("is_training_image", ("1", "1", "1", "1", "0", "0"), [0, 0, 0, 0, 1, 1]),
        ("Usage", ("Training", "Training", "Training", "PublicTest", "PrivateTest", "Training"),
         [0, 0, 0, 1, 1, 0]),
        ("split", ("train", "train", "train", "Test set", "validation set", ""),
         [0, 0, 0, 1, 1, 0]),
    ],
)  # fmt: skip
def test_flags_and_phrases_are_splits_too(tmp_path, header, cells, expected):
    assert held(tmp_path, header, cells).held_out.tolist() == [bool(k) for k in expected]


@pytest.mark.parametrize(
    ("word", "is_held", "note"),
    [
        ("extra", False, "'extra' (1 row): trained on"),
        ("unlabeled", False, "'unlabeled' (1 row): trained on"),
        ("id_test", True, "'id_test' (1 row): held out of the training"),
    ],
)
def test_an_unknown_word_leaves_the_known_ones_and_is_reported(tmp_path, word, is_held, note):
    table = held(tmp_path, "split", ("train", "train", "val", "test", word, "train"))
    assert table.held_out.tolist() == [False, False, True, True, is_held, False]
    assert any(note in told for told in table.notes)


def test_split_chooses_by_unknown_words_without_the_column_being_named(tmp_path):
    table = held(tmp_path, "split", ("train", "extra", "val", "test", "extra", "train"),
                 split="train,extra")  # fmt: skip
    assert table.paths == ("0.png", "1.png", "4.png", "5.png")
    assert not table.held_out.any()


def test_a_fold_of_numbers_is_reported_and_chosen_from_by_split(tmp_path):
    folds = ("0", "1", "2", "0", "1", "2")
    table = held(tmp_path, "fold", folds)
    assert not table.held_out.any()
    assert any("'fold' (0, 1 and 2) is not taken for a split" in note for note in table.notes)
    assert held(tmp_path, "fold", folds, split="0,1").paths == ("0.png", "1.png", "3.png", "4.png")


def test_is_valid_that_is_mostly_true_says_that_an_image_is_valid(tmp_path):
    table = held(tmp_path, "is_valid", ("1", "1", "1", "1", "1", "0"))
    assert not table.held_out.any()


def test_a_named_column_of_which_no_word_is_known_is_refused(tmp_path):
    put(tmp_path / "i", "0.png", "1.png")
    csv = labels_file(tmp_path / "l.csv", "0.png,a,red", "1.png,b,blue", header="image,label,g")
    message = refusal(tmp_path / "i", labels=csv, split_col="g")
    assert "'g' holds no word for a split such as train or test, but blue and red: name" in message
    table = read(tmp_path / "i", SourceOptions(labels=csv, split_col="g", split="all"))
    assert len(table) == 2


def test_the_folders_of_the_images_are_splits_where_the_table_has_none(tmp_path):
    put(tmp_path / "i", *(f"{s}/{k}.png" for s in ("train", "test") for k in range(3)))
    lines = [f"{s}/{k}.png,{'ab'[k % 2]}" for s in ("train", "test") for k in range(3)]
    csv = labels_file(tmp_path / "l.csv", *lines)
    assert (
        read(tmp_path / "i", SourceOptions(labels=csv)).held_out.tolist()
        == [False] * 3 + [True] * 3
    )
