"""apply writes corrected labels in the form they came in, whatever that was."""

from __future__ import annotations

import bz2
import gzip
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_data import meta_of
from source_data import coco, given, labels_file, pack, put
from typer.testing import CliRunner

from labelclean import sources
from labelclean.cli import app
from labelclean.report.report import COLUMNS, Report
from labelclean.sources import formats
from labelclean.sources.protocol import FileFormat, Found, LabelPlaces, Place
from labelclean.sources.rows import read_rows
from labelclean.sources.with_files import with_files
from labelclean.tables.read_table import read_table

NAMES = ("0.png", "1.png", "2.png", "3.png")
LABELS = ("cat", "dog", "cat", "dog")


def filtered(folder: Path, source: Path, changed: str, to: str, **options: object) -> None:
    """report.csv as filter writes it, with one issue."""
    how = sources.SourceOptions(**options)  # type: ignore[arg-type]
    table = sources.read(source, how)
    classes = (*table.class_names, "")
    labels = [classes[k] for k in table.labels]
    is_issue = [path == changed for path in table.paths]
    assert sum(is_issue) == 1, table.paths
    columns = {
        **dict.fromkeys(COLUMNS, [float("nan")] * len(table)),
        "image": table.paths,
        "given_label": labels,
        "suggested_label": [to if x else g for x, g in zip(is_issue, labels, strict=True)],
        "is_label_issue": is_issue,
        "issue_probability": [0.99 if x else 0.01 for x in is_issue],
        "second_label": labels,
        "status": table.status,
        "flags": [""] * len(table),
    }
    root = None if table.root is None else str(table.root)
    meta = meta_of(class_names=table.class_names, image_root=root, source=how.record(str(source)))
    Report.from_columns(columns, meta).write(folder / "report.csv", force=True)


