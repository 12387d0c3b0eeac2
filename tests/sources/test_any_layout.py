"""Layouts drawn at random: each image gets the label that its maker gave it, or one line refuses.

LAYOUTS=5000 draws more of them, and others each time (make fuzz).
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings
from source_data import put

from labelclean.data.samples import NO_LABEL
from labelclean.errors import SourceError
from labelclean.sources import SourceOptions, read

LAYOUTS = int(os.environ.get("LAYOUTS", 500))
CLASSES = ("cat", "Dog", "red panda", "7", "007", "été", "train station", "x.y", "bus", "-1a", "猫")
# How a split is spelled, and what it is.
SPLITS = (
    {"train": "train", "test": "test"},
    {"train": "train", "val": "validation", "test": "test"},
    {"training_set": "train", "test_set": "test"},
    {"images_train": "train", "images_val": "validation"},
    {"seg_train/seg_train": "train", "seg_test/seg_test": "test"},
    {"Training": "train", "Testing": "test"},
    {"train": "train", "valid": "validation"},
)
EXTRA = (
    "__MACOSX/._a.png", ".ipynb_checkpoints/b.png", "@eaDir/c.png", ".DS_Store", "README.txt",
    "Thumbs.db", "unlabeled/u1.png", "images to predict/p.png", "notes/todo.md", ".hidden/d.jpg",
)  # fmt: skip
HIDDEN = ("__MACOSX", ".ipynb", "@eaDir", ".hidden")
IMAGE_COLUMNS = ("image", "file_name", "filename", "path", "img", "Image Name")
LABEL_COLUMNS = ("label", "class", "target", "species", "category")


@dataclass
class Layout:
    """A drawn folder, what is given with it, and the truth of every image."""

    labels: dict[str, str] = field(default_factory=dict)  # path -> label
    splits: dict[str, str] = field(default_factory=dict)  # path -> train, test, validation
    extra: list[str] = field(default_factory=list)  # files without a label
    table: bytes = b""
    table_name: str = ""
    is_beside: bool = True  # the table is given as LABELS; False: it is in the folder, as metadata
    kind: str = ""


@st.composite
def class_folders(draw: st.DrawFn) -> Layout:
    layout = Layout()
    classes = draw(st.lists(st.sampled_from(CLASSES), min_size=2, max_size=4, unique=True))
    above = draw(st.sampled_from(["", "", "data/", "archive/images/"]))
    splits = draw(st.one_of(st.just({"": ""}), st.sampled_from(SPLITS)))
    below = draw(st.sampled_from(["", "", "", "images/"]))
    same_names = draw(st.booleans())
    for split, meaning in splits.items():
        for k, name in enumerate(classes):
            for number in range(draw(st.integers(2, 4))):
                file = f"{number}.png" if same_names else f"{k}_{number}.jpg"
                path = above + (f"{split}/" if split else "") + f"{name}/{below}{file}"
                layout.labels[path] = name
                if meaning:
                    layout.splits[path] = meaning
    layout.extra = [above + path for path in draw(st.lists(st.sampled_from(EXTRA), unique=True,
                                                           max_size=3))]  # fmt: skip
    layout.kind = "class folders" + (" in splits" if "" not in splits else "")
    return layout


@st.composite
def tables(draw: st.DrawFn) -> Layout:
    layout = Layout()
    classes = draw(st.lists(st.sampled_from(CLASSES), min_size=2, max_size=4, unique=True))
    folders = draw(st.sampled_from([("",), ("images/",), ("a/", "b/"), ("train_images/",)]))
    size = draw(st.integers(6, 14))
    rows = []
    style = draw(st.sampled_from(["path", "name", "stem", "absolute", "windows"]))
    split_words = draw(st.sampled_from([None, ("train", "test"), ("Train", "Val"), ("0", "1")]))
    for k in range(size):
        path = folders[k % len(folders)] + f"img_{k:03d}.png"
        label = classes[k % len(classes)]
        layout.labels[path] = label
        cell = {
            "path": path,
            "name": Path(path).name,
            "stem": Path(path).stem,
            "absolute": f"/somewhere/else/{path}",
            "windows": path.replace("/", "\\"),
        }[style]
        row = [cell, label]
        if split_words:
            word = split_words[int(k % 4 == 3)]
            row.append(word)
            if split_words != ("0", "1"):
                layout.splits[path] = {"Val": "validation"}.get(word, word.lower())
        rows.append(row)
    columns = [draw(st.sampled_from(IMAGE_COLUMNS)), draw(st.sampled_from(LABEL_COLUMNS))]
    columns += ["split"] if split_words else []
    order = draw(st.permutations(range(len(columns))))
    columns, rows = [columns[k] for k in order], [[row[k] for k in order] for row in rows]
    if draw(st.booleans()):  # the number of the row
        columns = ["id", *columns]
        rows = [[str(k), *row] for k, row in enumerate(rows)]
    layout.table_name, layout.table = _written(draw, columns, rows)
    layout.extra = draw(st.lists(st.sampled_from(EXTRA), unique=True, max_size=2))
    layout.kind = f"table, {style}"
    return layout


@st.composite
def metadata(draw: st.DrawFn) -> Layout:
    layout = Layout(is_beside=False)
    classes = draw(st.lists(st.sampled_from(CLASSES), min_size=2, max_size=4, unique=True))
    rows = []
    for k in range(draw(st.integers(6, 12))):
        path = f"{'sub/' if k % 3 == 0 else ''}{k:02d}.png"
        layout.labels[path] = classes[k % len(classes)]
        rows.append([path, layout.labels[path]])
    columns = ["file_name", draw(st.sampled_from(LABEL_COLUMNS))]
    ending = draw(st.sampled_from(["csv", "jsonl"]))
    layout.table = _lines(columns, rows) if ending == "jsonl" else _csv(columns, rows, ",")
    layout.table_name = f"metadata.{ending}"
    layout.extra = draw(st.lists(st.sampled_from(EXTRA), unique=True, max_size=2))
    layout.kind = "metadata"
    return layout


def _written(draw: st.DrawFn, columns: list[str], rows: list[list[str]]) -> tuple[str, bytes]:
    kind = draw(st.sampled_from(["csv", "semicolon", "tsv", "bom", "utf-16", "jsonl", "comment"]))
    if kind == "jsonl":
        return "labels.jsonl", _lines(columns, rows)
    text = _csv(columns, rows, {"semicolon": ";", "tsv": "\t"}.get(kind, ","))
    if kind == "bom":
        text = b"\xef\xbb\xbf" + text
    if kind == "utf-16":
        text = text.decode().encode("utf-16")
    if kind == "comment":
        text = b"# made by hand\n" + text
    return ("labels.tsv" if kind == "tsv" else "labels.csv"), text


def _csv(columns: list[str], rows: list[list[str]], delimiter: str) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([columns, *rows])
    return out.getvalue().encode()


def _lines(columns: list[str], rows: list[list[str]]) -> bytes:
    lines = (json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


FOUND: Counter[str] = Counter()
REFUSED: list[str] = []


@settings(
    max_examples=LAYOUTS,
    deadline=None,
    derandomize="LAYOUTS" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(st.one_of(class_folders(), tables(), metadata()))
def check_layout(folder: Path, layout: Layout) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "W"
    put(source, *layout.labels, *layout.extra)
    options = SourceOptions()
    if layout.table:
        place = folder if layout.is_beside else source
        (place / layout.table_name).write_bytes(layout.table)
        if layout.is_beside:
            options = SourceOptions(labels=folder / layout.table_name)
    try:
        table = read(source, options)
    except SourceError as error:
        assert "\n" not in str(error)
        FOUND["refused"] += 1
        REFUSED.append(f"{layout.kind}: {error}")
        return
    FOUND[layout.kind] += 1
    root = source if table.root is None else Path(table.root)
    read_as: dict[str, tuple[str | None, bool]] = {}
    for path, code, held in zip(table.paths, table.labels, table.held_out, strict=True):
        name = (root / path).relative_to(source.absolute()).as_posix()
        read_as[name] = (None if code == NO_LABEL else table.class_names[code], bool(held))
    for path, label in layout.labels.items():
        assert path in read_as, f"{path} has no row"
        assert read_as[path][0] == label, f"{path} is {label}, read as {read_as[path][0]}"
        held_out = layout.splits.get(path, "train") != "train"
        assert read_as[path][1] == held_out, f"{path}: held out {read_as[path][1]}"
    for path in layout.extra:
        label = read_as.get(path, (None, False))[0]
        assert label is None, f"{path} has no label, read as {label}"
        assert path not in read_as or not any(f"/{h}" in f"/{path}" for h in HIDDEN), path


def test_any_layout_is_read_as_it_was_made_or_refused(tmp_path: Path) -> None:
    FOUND.clear()
    check_layout(tmp_path / "x")
    refused = FOUND.pop("refused", 0)
    print(f"read {dict(FOUND)}, refused {refused}", *sorted(set(REFUSED)), sep="\n")
    assert refused <= 0.2 * (refused + FOUND.total()), Counter(
        text.split(":")[0] for text in REFUSED
    )
