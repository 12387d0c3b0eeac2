"""Files with bytes, values or rows changed at random: a result or one line, never a traceback.

MUTANTS sets how many of each kind; those of continuous integration take about a minute together.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fault_data import SEED
from PIL import Image
from report_data import report_of

from labelclean.apply.undoing import undo
from labelclean.config.source_options import SourceOptions
from labelclean.data.images import ImageSpec, UnreadableImage, decode
from labelclean.data.quiet import quiet
from labelclean.decisions.store import read_decisions
from labelclean.errors import LabelcleanError
from labelclean.learning.model_folder import ModelConfig, load_model, weights_bytes, write_folder
from labelclean.report.foreign import read_any
from labelclean.report.report import Report
from labelclean.report.summary import summary_text
from labelclean.sources import read_source

COUNT = int(os.environ.get("MUTANTS", "300"))
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "PPM", "TGA", "JPEG2000", "PCX")
SPEC = ImageSpec(size=16, resize=18)


def mutants(data: bytes, name: str, count: int = COUNT) -> Iterator[bytes]:
    """The bytes with some changed, cut out, doubled or replaced by troublesome ones."""
    dice = random.Random(f"{SEED} {name}")
    pieces = (
        b"\xff" * 8,
        b"\0" * 8,
        b"\x80",
        b'"',
        b",",
        b"\n",
        b"=cmd()",
        b"\xf4",
        b"1e999",
        b"-1",
    )
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(dice.choice((1, 1, 2, 5))):
            at = dice.randrange(len(changed) or 1)
            kind = dice.randrange(5)
            if kind == 0 and changed:
                changed[at % len(changed)] ^= 1 << dice.randrange(8)
            elif kind == 1:
                del changed[at : at + dice.choice((1, 8, 100))]
            elif kind == 2:
                changed[at:at] = changed[at : at + 50]
            elif kind == 3:
                piece = dice.choice(pieces)
                changed[at : at + len(piece)] = piece
            else:
                del changed[at:]
        yield bytes(changed)


def value_mutants(found: Any, name: str, count: int = COUNT) -> Iterator[Any]:
    """The value of JSON with one or two of its parts replaced by others."""
    dice = random.Random(f"{SEED} {name}")
    strange: tuple[Any, ...] = (
        None, True, -1, 0, 3.7, 1e308, 10**40, "", "x", "\ud800", "\udcf4", "a\0b", "../../x",
        "x" * 5000, [], {}, [[]], [1, "a", None], {"a": {}}, [[0.5], [0.5, 0.5]], float("nan"),
    )  # fmt: skip
    for _ in range(count):
        copy = json.loads(json.dumps(found))
        for _ in range(dice.choice((1, 1, 2))):
            place: Any = copy
            while True:
                keys = list(place) if isinstance(place, dict) else range(len(place))
                if not keys:
                    break
                key = dice.choice(list(keys))
                if isinstance(place[key], dict | list) and place[key] and dice.random() < 0.6:
                    place = place[key]
                    continue
                if dice.random() < 0.15 and isinstance(place, dict):
                    del place[key]
                else:
                    place[key] = deepcopy(dice.choice(strange))  # else it may hold itself
                break
        yield copy


def survives(call: Callable[[], object]) -> None:
    """Done, or refused in one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call()
        except LabelcleanError as error:
            assert len(str(error)) < 2000


@pytest.mark.parametrize("kind", FORMATS)
def test_images(kind: str):
    generator = np.random.default_rng(0)
    out = io.BytesIO()
    Image.fromarray(generator.integers(0, 255, (24, 24, 3)).astype(np.uint8)).save(out, kind)
    with quiet():
        for data in mutants(out.getvalue(), kind):
            with contextlib.suppress(UnreadableImage):
                assert decode(data, SPEC).shape == (16, 16, 3)


def label_tables() -> dict[str, bytes]:
    names, labels = [f"{k}.png" for k in range(8)], ["cat", "dog"] * 4
    rows = list(zip(names, labels, strict=True))
    sink = io.BytesIO()
    table = pa.table({"image": names, "label": labels})
    pq.write_table(table, sink, row_group_size=3)
    packed = io.BytesIO()
    pq.write_table(table, packed, compression="zstd")
    return {
        "csv": ("image,label\n" + "".join(f"{a},{b}\n" for a, b in rows)).encode(),
        "tsv": ("image\tlabel\n" + "".join(f"{a}\t{b}\n" for a, b in rows)).encode(),
        "jsonl": "".join(json.dumps({"image": a, "label": b}) + "\n" for a, b in rows).encode(),
        "json": json.dumps([{"image": a, "label": b} for a, b in rows]).encode(),
        "parquet": sink.getvalue(),
        "zstd.parquet": packed.getvalue(),
    }


@pytest.mark.parametrize("kind", label_tables())
def test_tables_of_labels(kind: str, tmp_path: Path):
    (tmp_path / "images").mkdir()
    for k in range(8):
        Image.new("RGB", (4, 4), (k, k, k)).save(tmp_path / "images" / f"{k}.png")
    path = tmp_path / f"labels.{kind}"
    for data in mutants(label_tables()[kind], kind):
        path.write_bytes(data)
        survives(lambda: read_source.read(tmp_path / "images", SourceOptions(labels=path)))