def applied(folder: Path, out: Path, code: int = 0) -> str:
    words = ["apply", str(folder / "report.csv"), "--above", "0.9", "--out", str(out)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == code, done.output
    return done.stderr


def rows(*cells: str) -> str:
    return "".join(f"{name}{cell}\n" for name, cell in zip(NAMES, cells, strict=True))


TABLES = [
    ("pipes.csv", "image|label|x\n", ("|cat|1", "|dog|", "|cat|", "|dog|"), "|dog|1", {}),
    ("sep.csv", "sep=;\nimage;label\n", (";cat", ";dog", ";cat", ";dog"), ";dog", {}),
    ("comments.csv", "# by hand\nimage,label\n", (",cat", ",dog", ",cat", ",dog"), ",dog", {}),
    ("spaces.txt", "image   label\n", ("   cat", "   dog", "   cat", "   dog"), "   dog", {}),
    ("bare.csv", "", (",cat", ",dog", ",cat", ",dog"), ",dog",
     {"image_col": "1", "label_col": "2"}),
    ("hot.csv", "image,cat,dog\n", (",1.0,0.0", ",0.0,1.0", ",1.0,0.0", ",0.0,1.0"),
     ",0.0,1.0", {}),
    ("json.csv", "image,label\n", (",\"['cat']\"", ",\"['dog']\"", ",\"['cat']\"", ",dog"),
     ",\"['dog']\"", {}),
    ("choices.csv", "image,label\n", (',"{""choices"":[""cat""]}"', ",dog", ",cat", ",dog"),
     ',"{""choices"":[""dog""]}"', {}),
    ("alike.csv", "image,label\n", (",Cat", ",dog", ",cat", ",cat"), ",dog",
     {"merge_labels": True}),
    ("several.csv", "image,label\n", (",cat", ",dog", ",cat|dog", ",dog"), ",dog",
     {"multi_label": "skip"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "head", "cells", "new", "options"), TABLES, ids=lambda x: str(x)[:9]
)
def test_only_the_cell_of_the_changed_row_differs(tmp_path, name, head, cells, new, options):
    put(tmp_path / "i", *NAMES)
    table = tmp_path / name
    table.write_text(head + rows(*cells))
    filtered(tmp_path, tmp_path / "i", "0.png", "dog", labels=table, **options)
    out = tmp_path / f"clean{table.suffix}"
    applied(tmp_path, out)
    assert out.read_text() == head + rows(new, *cells[1:])
    again = sources.read(
        tmp_path / "i", sources.SourceOptions(labels=out, is_to_train=False, **options)
    )
    assert given(again)["0.png"] == "dog"


def test_a_table_in_a_named_encoding_stays_in_it(tmp_path):
    put(tmp_path / "i", *NAMES)
    text = "image,label\n" + rows(",\u72d7\u72ac", ",\u732b", ",\u72d7\u72ac", ",\u732b")
    (tmp_path / "t.csv").write_bytes(text.encode("gbk"))
    options = {"labels": tmp_path / "t.csv", "encoding": "gbk"}
    filtered(tmp_path, tmp_path / "i", "0.png", "\u732b", **options)
    applied(tmp_path, tmp_path / "clean.csv")
    expected = text.replace("0.png,\u72d7\u72ac", "0.png,\u732b")
    assert (tmp_path / "clean.csv").read_bytes() == expected.encode("gbk")


@pytest.mark.parametrize(("ending", "module"), [("gz", gzip), ("bz2", bz2)])
def test_a_compressed_table_is_compressed_again(tmp_path, ending, module):
    put(tmp_path / "i", *NAMES)
    text = "image,label\n" + rows(",cat", ",dog", ",cat", ",dog")
    table = tmp_path / f"t.csv.{ending}"
    table.write_bytes(module.compress(text.encode()))
    filtered(tmp_path, tmp_path / "i", "0.png", "dog", labels=table)
    applied(tmp_path, tmp_path / f"clean.csv.{ending}")
    found = module.decompress((tmp_path / f"clean.csv.{ending}").read_bytes()).decode()
    assert found == text.replace("0.png,cat", "0.png,dog")


def test_a_list_in_parquet_and_json_lines_stays_a_list(tmp_path):
    put(tmp_path / "i", *NAMES)
    table = pa.table({"image": NAMES, "label": [[label] for label in LABELS]})
    pq.write_table(table, tmp_path / "t.parquet")
    filtered(tmp_path, tmp_path / "i", "0.png", "dog", labels=tmp_path / "t.parquet")
    applied(tmp_path, tmp_path / "clean.parquet")
    found = pq.read_table(tmp_path / "clean.parquet")["label"].to_pylist()
    assert found == [["dog"], ["dog"], ["cat"], ["dog"]]
    lines = "".join(
        f'{{"image": "{n}", "label": ["{x}"]}}\n' for n, x in zip(NAMES, LABELS, strict=True)
    )
    (tmp_path / "t.jsonl").write_text(lines)
    filtered(tmp_path, tmp_path / "i", "0.png", "dog", labels=tmp_path / "t.jsonl")
    applied(tmp_path, tmp_path / "clean.jsonl")
    assert (tmp_path / "clean.jsonl").read_text() == lines.replace(
        '"0.png", "label": ["cat"]', '"0.png", "label": ["dog"]'
    )


def test_a_one_hot_table_refuses_a_class_without_a_column(tmp_path):
    put(tmp_path / "i", *NAMES)
    csv = labels_file(tmp_path / "hot.csv", "0.png,1,0", "1.png,0,1", header="image,cat,dog")
    filtered(tmp_path, tmp_path / "i", "0.png", "fox", labels=csv)
    assert "none for 'fox'" in applied(tmp_path, tmp_path / "clean.csv", code=2)


@pytest.mark.parametrize(
    "layout", ["seg_train/seg_train/{}/a.png", "training_set/{}/a.png", "W/train/{}/a.png",
               "data/train/{}/deep/a.png"],
)  # fmt: skip
def test_a_file_moves_to_the_folder_of_its_class_and_never_to_another_split(tmp_path, layout):
    names = [layout.format(label) for label in ("cat", "dog")]
    test = [name.replace("train", "test").replace("testing_set", "test_set") for name in names]
    put(tmp_path / "W", *names, *[name.replace("a.png", "b.png") for name in names], *test)
    filtered(tmp_path, tmp_path / "W", names[0], "dog")
    applied(tmp_path, tmp_path / "clean")
    moved = layout.format("dog").replace("a.png", "a-2.png")
    assert (tmp_path / "clean" / moved).read_bytes() == names[0].encode()
    before = {p.relative_to(tmp_path / "W").as_posix() for p in (tmp_path / "W").rglob("*.png")}
    after = {
        p.relative_to(tmp_path / "clean").as_posix() for p in (tmp_path / "clean").rglob("*.png")
    }
    assert after == before - {names[0]} | {moved}


def test_labels_of_images_in_an_archive_are_written_as_a_table_that_filter_takes(tmp_path):
    with zipfile.ZipFile(tmp_path / "i.zip", "w") as out:
        for name, label in zip(NAMES, LABELS, strict=True):
            out.writestr(f"{label}/{name}", name)
    filtered(tmp_path, tmp_path / "i.zip", "cat/0.png", "dog")
    applied(tmp_path, tmp_path / "clean.csv")
    options = sources.SourceOptions(labels=tmp_path / "clean.csv")
    assert given(sources.read(tmp_path / "i.zip", options))["cat/0.png"] == "dog"


class KeyFile(FileFormat):
    """A format of its own: key.csv in the folder of the images."""

    name = "folder with a key"

    def looks_like(self, place: Place) -> str | None:
        return "key.csv in it" if place.is_folder and "key.csv" in place.tables else None

    def read(self, place: Place, labelled: bool) -> Found:
        table = read_table(place.path / "key.csv")
        rows = read_rows(table, place.options)
        return with_files(rows, place.holder, root=place.root, why="key.csv in it", is_walked=True)

    def label_places(self, place: Place) -> LabelPlaces:
        return LabelPlaces(tables=(place.path / "key.csv",))


def test_a_format_that_says_where_its_labels_stand_is_written_back(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "FORMATS", [KeyFile(), *formats.FORMATS])
    images = tmp_path / "images"
    put(images, *NAMES)
    labels_file(images / "key.csv", *(f"{n},{c}" for n, c in zip(NAMES, LABELS, strict=True)))
    filtered(tmp_path, images, "1.png", "cat")
    applied(tmp_path, tmp_path / "key.csv")
    labels = "0.png,cat\n1.png,cat\n2.png,cat\n3.png,dog\n"
    assert (tmp_path / "key.csv").read_text() == "image,label\n" + labels


def test_labels_of_annotation_tools_are_written_as_a_new_table(tmp_path):
    images = tmp_path / "images"
    put(images, *NAMES)
    labelled = coco({name: [label] for name, label in zip(NAMES, LABELS, strict=True)})
    (tmp_path / "coco.json").write_text(json.dumps(labelled))
    filtered(tmp_path, images, "1.png", "cat", labels=tmp_path / "coco.json")
    applied(tmp_path, tmp_path / "clean.csv")
    labels = "0.png,cat\n1.png,cat\n2.png,cat\n3.png,dog\n"
    assert (tmp_path / "clean.csv").read_text() == "image,label\n" + labels
    assert "ends in .csv" in applied(tmp_path, tmp_path / "clean.json", code=2)


def test_the_labels_of_pascal_voc_are_written_as_a_new_table(tmp_path):
    root = tmp_path / "VOC"
    put(root, *(f"JPEGImages/{name}" for name in NAMES))
    for name, label in zip(NAMES, LABELS, strict=True):
        place = root / "Annotations" / name.replace(".png", ".xml")
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"<annotation><object><name>{label}</name></object></annotation>")
    filtered(tmp_path, root, "JPEGImages/1.png", "cat")
    applied(tmp_path, tmp_path / "clean.csv")
    table = sources.read(root, sources.SourceOptions(labels=tmp_path / "clean.csv"))
    assert given(table)["JPEGImages/1.png"] == "cat" and len(table) == 4


def test_labels_of_many_files_become_a_new_table_that_filter_takes(tmp_path: Path):
    labels = {"a.png": "cat", "b.png": "dog", "c.png": "cat", "d.png": "dog"}
    for number in range(2):
        contents: dict[str, bytes] = {}
        for name in list(labels)[2 * number : 2 * number + 2]:
            contents |= {name: b"x", name.replace("png", "cls"): labels[name].encode()}
        pack(tmp_path / f"part-{number}.tar", contents)
    pattern = tmp_path / "part-{0..1}.tar"
    filtered(tmp_path, pattern, "part-0/a.png", "dog")
    applied(tmp_path, tmp_path / "clean.csv")
    table = sources.read(pattern, sources.SourceOptions(labels=tmp_path / "clean.csv"))
    assert given(table) == {
        f"part-{row // 2}/{name}": "dog" if name == "a.png" else label
        for row, (name, label) in enumerate(labels.items())
    }


def test_labels_inside_many_parquet_files_are_written_for_their_folder(tmp_path: Path):
    for number in range(2):
        images = [f"image {number} {k}".encode() for k in range(2)]
        table = pa.table({"image": images, "label": ["cat", "dog"]})
        (tmp_path / "shards").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "shards" / f"part-{number}.parquet")
    pattern = str(tmp_path / "shards" / "part-*.parquet")
    filtered(tmp_path, Path(pattern), "part-1.parquet#0", "dog")
    report = Report.read(tmp_path / "report.csv")
    read = sources.read(pattern, sources.SourceOptions())
    source = {**report.meta.source, **read.recorded}
    replace(report, meta=replace(report.meta, source=source)).write(tmp_path / "report.csv", True)
    assert "give it by --images" in applied(tmp_path, tmp_path / "clean", code=2)
    words = ["apply", tmp_path / "report.csv", "--above", "0.9", "--out", tmp_path / "clean"]
    done = CliRunner().invoke(app, [*map(str, words), "--images", str(tmp_path / "shards")])
    assert done.exit_code == 0, done.output
    assert given(sources.read(tmp_path / "clean", sources.SourceOptions())) == {
        "part-0.parquet#0": "cat",
        "part-0.parquet#1": "dog",
        "part-1.parquet#0": "dog",
        "part-1.parquet#1": "dog",
    }
