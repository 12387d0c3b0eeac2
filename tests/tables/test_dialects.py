"""Tables of text as they are written: delimiters, lines before the header, none, compression."""

from __future__ import annotations

import bz2
import gzip
import lzma

import pytest
from source_data import given, labels_file, put, refusal

from labelclean.sources import SourceOptions, read
from labelclean.tables.read_table import read_table

ROWS = [("0.png", "cat"), ("1.png", "dog"), ("2.png", "cat")]
EXPECTED = dict(ROWS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pipes.csv", "image|label\n0.png|cat\n1.png|dog\n2.png|cat\n"),
        ("spaces.txt", "image   label\n0.png   cat\n1.png   dog\n2.png   cat\n"),
        ("one space.txt", "image label\n0.png cat\n1.png dog\n2.png cat\n"),
        ("sep.csv", "sep=;\nimage;label\n0.png;cat\n1.png;dog\n2.png;cat\n"),
        ("sep crlf.csv", "sep=,\r\nimage,label\r\n0.png,cat\r\n1.png,dog\r\n2.png,cat\r\n"),
        ("comments.csv", "# by hand\n# v2, v3\nimage,label\n0.png,cat\n1.png,dog\n2.png,cat\n"),
        ("hash header.csv", "#image,label\n0.png,cat\n1.png,dog\n2.png,cat\n"),
        ("commas in a note.csv", "image;label;note\n0.png;cat;a, b\n1.png;dog;\n2.png;cat;x,y\n"),
        ("t.json", '[{"image":"0.png","label":"cat"},{"image":"1.png","label":"dog"},'
                   '{"image":"2.png","label":["cat"]}]'),
    ],
)  # fmt: skip
def test_a_table_is_read_in_whatever_dialect_it_is_written(tmp_path, name, text):
    put(tmp_path / "i", *EXPECTED)
    (tmp_path / name).write_bytes(text.encode())
    assert given(read(tmp_path / "i", SourceOptions(labels=tmp_path / name))) == EXPECTED


def test_the_line_of_a_row_counts_what_stands_before_the_header(tmp_path):
    path = labels_file(tmp_path / "t.csv", "# b", "image,label", "0.png,cat", header="# a")
    assert read_table(path).where(0) == f"{path}:4"


@pytest.mark.parametrize("delimiter", [",", " ", "\t", ";"])
def test_a_table_without_a_header_asks_for_numbers_and_takes_them(tmp_path, delimiter):
    put(tmp_path / "i", *EXPECTED)
    path = tmp_path / "t.txt"
    path.write_text("".join(f"{name}{delimiter}{label}\n" for name, label in ROWS))
    message = refusal(tmp_path / "i", labels=path)
    assert "the first line is '0.png, ...', no header" in message
    assert "--image-col 1 --label-col 2" in message
    options = SourceOptions(labels=path, image_col="1", label_col="2")
    assert given(read(tmp_path / "i", options)) == EXPECTED
    assert "name the labels too: --label-col 2" in refusal(
        tmp_path / "i", labels=path, image_col="1"
    )


def test_numbers_also_name_columns_of_a_first_line_that_looks_like_a_header(tmp_path):
    put(tmp_path / "i", "a.png", "b.png")
    path = labels_file(tmp_path / "t.csv", "b,dog", header="a,cat")
    options = SourceOptions(labels=path, image_col="1", label_col="2")
    assert given(read(tmp_path / "i", options)) == {"a.png": "cat", "b.png": "dog"}


@pytest.mark.parametrize(("ending", "module"), [("gz", gzip), ("bz2", bz2), ("xz", lzma)])
def test_a_compressed_table_is_read_beside_images_and_alone(tmp_path, ending, module):
    put(tmp_path, *EXPECTED)
    text = "image,label\n" + "".join(f"{name},{label}\n" for name, label in ROWS)
    path = tmp_path / f"labels.csv.{ending}"
    path.write_bytes(module.compress(text.encode()))
    assert given(read(path, SourceOptions())) == EXPECTED
    assert given(read(tmp_path, SourceOptions(labels=path))) == EXPECTED
    path.write_bytes(path.read_bytes()[:-9])
    assert f"{path}: cannot be read: " in refusal(tmp_path, labels=path)


def test_a_workbook_is_a_table(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    put(tmp_path, *EXPECTED)
    book = openpyxl.Workbook()
    for row in [("image", "label"), *ROWS]:
        book.active.append(row)
    book.save(tmp_path / "labels.xlsx")
    assert given(read(tmp_path, SourceOptions(labels=tmp_path / "labels.xlsx"))) == EXPECTED


def test_an_encoding_that_is_named_is_used(tmp_path):
    put(tmp_path / "i", *EXPECTED)
    words = {"cat": "\u72d7\u72ac", "dog": "\u732b\u72ac"}
    text = "image,label\n" + "".join(f"{name},{words[label]}\n" for name, label in ROWS)
    (tmp_path / "t.csv").write_bytes(text.encode("gbk"))
    assert "name its encoding" in refusal(tmp_path / "i", labels=tmp_path / "t.csv")
    options = SourceOptions(labels=tmp_path / "t.csv", encoding="gbk")
    assert set(read(tmp_path / "i", options).class_names) == set(words.values())