def test_parquet_with_damaged_pages(tmp_path: Path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "images" / "0.png")
    path = tmp_path / "labels.parquet"
    for data in label_tables().values():
        if data[:4] != b"PAR1":
            continue
        for at in range(4, len(data), 3):
            path.write_bytes(data[:at] + b"\xff" * 8 + data[at + 8 :])
            survives(lambda: read_source.read(tmp_path / "images", SourceOptions(labels=path)))


def test_parquet_with_images(tmp_path: Path):
    cells = []
    for k in range(6):
        out = io.BytesIO()
        Image.new("RGB", (4, 4), (40 * k, 0, 0)).save(out, "PNG")
        cells.append({"bytes": out.getvalue(), "path": f"{k}.png"})
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(cells, kind), "label": ["cat", "dog"] * 3})
    path, sink = tmp_path / "images.parquet", io.BytesIO()
    pq.write_table(table, sink, row_group_size=2)
    for data in mutants(sink.getvalue(), "parquet with images"):
        path.write_bytes(data)
        survives(lambda: _read_all(path))


def _read_all(path: Path) -> None:
    table = read_source.read(path, SourceOptions())
    for row in range(len(table)):
        with contextlib.suppress(OSError):
            table.images.read(row)


REPORT = report_of(
    [(f"{k}.png", "cat", "dog", k < 2, 0.1, 0.9, 0.8, "cat", 0.5, "ok", "", "") for k in range(6)],
    transition_matrix=((0.9, 0.1), (0.2, 0.8)),
    training=({"epoch": 1, "loss": 0.5, "lr": 0.1},),
    source={"source": "/data/images", "labels": None, "image_col": "image"},
    self_test={"planted": 3, "recall": 0.5, "recall_interval": [0.1, 0.9]},
    seconds={"reading": 1.5},
)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_reports(ending: str, tmp_path: Path):
    path = tmp_path / f"r{ending}"
    REPORT.write(path)
    for data in mutants(path.read_bytes(), ending):
        path.write_bytes(data)
        survives(lambda: summary_text(Report.read(path)))
        survives(lambda: read_any(path))


def test_meta_files(tmp_path: Path):
    path, meta = tmp_path / "r.csv", tmp_path / "r.meta.json"
    REPORT.write(path)
    for found in value_mutants(json.loads(meta.read_bytes()), "meta"):
        meta.write_text(json.dumps(found))
        survives(lambda: _use(Report.read(path)))


def _use(report: Report) -> None:
    from labelclean.apply.origin import find_origin
    from labelclean.report.plots import plot_training
    from labelclean.report.review_plan import make_plan
    from labelclean.review.pages import ReviewRows
    from labelclean.review.summary_data import summarise
    from labelclean.workflows.reported import read_source

    summary_text(report)
    summarise(ReviewRows(report))
    make_plan(report)
    plot_training(report)
    for call in (
        lambda: find_origin(report.meta, Path("r.csv"), None),
        lambda: read_source(report),
    ):
        with contextlib.suppress(LabelcleanError):
            call()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from labelclean.learning import models

    network = models.build("smallnet", 2, 16)
    config = ModelConfig(
        architecture="smallnet",
        class_names=("a", "b"),
        image_size=16,
        resize=18,
        mean=(1.0, 2.0, 3.0),
        std=(1.0, 1.0, 1.0),
    )
    folder = tmp_path_factory.mktemp("models") / "model"
    contents = {"model.safetensors": weights_bytes(network, config)}
    write_folder(folder, {**contents, "config.json": config.to_json()})
    return folder


def test_configs_of_models(model: Path):
    path = model / "config.json"
    before = path.read_bytes()
    for found in value_mutants(json.loads(before), "config", COUNT // 3):
        path.write_text(json.dumps(found))
        survives(lambda: load_model(model))
    path.write_bytes(before)


def test_weights_of_models(model: Path):
    path = model / "model.safetensors"
    before = path.read_bytes()
    size = int.from_bytes(before[:8], "little")
    for head in mutants(before[: 8 + size], "weights", COUNT // 3):
        path.write_bytes(head + before[8 + size :])
        survives(lambda: load_model(model))
    path.write_bytes(before)


def test_decisions_as_csv(tmp_path: Path):
    path = tmp_path / "d.csv"
    data = b"image,action,label,before,reviewer,at\na.png,accept,dog,cat,ann,\nb,keep,cat,cat,,\n"
    for changed in mutants(data, "decisions"):
        path.write_bytes(changed)
        survives(lambda: read_decisions(path))


def test_decisions_in_sqlite(tmp_path: Path):
    from labelclean.decisions.decision import Decision
    from labelclean.decisions.store import DecisionStore

    path = tmp_path / "d.sqlite"
    store = DecisionStore.open(path, report_digest="x")
    store.record(
        [Decision(image="a", action="keep", label="c", before="c", reviewer="", at="")] * 3
    )
    store.close()
    before = path.read_bytes()
    for changed in mutants(before, "sqlite", COUNT // 2):
        for left in tmp_path.iterdir():
            left.unlink()
        path.write_bytes(changed)
        survives(lambda: read_decisions(path, report_digest="x"))


def test_logs_of_apply(tmp_path: Path):
    out, log = tmp_path / "c.csv", tmp_path / "c.csv.apply.json"
    facts = {
        "apply_log": 1,
        "before": {"number": 1, "out": False, "log": False},
        "written": [["", "sha256:0"]],
    }
    for found in value_mutants(facts, "log"):
        out.write_text("x")
        log.write_text(json.dumps(found))
        survives(lambda: undo(out, lambda *_: None))
