"""Tables and folders with other labels: all else as it was; written whole, taken back whole."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelclean.apply import writing
from labelclean.apply.folder_labels import place_in_classes
from labelclean.apply.outcome import Outcome
from labelclean.apply.parquet_labels import rewrite_parquet
from labelclean.apply.relabelling import Edit, rewrite_text
from labelclean.apply.undoing import undo
from labelclean.apply.writing import check_out, link_files, write_bytes, write_result
from labelclean.errors import (
    ConfigError,
    LabelcleanError,
    OutputError,
    ReportError,
    SourceError,
)
from labelclean.tables.read_table import read_table


def edit_of(path: Path, data: bytes | None = None, image=0, label=1, **changes) -> Edit:
    if data is not None:
        path.write_bytes(data)
    settings = {"labels": {}, "dropped": frozenset()} | changes
    return Edit(table=read_table(path), image=image, label=label, **settings)


def rewritten(path: Path, data: bytes, **changes) -> bytes:
    return rewrite_text(edit_of(path, data, **changes), data)[0]


def quiet(done, total, words):
    pass


def outcome_of(*rows, excluded=()):
    images, given, labels = zip(*rows, strict=True)
    nothing = np.zeros(len(rows), dtype=np.bool_)
    return Outcome(
        images=images,
        given=given,
        labels=labels,
        by=("",) * len(rows),
        is_excluded=np.array([name in excluded for name in images]),
        is_broken=nothing,
        is_open=nothing,
    )


def test_only_the_cell_of_a_changed_row_differs(tmp_path: Path):
    data = (
        b'\xef\xbb\xbfnote , image,"label",x\r\n'
        b'"a ""b""\r\nc",1.png,"cat" , 007 \r\n'
        b"\r\n"
        b'5" pipe,2.png,cat,"9"\n'
        b",3.png,dog,"
    )
    expected = data.replace(b'"cat" , 007', b'"fox", 007').replace(b"png,cat", b'png,"big, dog"')
    found = rewritten(tmp_path / "t.csv", data, image=1, label=2, labels={0: "fox", 1: "big, dog"})
    assert found == expected


def test_a_dropped_row_goes_with_its_line_and_new_rows_end_as_the_others(tmp_path: Path):
    data = b"a\timage\tlabel\r\n1\tx.png\tcat\r\n2\ty.png\tcat"
    found = rewritten(
        tmp_path / "t.tsv",
        data,
        image=1,
        label=2,
        dropped=frozenset({0}),
        added=(("z,\t.png", "dog"),),
    )
    assert found == b'a\timage\tlabel\r\n2\ty.png\tcat\r\n\t"z,\t.png"\tdog\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_the_encoding_stays(tmp_path: Path, encoding: str):
    text = "image,label\nü.png,Käse\né.png,Bär\n"
    found = rewritten(tmp_path / "t.csv", text.encode(encoding), labels={1: "Öl"})
    assert found == text.replace("Bär", "Öl").encode(encoding)


def test_a_label_that_the_encoding_lacks_makes_it_utf_8(tmp_path: Path):
    data = "image,label\nü.png,Käse\n".encode("cp1252")
    found, notes = rewrite_text(edit_of(tmp_path / "t.csv", data, labels={0: "猫"}), data)
    assert found.decode() == "image,label\nü.png,猫\n"
    assert notes == ("written as UTF-8: cp1252 of t.csv lacks letters of it",)


cells = st.text(st.sampled_from("ab \",;\r\n\t'é"), max_size=5)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=4), cells, st.data())
def test_any_csv_reads_back_with_the_edit_and_nothing_else(tmp_path_factory, rows, new, data):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("image", "label", "more"), *rows])
    text = out.getvalue().encode()
    row = data.draw(st.integers(0, len(rows) - 1))
    dropped = frozenset(data.draw(st.sets(st.integers(0, len(rows) - 1))) - {row})
    found = rewritten(path, text, labels={row: new}, dropped=dropped)
    wanted = [list(cells) for cells in rows]
    wanted[row][1] = new
    wanted = [cells for k, cells in enumerate(wanted) if k not in dropped]
    assert list(csv.reader(io.StringIO(found.decode(), newline="")))[1:] == wanted


def test_json_lines_change_in_the_value_alone(tmp_path: Path):
    data = (
        b'{ "label" : "cat","x":[1.0, {"label": 3}] ,"image":"a.png"}\r\n'
        b"\n"
        b'{"image": "b.png", "label": 3}\n'
        b'{"image": "c.png"}\n'
        b'{"image": "d.png", "label": "cat"}'
    )
    found = rewritten(
        tmp_path / "t.jsonl",
        data,
        image=2,
        label=0,
        labels={0: "Bär", 1: "5", 2: "dog"},
        dropped=frozenset({3}),
        added=(("é.png", "dog"),),
    )
    assert found.decode() == (
        '{ "label" : "B\\u00e4r","x":[1.0, {"label": 3}] ,"image":"a.png"}\r\n'
        "\n"
        '{"image": "b.png", "label": 5}\n'
        '{"image": "c.png", "label": "dog"}\n'
        '{"image": "é.png", "label": "dog"}\n'
    )


def test_parquet_keeps_types_codecs_groups_and_bytes(tmp_path: Path):
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features = {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    meta = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    schema = pa.schema(
        [("image", image), pa.field("label", pa.int64()), ("w", pa.float32())], metadata=meta
    )
    cells = [{"bytes": bytes([k] * 9), "path": f"{k}.png"} for k in range(6)]
    table = pa.table([cells, [0, 1, 0, 1, 0, None], [0.1] * 6], schema=schema)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2, compression="gzip")
    edit = edit_of(
        tmp_path / "a.parquet", labels={0: "dog", 5: "fox"}, dropped=frozenset({2, 3, 4})
    )
    rewrite_parquet(edit, tmp_path / "b.parquet", quiet)
    found = pq.ParquetFile(tmp_path / "b.parquet")
    assert found.schema_arrow.types == schema.types
    assert found.read().to_pylist() == [
        {"image": cells[k], "label": label, "w": table["w"][k].as_py()}
        for k, label in ((0, 1), (1, 1), (5, 2))
    ]
    info = json.loads(found.schema_arrow.metadata[b"huggingface"])
    assert info["info"]["features"]["label"]["names"] == ["cat", "dog", "fox"]
    assert found.metadata.num_row_groups == 2
    assert found.metadata.row_group(0).column(0).compression == "GZIP"


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string()), pa.int16()]
)
def test_parquet_labels_of_each_type(tmp_path: Path, kind):
    labels = ["1", "2"] if kind != pa.int16() else [1, 2]
    table = pa.table({"image": ["a", "b"], "label": pa.array(labels, kind), "n": [1, 2]})
    pq.write_table(table, tmp_path / "a.parquet")
    edit = edit_of(tmp_path / "a.parquet", labels={0: "9"}, added=(("c", "7"),))
    rewrite_parquet(edit, tmp_path / "b.parquet", quiet)
    found = pq.read_table(tmp_path / "b.parquet")
    assert found.schema.field("label").type == kind
    assert [str(cell) for cell in found["label"].to_pylist()] == ["9", "2", "7"]
    assert found["n"].to_pylist() == [1, 2, None]


def test_a_column_of_numbers_cannot_hold_a_word(tmp_path: Path):
    pq.write_table(pa.table({"image": ["a"], "label": [1]}), tmp_path / "a.parquet")
    edit = edit_of(tmp_path / "a.parquet", labels={0: "dog"})
    with pytest.raises(SourceError, match="'label' is int64 and cannot hold the label 'dog'"):
        rewrite_parquet(edit, tmp_path / "b.parquet", quiet)


def test_files_move_to_their_class_and_lose_no_other_of_that_name():
    files = ["cat/I.png", "cat/2.png", "cat/x/3.png", "dog/i.PNG", "free.png", "new/1.png"]
    outcome = outcome_of(
        ("cat/I.png", "cat", "dog"),
        ("cat/2.png", "cat", "cat"),
        ("cat/x/3.png", "cat", "dog"),
        ("dog/i.PNG", "dog", "dog"),
        ("free.png", "", "cat"),
        excluded={"cat/2.png"},
    )
    placing = place_in_classes(files, outcome)
    assert dict(placing.moves) == {
        "cat/I.png": "dog/I-2.png",
        "cat/x/3.png": "dog/x/3.png",
        "dog/i.PNG": "dog/i.PNG",
        "free.png": "cat/free.png",
        "new/1.png": "new/1.png",
    }
    assert (placing.renamed, placing.unreported) == (1, 1)


def test_splits_stay_above_the_classes():
    outcome = outcome_of(("train/cat/1.png", "cat", "dog"), ("val/dog/1.png", "dog", "dog"))
    moves = place_in_classes(list(outcome.images), outcome).moves
    assert dict(moves)["train/cat/1.png"] == "train/dog/1.png"


@pytest.mark.parametrize("label", ["../x", "a/b", "a\\b", "..", ".git", "", " ", "a\0", "x" * 256])
def test_a_label_that_leads_elsewhere_is_no_folder(label: str):
    with pytest.raises(ReportError, match=r"of cat/1.png .*, so it cannot be a folder"):
        place_in_classes(["cat/1.png"], outcome_of(("cat/1.png", "cat", label)))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a", "b\n"):
        (folder / name).write_bytes(name.encode())
    return folder


def written_folder(images: Path, out: Path, how: str) -> Path:
    moves = [("a", "x/a"), ("b\n", "y/b\n")]
    return write_result(
        out, lambda place: link_files(moves, images, place, how, quiet), {"apply_log": 1}
    )


@pytest.mark.parametrize("how", ["copy", "hard", "sym"])
def test_links_lead_to_the_images_and_undo_removes_them_alone(images: Path, how: str):
    out = images.parent / "out"
    written_folder(images, out, how)
    assert (out / "y" / "b\n").read_bytes() == b"b\n"
    assert (out / "x" / "a").is_symlink() == (how == "sym")
    assert (out / "x" / "a").samefile(images / "a") == (how != "copy")
    undone = undo(out, quiet)
    assert (undone.removed, undone.restored) == (2, False)
    assert sorted(os.listdir(images.parent)) == ["images"]
    assert (images / "a").read_bytes() == b"a"


@pytest.mark.parametrize("how", ["copy", "hard", "sym"])
def test_undo_refuses_what_was_changed_added_or_removed(images: Path, how: str):
    changes = [
        lambda out: ((out / "x" / "a").unlink(), (out / "x" / "a").write_bytes(b"a new one")),
        lambda out: (out / "more.txt").write_text("mine"),
        lambda out: (out / "x" / "a").unlink(),
    ]
    for number, change in enumerate(changes):
        out = images.parent / f"out{number}"
        written_folder(images, out, how)
        change(out)
        with pytest.raises(ReportError, match="changed since apply wrote it: nothing was undone"):
            undo(out, quiet)
        assert (out / "y" / "b\n").exists()


def test_undo_goes_back_one_apply_at_a_time(tmp_path: Path):
    out = tmp_path / "clean.csv"
    out.write_text("mine")
    for text in (b"one", b"two"):
        write_result(out, lambda place, text=text: [write_bytes(place, text)], {"apply_log": 1})
    assert out.read_bytes() == b"two"
    assert undo(out, quiet).restored
    assert out.read_bytes() == b"one"
    assert undo(out, quiet).restored
    assert os.listdir(tmp_path) == ["clean.csv"]
    assert out.read_text() == "mine"
    with pytest.raises(ReportError, match="has no clean.csv.apply.json beside it"):
        undo(out, quiet)


def test_undo_brings_back_what_was_there_if_the_result_is_gone(tmp_path: Path):
    out = tmp_path / "clean.csv"
    out.write_text("mine")
    write_result(out, lambda place: [write_bytes(place, b"x")], {"apply_log": 1})
    out.unlink()
    assert undo(out, quiet).restored
    assert out.read_text() == "mine"


def test_a_lost_backup_stops_undo_before_anything_is_moved(tmp_path: Path):
    out = tmp_path / "clean.csv"
    out.write_text("mine")
    write_result(out, lambda place: [write_bytes(place, b"x")], {"apply_log": 1})
    (tmp_path / "clean.csv.before-1").unlink()
    with pytest.raises(ReportError, match="before-1: is gone"):
        undo(out, quiet)
    assert out.read_bytes() == b"x"


@pytest.mark.parametrize(
    "text",
    ["x", "{}", '{"apply_log": 1}', '{"apply_log": 2}', "[]"]
    + [
        json.dumps({"apply_log": 1, "before": before, "written": [["", "sha256:0"]]})
        for before in ([], {"number": "../x", "out": True, "log": False})
    ],
)
def test_a_log_that_is_none_is_refused(tmp_path: Path, text: str):
    (tmp_path / "c.csv").write_text("x")
    (tmp_path / "c.csv.apply.json").write_text(text)
    with pytest.raises(ReportError, match="c.csv.apply.json: (damaged|not a log)"):
        undo(tmp_path / "c.csv", quiet)
    assert (tmp_path / "c.csv").read_text() == "x"


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_failed_move_leaves_all_as_it_was(tmp_path: Path, monkeypatch, fails_at: int):
    out = tmp_path / "clean.csv"
    write_result(out, lambda place: [write_bytes(place, b"one")], {"apply_log": 1})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replace, calls = os.replace, []

    def failing(old, new):
        calls.append(old)
        if len(calls) == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(old, new)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OutputError, match="cannot be written: No space left on device; free"):
        write_result(out, lambda place: [write_bytes(place, b"two")], {"apply_log": 1})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_full_disk_in_the_middle_leaves_nothing(images: Path, monkeypatch):
    copy, calls = writing.shutil.copy2, []

    def failing(old, new):
        calls.append(old)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return copy(old, new)

    monkeypatch.setattr(writing.shutil, "copy2", failing)
    with pytest.raises(OutputError, match="No space left on device"):
        written_folder(images, images.parent / "out", "copy")
    assert os.listdir(images.parent) == ["images"]


def test_an_image_that_cannot_be_read_is_named_and_not_the_place_to_write(images: Path):
    (images / "a").unlink()
    with pytest.raises(SourceError, match="images/a: cannot be read .No such file"):
        written_folder(images, images.parent / "out", "copy")
    assert os.listdir(images.parent) == ["images"]


def test_out_is_refused_in_the_source_around_it_and_in_place_of_it(tmp_path: Path):
    folder = tmp_path / "data" / "images"
    folder.mkdir(parents=True)
    table = tmp_path / "data" / "labels.csv"
    table.write_text("x")
    (tmp_path / "way").symlink_to(folder)
    (tmp_path / "same.csv").symlink_to(table)

    def check(out, force=True):
        check_out(tmp_path / out, files=[table], folder=folder, force=force)

    check("data/clean.csv")
    for out, message in (
        ("data/images", "is in the source"),
        ("data/images/clean", "is in the source"),
        ("way/clean", "is in the source"),
        ("way", "is in the source"),
        ("data", "is or holds .*labels.csv, which is never touched"),
        ("data/labels.csv", "is or holds"),
        ("same.csv", "is or holds"),
        ("no/clean.csv", "there is no folder .*no: make it"),
        ("x" * 250, "cannot be written: File name too long"),
    ):
        with pytest.raises(LabelcleanError, match=message):
            check(out)
    with pytest.raises(ConfigError, match="is in the source .*images, or holds it"):
        check_out(tmp_path / "data", files=[], folder=folder, force=True)
    (tmp_path / "old.csv").write_text("x")
    check("old.csv")
    with pytest.raises(OutputError, match="already exists; choose another name, or --force"):
        check("old.csv", force=False)
