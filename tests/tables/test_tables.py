"""Tables: the same rows whatever the file's kind, encoding, delimiter and line ends."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelclean.errors import SourceError
from labelclean.sources.columns import image_column, label_column, split_column
from labelclean.tables.read_table import read_table
from labelclean.tables.table import Table

ROWS = [("0.png", "cat"), ("1.png", "Zürich"), ("2.png", "007")]
TEXT = "image,label\n" + "".join(f"{name},{label}\n" for name, label in ROWS)


def write(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def cells(table: Table) -> list[tuple[str | None, ...]]:
    columns = [table.texts(k) for k in range(len(table.columns))]
    return list(zip(*columns, strict=True))


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        read_table(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("latin-1"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode(),
        ("\n\n" + TEXT.replace("1.png", "\n1.png")).encode(),
        TEXT.rstrip("\n").encode(),
    ],
)
def test_a_text_table_reads_alike_in_every_encoding_delimiter_and_line_end(tmp_path, content):
    table = read_table(write(tmp_path, content))
    assert table.columns == ("image", "label")
    assert cells(table) == ROWS


def test_latin_1_is_noted_and_utf_8_is_not(tmp_path):
    assert read_table(write(tmp_path, TEXT)).notes == ()
    notes = read_table(write(tmp_path, TEXT.encode("latin-1"))).notes
    assert notes == ("t.csv is not UTF-8: read as cp1252",)


@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        ("gbk", "\u72d7"), ("shift_jis", "\u732b"), ("cp1251", "\u043a\u043e\u0442"),
        ("shift_jis", "\u72ac"), ("euc_kr", "\uace0\uc591\uc774"),
        ("cp1253", "\u03b3\u03ac\u03c4\u03b1"),
    ],
)  # fmt: skip
def test_other_encodings_are_not_guessed_but_asked_for_and_read_when_named(
    tmp_path, encoding, word
):
    path = write(tmp_path, f"image,label\na.png,{word}\n".encode(encoding))
    assert "t.csv: neither UTF-8 nor Windows-1252: name its encoding, e.g. --enc" in refusal(path)
    assert read_table(path, encoding=encoding).texts(1) == [word]
    with pytest.raises(SourceError, match="not in the encoding ascii"):
        read_table(path, encoding="ascii")


NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=5))
def test_whatever_python_writes_as_csv_is_read_back_with_its_lines(tmp_path, rows):
    text = io.StringIO(newline="")
    starts = []
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["image", "label"])
    for row in rows:
        starts.append(len(re.findall(r"\r\n|\r|\n", text.getvalue())) + 1)
        writer.writerow(row)
    table = read_table(write(tmp_path, text.getvalue()))
    assert cells(table) == rows
    lines = [int(table.where(k).rpartition(":")[2]) for k in range(len(rows))]
    assert lines == starts


def test_line_breaks_inside_values_survive_where_a_large_file_is_read_in_blocks(tmp_path):
    values = [f"{k}" + "line\n" * 200_000 for k in range(20)]  # 20 MB, blocks of 16 MiB
    body = "".join(f'{k}.png,"{value}"\n' for k, value in enumerate(values))
    assert read_table(write(tmp_path, "image,label\n" + body)).texts(1) == values


def test_json_lines_and_parquet_give_integers_as_decimal_text(tmp_path):
    frame = pd.DataFrame({"image": ["a", "b", "c"], "label": [7, None, 10**15]})  # floats by None
    frame.to_parquet(tmp_path / "t.parquet")
    frame.astype({"label": "Int64"}).to_parquet(tmp_path / "i.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    expected = [("a", "7"), ("b", None), ("c", "1000000000000000")]
    for name in ("t.parquet", "i.parquet", "t.jsonl"):
        assert cells(read_table(tmp_path / name)) == expected


def test_json_strings_are_not_turned_into_dates_or_numbers(tmp_path):
    lines = '{"image": "2020-01-01", "label": "007"}\n\n{"label": true, "image": "b\u2028"}\n'
    table = read_table(write(tmp_path, lines, "t.jsonl"))
    assert cells(table) == [("2020-01-01", "007"), ("b\u2028", "true")]
    assert table.where(1).endswith("t.jsonl:3")


def test_a_categorical_parquet_column_is_text(tmp_path):
    pd.DataFrame({"image": ["a", "b"], "label": pd.Categorical(["x", "y"])}).to_parquet(
        tmp_path / "t.parquet"
    )
    assert cells(read_table(tmp_path / "t.parquet")) == [("a", "x"), ("b", "y")]


def test_class_label_names_come_from_the_parquet_schema(tmp_path):
    features = {"label": {"names": ["dog", "cat"], "_type": "ClassLabel"}}
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"image": ["a"], "label": [1]}).replace_schema_metadata(meta)
    pq.write_table(table, tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").class_names == {1: ("dog", "cat")}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.csv", "", "t.csv: is empty: a header line such as image,label is needed"),
        ("t.csv", "image,label\n", "t.csv: has no rows below its header"),
        ("t.csv", TEXT + "a,b,c\n", "t.csv:5: number of fields is 3, in the header 2"),
        ("t.csv", TEXT + "\n\na\n", "t.csv:7: number of fields is 1, in the header 2"),
        ("t.csv", b"\x89PNG\0\0\0\0", "holds zero bytes"),
        ("t.jsonl", '{"a": 1}\n\n{"a": \n', "t.jsonl:3: not valid JSON"),
        ("t.jsonl", '{"a": 1}\n[1]\n', "t.jsonl:2: each line must be an object"),
        ("t.jsonl", '{"a": "\\ud800"}\n', "t.jsonl:1: holds half"),
        ("t.jsonl", "", "has no rows"),
        ("t.parquet", "image,label\n", "t.parquet: not readable as parquet"),
        ("t.parquet", "", "t.parquet: not readable as parquet"),
        ("t.xls", "", "the ending .xls is none of .csv .tsv"),
        ("t.xlsx", "", "t.xlsx: not readable as xlsx"),
        ("t.json", "{}", "t.json: must be a list of objects"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(tmp_path, name, content, expected):
    assert expected in refusal(write(tmp_path, content, name))


def test_a_folder_in_place_of_a_table_is_refused(tmp_path):
    assert "is a folder: give the table in it" in refusal(tmp_path)


def test_a_list_of_one_is_its_value_and_other_lists_are_json(tmp_path):
    lines = '{"label": "a"}\n{"label": ["b"]}\n{"label": []}\n{"label": ["a", "b"]}\n'
    table = read_table(write(tmp_path, lines, "t.jsonl"))
    assert table.texts(0) == ["a", "b", None, '["a", "b"]']


@pytest.mark.parametrize(
    ("header", "image", "label"),
    [
        ("label,file_name", 1, 0),
        ("IMAGE,Class", 0, 1),
        ("File Name,Target", 0, 1),
        ("id,path,category", 1, 2),
        ("x,id,label", 1, 2),
    ],
)
def test_columns_are_recognised_by_name_in_any_case(tmp_path, header, image, label):
    table = read_table(write(tmp_path, header + "\n" + "1," * header.count(",") + "1\n"))
    assert image_column(table, None) == image
    assert label_column(table, None, image) == label


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "image,path,label",
            "'image' and 'path' could each hold the images: name one by --image-col",
        ),
        (
            "image,label,class",
            "'label' and 'class' could each hold the labels: name one by --label-",
        ),
        ("a,label", "among 'a', 'label': name it by --image-col"),
        ("image,b", "among 'image', 'b': name it by --label-col"),
        ("0.png,cat", "the first line is '0.png, ...', no header: add a line such as image,label"),
        ("image,image,label", "'image' and 'image' could each hold the images"),
    ],
)
def test_unclear_columns_are_refused_with_those_there_are(tmp_path, header, expected):
    table = read_table(write(tmp_path, header + "\n" + "1," * header.count(",") + "1\n"))
    with pytest.raises(SourceError) as caught:
        label_column(table, None, image_column(table, None))
    assert expected in str(caught.value)


def test_a_named_column_wins_and_an_unknown_one_lists_those_there_are(tmp_path):
    table = read_table(write(tmp_path, "image,label,Breed\n1,2,3\n"))
    assert label_column(table, "breed", 0) == 2
    expected = r"--label-col race: .*t\.csv has no such column, only 'image', 'label', 'Breed'"
    with pytest.raises(SourceError, match=expected):
        label_column(table, "race", 0)


def test_a_fold_of_numbers_is_no_split(tmp_path):
    table = read_table(write(tmp_path, "image,label,fold,set\na,b,0,Train\nc,d,1,val\n"))
    assert split_column(table, None, (0, 1))[0] == 3
    assert split_column(table, "fold", (0, 1), "0")[:2] == (2, ["0", "1"])
    with pytest.raises(SourceError, match="'fold' holds no word for a split such as train or"):
        split_column(table, "fold", (0, 1))


def test_a_line_of_many_megabytes_is_named(tmp_path):
    path = tmp_path / "l.csv"
    path.write_text(f"image,label\n0.png,cat\n1.png,{'x' * (50 << 20)}\n2.png,dog\n")
    with pytest.raises(
        SourceError, match=r"l.csv:3: the line has 52,\d+,\d+ characters, more than"
    ):
        read_table(path)
