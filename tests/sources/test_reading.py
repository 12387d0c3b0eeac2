"""Sources: folders, tables and Parquet become the SampleTable that one would write by hand."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from source_data import ABCD, given, labels_file, put, refusal

from labelclean.config.source_options import SourceOptions
from labelclean.data.samples import MISSING, OK, UNLABELLED
from labelclean.sources.read_source import read


def test_rows_keep_the_order_of_the_table_then_come_files_that_it_does_not_name(tmp_path, images):
    put(images, "z.jpg", "e.jpg", ".hidden.jpg", "note.txt")
    csv = labels_file(tmp_path / "l.csv", "sub/c.png,10", "gone.png,9", "a.png, 10 ", "b.png,9")
    table = read(images, SourceOptions(labels=csv))
    assert table.paths == (
        "sub/c.png", "gone.png", "a.png", "b.png", "e.jpg", "sub/d.PNG", "z.jpg",
    )  # fmt: skip
    assert table.class_names == ("9", "10")
    assert table.labels.tolist() == [1, 0, 1, 0, -1, -1, -1]
    assert table.status.tolist() == [OK, MISSING, OK, OK, UNLABELLED, UNLABELLED, UNLABELLED]
    assert table.notes == (
        "white space around 1 label is left out",
        "1 label has no image: gone.png",
        "3 images have no label: e.jpg, sub/d.PNG, z.jpg",
        "1 class has a single image: 9",
    )
    assert table.root == images


def test_each_row_reads_its_own_file_also_in_another_process(tmp_path, images):
    put(images, "e.png")
    csv = labels_file(tmp_path / "l.csv", "gone.png,dog", *ABCD)
    table = read(images, SourceOptions(labels=csv))
    source = pickle.loads(pickle.dumps(table.images))
    for row, path in enumerate(table.paths):
        if table.status[row] == MISSING:
            with pytest.raises(OSError):
                source.read(row)
        else:
            assert source.read(row) == path.encode()


def test_the_fingerprint_changes_with_name_size_and_time_only(tmp_path, images):
    csv = labels_file(tmp_path / "l.csv", *ABCD)

    def fingerprints() -> list[str]:
        table = read(images, SourceOptions(labels=csv))
        return [table.images.fingerprint(row) for row in range(len(table))]

    before = fingerprints()
    assert len(set(before)) == 4
    assert fingerprints() == before
    time = (images / "a.png").stat().st_mtime_ns
    os.utime(images / "a.png", ns=(time, time + 1))
    (images / "b.png").write_bytes(b"longer than before")
    time = (images / "b.png").stat().st_mtime_ns
    after = fingerprints()
    assert [old == new for old, new in zip(before, after, strict=True)] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    "name",
    ["./a.png", "sub/../a.png", ".\\a.png", " a.png ", "sub//../a.png", "a", "ABSOLUTE/a.png"],
)
def test_a_path_is_found_however_it_is_spelled(tmp_path, images, name):
    name = name.replace("ABSOLUTE", str(images))
    csv = labels_file(tmp_path / "l.csv", f"{name},cat", *ABCD[1:])
    table = read(images, SourceOptions(labels=csv))
    assert table.paths[0] == "a.png"
    assert table.status.tolist() == [OK] * 4


def test_ids_are_tried_with_image_endings_and_two_fits_are_refused(tmp_path, images):
    csv = labels_file(tmp_path / "l.csv", "a,x", "b,y", "sub/d,x", header="id,label")
    table = read(images, SourceOptions(labels=csv))
    assert table.paths[:3] == ("a.png", "b.png", "sub/d.PNG")
    put(images, "a.jpg")
    message = refusal(images, labels=csv)
    assert "l.csv:2: a fits a.jpg and a.png: write the name with its ending" in message


@pytest.mark.parametrize("name", ["new\nline.png", "🐈.png", 'quo"te.png', "=cmd().png", " .png"])
def test_odd_names_work_in_a_table_and_in_class_folders(tmp_path, name):
    put(tmp_path / "flat", name, "b.png")
    frame = pd.DataFrame({"image": [name, "b.png"], "label": ["x", "y"]})
    frame.to_csv(tmp_path / "l.csv", index=False)
    table = read(tmp_path / "flat", SourceOptions(labels=tmp_path / "l.csv"))
    assert given(table) == {name: "x", "b.png": "y"}
    assert table.images.read(0) == name.encode()
    put(tmp_path / "classes", f"x/{name}", "y/b.png")
    assert given(read(tmp_path / "classes", SourceOptions())) == {f"x/{name}": "x", "y/b.png": "y"}


@pytest.mark.parametrize(
    ("named", "stored"), [("\u00fc.png", "u\u0308.png"), ("u\u0308.png", "\u00fc.png")]
)
def test_composed_and_decomposed_unicode_names_are_the_same_file(tmp_path, named, stored):
    put(tmp_path / "i", stored, "b.png")
    csv = labels_file(tmp_path / "l.csv", f"{named},x", "b.png,y")
    table = read(tmp_path / "i", SourceOptions(labels=csv))
    assert table.status.tolist() == [OK, OK]
    assert table.images.read(0) == stored.encode()


@pytest.mark.skipif(os.path.exists(__file__.upper()), reason="this disk ignores case")
def test_another_case_is_missing_and_said_so(tmp_path, images):
    csv = labels_file(tmp_path / "l.csv", "A.png,cat", *ABCD[1:])
    table = read(images, SourceOptions(labels=csv))
    assert table.status.tolist() == [MISSING, OK, OK, OK, UNLABELLED]
    assert "1 missing name would fit in other case: A.png is not a.png" in table.notes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../x.png", "../x.png is not in"),
        ("sub/../../x.png", "is not in"),
        ("..\\x.png", "is not in"),
        ("/etc/x.png", "/etc/x.png is not in"),
        ("C:\\x.png", "is not in"),
        ("https://host/x.png", "is a web address: download"),
    ],
)
def test_a_path_out_of_the_folder_is_refused_with_its_line(tmp_path, images, name, expected):
    csv = labels_file(tmp_path / "l.csv", ABCD[0], f"{name},cat")
    message = refusal(images, labels=csv)
    assert f"{csv}:3: " in message
    assert expected in message


def test_a_repeated_path_with_the_same_label_is_merged(tmp_path, images):
    csv = labels_file(tmp_path / "l.csv", *ABCD, "./a.png,cat", "b.png,")
    table = read(images, SourceOptions(labels=csv))
    assert table.paths == ("a.png", "b.png", "sub/c.png", "sub/d.PNG")
    assert table.notes == ("2 repeated rows with the same label merged",)


def test_a_repeated_path_that_is_a_test_row_once_is_held_out(tmp_path, images):
    lines = [f"{line}," for line in ABCD]
    csv = labels_file(tmp_path / "l.csv", *lines, "a.png,cat,test", header="image,label,split")
    table = read(images, SourceOptions(labels=csv))
    assert table.held_out.tolist() == [True, False, False, False]


def test_a_repeated_path_with_two_labels_is_refused_with_both_lines(tmp_path, images):
    csv = labels_file(tmp_path / "l.csv", *ABCD, "./a.png,dog", "b.png,cat", "b.png,cow")
    message = refusal(images, labels=csv)
    assert f"{csv}:6: a.png is 'dog' here but 'cat' at {csv}:2 (2 images with two" in message


def test_a_table_alone_has_paths_relative_to_itself_and_no_further_rows(tmp_path, images):
    put(tmp_path, "other.png")
    csv = labels_file(tmp_path / "l.csv", "images/a.png,x", "images/sub/c.png,y", "images/q.png,y")
    table = read(csv, SourceOptions())
    assert table.paths == ("images/a.png", "images/sub/c.png", "images/q.png")
    assert table.status.tolist() == [OK, OK, MISSING]
    assert table.root == tmp_path


def test_class_folders_give_labels_at_any_depth_and_flat_images_have_none(tmp_path):
    put(tmp_path, "cat/1.jpg", "cat/deep/er/2.webp", "dog/3.JPEG", "top.png")
    put(tmp_path, "cat/.x.jpg", "dog/readme.txt", ".git/4.png")
    table = read(tmp_path, SourceOptions())
    assert given(table) == {
        "cat/1.jpg": "cat", "cat/deep/er/2.webp": "cat", "dog/3.JPEG": "dog", "top.png": None,
    }  # fmt: skip
    assert "ignored as hidden or no image: 3 files or folders" in table.notes


def test_split_folders_above_class_folders_are_splits(tmp_path):
    put(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg", "test/cat/3.jpg", "valid/dog/4.jpg")
    table = read(tmp_path, SourceOptions())
    assert given(table) == {
        "test/cat/3.jpg": "cat", "train/cat/1.jpg": "cat",
        "train/dog/2.jpg": "dog", "valid/dog/4.jpg": "dog",
    }  # fmt: skip
    assert table.held_out.tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("split", "paths", "held_out"),
    [
        (None, "abcd", [0, 0, 1, 1]),
        ("all", "abcd", [0, 0, 0, 0]),
        ("train", "ab", [0, 0]),
        ("val", "cd", [0, 0]),
        ("Train,validation", "abcd", [0, 0, 1, 1]),
    ],
)
def test_split_chooses_what_is_kept_and_what_is_trained_on(tmp_path, split, paths, held_out):
    put(tmp_path / "i", "a.png", "b.png", "c.png", "d.png")
    lines = ("a.png,x,train", "b.png,y,", "c.png,x,val", "d.png,y,Valid")
    if split not in (None, "all"):
        lines = (lines[0], "b.png,y,train", *lines[2:])
    csv = labels_file(tmp_path / "l.csv", *lines, header="image,label,split")
    table = read(tmp_path / "i", SourceOptions(labels=csv, split=split))
    assert [path[0] for path in table.paths] == list(paths)
    assert table.held_out.tolist() == [bool(k) for k in held_out]
    assert [table.images.read(k) for k in range(len(table))] == [p.encode() for p in table.paths]


def test_an_unknown_split_lists_those_there_are(tmp_path, images):
    csv = labels_file(tmp_path / "l.csv", *(f"{line},train" for line in ABCD),
                      header="image,label,split")  # fmt: skip
    assert "--split foo: " in refusal(images, labels=csv, split="foo")
    assert "has no split 'foo', only train" in refusal(images, labels=csv, split="foo")
    put(tmp_path / "c", "x/a.png", "y/b.png")
    assert "no splits at all" in refusal(tmp_path / "c", split="train")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_hugging_face_metadata_is_found_in_the_folder_and_in_its_splits(tmp_path, kind):
    def write(folder: Path, names: list[str], labels: list[str]) -> None:
        put(folder, *names)
        frame = pd.DataFrame({"file_name": names, "label": labels})
        if kind == "csv":
            frame.to_csv(folder / "metadata.csv", index=False)
        elif kind == "jsonl":
            frame.to_json(folder / "metadata.jsonl", orient="records", lines=True)
        else:
            frame.to_parquet(folder / "metadata.parquet")

    write(tmp_path / "one", ["a.png", "s/b.png"], ["x", "y"])
    assert given(read(tmp_path / "one", SourceOptions())) == {"a.png": "x", "s/b.png": "y"}
    write(tmp_path / "two/train", ["a.png", "b.png"], ["x", "y"])
    write(tmp_path / "two/test", ["a.png"], ["y"])
    table = read(tmp_path / "two", SourceOptions())
    assert given(table) == {"test/a.png": "y", "train/a.png": "x", "train/b.png": "y"}
    assert table.held_out.tolist() == [True, False, False]


def test_a_problem_in_the_second_metadata_file_names_that_file(tmp_path):
    labels_file(tmp_path / "test/metadata.csv", "a.png,x", header="file_name,label")
    second = labels_file(tmp_path / "train/metadata.csv", "a.png,x", "../../b.png,y",
                         header="file_name,label")  # fmt: skip
    put(tmp_path, "train/a.png", "test/a.png")
    assert f"{second}:3: " in refusal(tmp_path)


def test_a_source_that_is_not_there_or_no_source_is_refused(tmp_path, images):
    csv = labels_file(tmp_path / "l.csv", *ABCD)
    put(tmp_path, "x.zip", "x.7z", "only/readme.md")
    (tmp_path / "empty").mkdir()
    for source, options, expected in (
        (tmp_path / "no", {}, "no: no such file or folder, nor a data set (cifar10, cifar100)"),
        (tmp_path / "empty", {}, "empty: is empty: give the folder that holds the images"),
        (tmp_path / "only", {}, "only: none of its 1 files is an image: give the folder"),
        (tmp_path / "x.zip", {}, "x.zip: damaged archive: File is not a zip file: fetch it again"),
        (tmp_path / "x.7z", {}, "x.7z is an archive of a kind that is not read: unpack it as zip"),
        (images / "a.png", {}, "a.png is one image: give the folder"),
        (images, {}, "one class folder, sub: give a table of labels after the folder"),
        (images / "sub", {}, "sub: its images have no labels: give a table of labels after the"),
        (tmp_path, {}, "class folder"),
        (images, {"labels": tmp_path / "no.csv"}, "no.csv: no such file: correct the path"),
        (csv, {"labels": images}, f"the folder comes first: {images} {csv}"),
        (csv, {"labels": csv}, "is a table and not a folder of images"),
    ):
        assert expected in refusal(source, **options)


def test_a_table_beside_flat_images_is_offered(tmp_path):
    put(tmp_path, "a.png", "b.png")
    labels_file(tmp_path / "labels.csv", "a.png,x")
    assert "(labels.csv in it may be one)" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("a.png,", "b.png, "), "no image has a label: 'label' is empty in every row"),
        (("a.png,nan", "b.png,NaN"), "no image has a label"),
        (("a.png,x", "b.png,x", "q.png,y"), "every image has the label 'x': at least two classes"),
        (
            ("a.png,x", "b.png,y", "r.png,z"),
            "3 classes for 2 images (1 more are missing): is 'label' really the label?",
        ),
        (("A1,x", "A2,y"), "none of the 2 images it labels is there (A1, A2): paths must be"),
        ((",x", "a.png,y"), "l.csv:2: 'image' is empty: write the image's path"),
    ],
)
def test_labels_from_which_nothing_can_be_learned_are_refused(tmp_path, images, lines, expected):
    assert expected in refusal(images, labels=labels_file(tmp_path / "l.csv", *lines))


def test_a_column_of_ids_as_labels_is_refused(tmp_path):
    put(tmp_path / "i", *(f"{k}.png" for k in range(30)))
    csv = labels_file(tmp_path / "l.csv", *(f"{k}.png,id{k}" for k in range(30)))
    assert "30 classes for 30 images: is 'label' really" in refusal(tmp_path / "i", labels=csv)


def test_only_held_out_labels_are_refused(tmp_path, images):
    csv = labels_file(tmp_path / "l.csv", *(f"{line},test" for line in ABCD),
                      header="image,label,split")  # fmt: skip
    assert "none is left to train on: --split all" in refusal(images, labels=csv)


def test_the_folder_that_was_meant_is_named(tmp_path, images):
    csv = labels_file(tmp_path / "l.csv", "images/a.png,x", "images/b.png,y")
    assert f"they are in {tmp_path}: give that folder as IMAGES" in refusal(images, labels=csv)
    csv = labels_file(tmp_path / "l.csv", "../images2/a.png,x", "../images2/b.png,y")
    assert "../images2/a.png is not in" in refusal(images, labels=csv)


def test_a_class_with_one_image_is_noted(tmp_path, images):
    csv = labels_file(tmp_path / "l.csv", *ABCD[:3], "sub/d.PNG,cow")
    assert (
        "2 classes have a single image: cow, dog" in read(images, SourceOptions(labels=csv)).notes
    )


def test_reading_a_large_table_costs_seconds_not_a_stat_for_each_row(tmp_path, images, monkeypatch):
    lines = [f"{k:06d}.png,{('cat', 'dog')[k % 2]}" for k in range(50_000)]
    csv = labels_file(tmp_path / "l.csv", *ABCD, *lines)
    calls: list[object] = []
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda *args, **kw: calls.append(args) or real(*args, **kw))
    table = read(images, SourceOptions(labels=csv))
    assert np.count_nonzero(table.status == MISSING) == 50_000
    assert len(calls) < 50


def test_reading_does_not_load_torch():
    code = "import sys, labelclean.sources; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
