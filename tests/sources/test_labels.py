"""Labels: look-alikes, several in a cell, lists, one-hot columns."""

from __future__ import annotations

import pytest
from source_data import given, labels_file, put, refusal

from labelclean.sources import SourceOptions, read
from labelclean.sources.labels import look_alike_key, look_alikes


def table_of(tmp_path, labels: list[str], header: str = "image,label", **options: object):
    put(tmp_path / "i", *(f"{k}.png" for k in range(len(labels))))
    lines = [f"{k}.png,{label}" for k, label in enumerate(labels)]
    csv = labels_file(tmp_path / "l.csv", *lines, header=header)
    return read(tmp_path / "i", SourceOptions(labels=csv, **options))  # type: ignore[arg-type]


ALIKE = [
    ("Frog", "frog"), ("caf\u00e9", "cafe\u0301"), ("0", "0.0"), ("007", "7"), ("cat", "cat\u200b"),
    ("hot dog", "hot_dog"), ("t-shirt", "T shirt"), ("\uff21", "a"), ("new  york", "new york"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_class_names_that_look_alike_stay_apart_are_reported_and_joined_on_demand(
    tmp_path, one, other
):
    labels = [one, one, one, other, "zebra", "zebra"]
    table = table_of(tmp_path, labels)
    assert set(table.class_names) == {one, other, "zebra"}
    (note,) = [note for note in table.notes if "look alike" in note]
    assert "(3) = " in note and "(1): --merge-labels joins" in note
    joined = table_of(tmp_path, labels, merge_labels=True)
    assert set(joined.class_names) == {one, "zebra"}
    assert list(given(joined).values()) == [one] * 4 + ["zebra"] * 2


@pytest.mark.parametrize(("one", "other"), [("cat", "cats"), ("caf\u00e9", "cafe"), ("1", "10"),
                                            ("-1", "1"), ("1.5", "15"), ("c", "c++")])  # fmt: skip
def test_other_names_do_not_look_alike(one, other):
    assert look_alike_key(one) != look_alike_key(other)
    assert look_alikes({one: 1, other: 1}) == []


@pytest.mark.parametrize(
    "cell", ['"[\'cat\']"', '"[""cat""]"', '"{""choices"":[""cat""]}"', '"{""label"": ""cat""}"',
             '"[[""cat""]]"'],
)  # fmt: skip
def test_one_label_in_a_list_or_object_is_that_label(tmp_path, cell):
    assert list(given(table_of(tmp_path, [cell, "dog", "cat"])).values()) == ["cat", "dog", "cat"]


SEVERAL = ["cat|dog", "cat;dog", '"cat,dog"', "cat dog", '"[""cat"",""dog""]"', "cat/dog",
           '"{""choices"":[""cat"",""dog""]}"']  # fmt: skip


@pytest.mark.parametrize("cell", SEVERAL)
def test_several_labels_in_a_cell_are_refused_with_the_ways_out(tmp_path, cell):
    put(tmp_path / "i", *(f"{k}.png" for k in range(5)))
    lines = ["0.png,cat", "1.png,dog", f"2.png,{cell}", "3.png,cat", "4.png,dog"]
    csv = labels_file(tmp_path / "l.csv", *lines)
    message = refusal(tmp_path / "i", labels=csv)
    assert "l.csv:4: 'label' is '" in message and "several labels (1 row in all)" in message
    skipped = read(tmp_path / "i", SourceOptions(labels=csv, multi_label="skip"))
    assert list(given(skipped).values()) == ["cat", "dog", None, "cat", "dog"]
    assert "1 row with several labels: without a label" in skipped.notes
    kept = read(tmp_path / "i", SourceOptions(labels=csv, multi_label="keep"))
    assert len(kept.class_names) == 3


@pytest.mark.parametrize("label", ["hot dog", "new york", "a/b", "[x]", "{y", "rock, paper"])
def test_a_label_of_several_words_is_one_label(tmp_path, label):
    cell = f'"{label}"'
    assert list(given(table_of(tmp_path, [cell, "dog", cell])).values()) == [label, "dog", label]


ONE_HOT = ["1.0,0.0,0.0", "0.0,1.0,0.0", "0.0,0.0,1.0", "1.0,0.0,0.0", "0.0,0.0,0.0"]


def test_one_hot_columns_are_recognised_and_reported(tmp_path):
    table = table_of(tmp_path, ONE_HOT, header="image,MEL,NV,BCC")
    assert list(given(table).values()) == ["MEL", "NV", "BCC", "MEL", None]
    assert "one-hot columns, one a class: MEL, NV and BCC" in table.notes


def test_one_hot_columns_can_be_named_among_others(tmp_path):
    cells = [f"{cell},{k % 2}" for k, cell in enumerate(ONE_HOT)]
    table = table_of(tmp_path, cells, header="image,MEL,NV,BCC,male", one_hot="MEL,NV,BCC")
    assert list(given(table).values()) == ["MEL", "NV", "BCC", "MEL", None]
    put(tmp_path / "i", "0.png")
    assert "--one-hot: 'age' is '7', must be 0 or 1" in refusal(
        tmp_path / "i",
        labels=labels_file(tmp_path / "m.csv", "0.png,1,7", header="image,MEL,age"),
        one_hot="MEL,age",
    )


def test_two_ones_in_a_row_are_refused_with_its_line(tmp_path):
    put(tmp_path / "i", "0.png", "1.png")
    csv = labels_file(tmp_path / "l.csv", "0.png,1,0", "1.png,1,1", header="image,a,b")
    assert "l.csv:3: has a 1 in 'a' and in 'b'" in refusal(
        tmp_path / "i", labels=csv, one_hot="a,b"
    )


def test_a_stray_quote_is_refused_with_its_line(tmp_path):
    put(tmp_path / "i", *(f"{k}.png" for k in range(60)))
    lines = [f"{k}.png,{'frog' if k % 2 else 'cat'}" for k in range(60)]
    lines[10] = '10.png,"frog'
    csv = labels_file(tmp_path / "l.csv", *lines)
    message = refusal(tmp_path / "i", labels=csv)
    assert 'l.csv:12: a quote " is opened in this row and never closed' in message
    lines[20] = '20.png,"frog'
    csv = labels_file(tmp_path / "l.csv", *lines)
    assert "l.csv:12: " in refusal(tmp_path / "i", labels=csv)
