"""predict from end to end: what stands in the table, from every kind of source."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import labelclean
from labelclean.cli import app
from labelclean.config.source_options import SourceOptions
from labelclean.errors import LabelcleanError
from labelclean.report import prediction_files
from labelclean.report.prediction_files import TableWriter
from labelclean.workflows.predicting import predict_images

NAMES = ("blue", "green", "red")


@pytest.fixture
def world(tmp_path: Path, handmade) -> Path:
    """model/ and images/ of eleven squares, of which 005.png is broken."""
    handmade.model(tmp_path / "model")
    handmade.images(tmp_path / "images", 11)
    (tmp_path / "images" / "005.png").write_bytes(b"no image")
    return tmp_path


def _one_by_one(world: Path, name: str) -> np.ndarray:
    """The probabilities by the Python interface, which decodes another way."""
    model = labelclean.load_model(world / "model")
    with torch.no_grad():
        image = Image.open(world / "images" / name)
        return model(model.transform(image)[None]).double().softmax(dim=1)[0].numpy()


@pytest.mark.parametrize("batch_size", [1, 4, 256])
def test_the_table_holds_what_the_loaded_model_says_of_each_image(world: Path, batch_size: int):
    done = predict_images(
        world / "model",
        world / "images",
        out=world / "labels.csv",
        batch_size=batch_size,
        device="cpu",
    )
    frame = pd.read_csv(world / "labels.csv", keep_default_na=False, dtype=str)
    assert frame["image"].tolist() == [f"{k:03d}.png" for k in range(11)]
    for row in frame.itertuples():
        if row.image == "005.png":
            assert (row.label, row.probability, row.status) == ("", "", "unreadable")
            continue
        probs = _one_by_one(world, row.image)
        order = np.argsort(-probs)
        assert [row.label, row.label_2, row.label_3] == [NAMES[k] for k in order]
        found = [float(row.probability), float(row.probability_2), float(row.probability_3)]
        assert found == pytest.approx(probs[order], abs=2e-5)
        assert row.status == "ok"
    assert done.images == 11 and done.broken == 1 and sum(done.counts.values()) == 10


def test_of_many_classes_the_five_best_are_told(world: Path, handmade):
    handmade.model(world / "many", tuple("abcdefg"))
    predict_images(world / "many", world / "images", out=world / "labels.csv", device="cpu")
    frame = pd.read_csv(world / "labels.csv")
    assert list(frame.columns) == [
        "image", "label", "probability", "label_2", "probability_2", "label_3", "probability_3",
        "label_4", "probability_4", "label_5", "probability_5", "status",
    ]  # fmt: skip
    probs = frame[[name for name in frame if name.startswith("probability")]].dropna().to_numpy()
    assert (np.diff(probs, axis=1) <= 0).all() and (probs.sum(axis=1) < 1).all()


def test_all_formats_hold_the_same_rows(world: Path):
    for ending in ("csv", "parquet", "jsonl"):
        out = world / f"labels.{ending}"
        predict_images(world / "model", world / "images", out=out, batch_size=3, device="cpu")
    csv = pd.read_csv(world / "labels.csv")
    parquet = pd.read_parquet(world / "labels.parquet")
    lines = pd.read_json(world / "labels.jsonl", lines=True)
    for other in (parquet, lines):
        assert list(other.columns) == list(csv.columns)
        assert other["label"].fillna("").tolist() == csv["label"].fillna("").tolist()
        np.testing.assert_allclose(
            other["probability"].astype(float), csv["probability"], rtol=1e-5
        )


def test_the_same_images_in_folders_tables_and_parquet_get_the_same_labels(world: Path):
    (world / "images" / "005.png").unlink()
    names = sorted(path.name for path in (world / "images").iterdir())
    (world / "list.csv").write_text("image\n" + "".join(f"images/{name}\n" for name in names))
    cells = [{"path": name, "bytes": (world / "images" / name).read_bytes()} for name in names]
    pd.DataFrame({"image": cells}).to_parquet(world / "all.parquet")
    shutil.copytree(world / "images", world / "classes" / "cat")
    found = []
    for source in ("images", "list.csv", "all.parquet", "classes"):
        out = world / f"{source}.out.csv"
        predict_images(world / "model", world / source, out=out, device="cpu")
        found.append(pd.read_csv(out).drop(columns="image"))
    assert all(found[0].equals(other) for other in found[1:])


def test_a_table_chooses_the_images_of_a_folder(world: Path):
    (world / "some.csv").write_text("image\n003.png\n001.png\n")
    options = SourceOptions(labels=world / "some.csv")
    out = world / "out.csv"
    predict_images(world / "model", world / "images", out=out, options=options, device="cpu")
    assert pd.read_csv(out)["image"].tolist() == ["003.png", "001.png"]


def test_against_true_labels_the_accuracy_is_told(world: Path, handmade):
    predict_images(world / "model", world / "images", out=world / "said.csv", device="cpu")
    said = pd.read_csv(world / "said.csv")["label"].fillna("red").tolist()
    said[0] = next(name for name in NAMES if name != said[0])  # one mistake among ten
    handmade.labels(world / "truth.csv", said)
    done = predict_images(
        world / "model",
        world / "images",
        out=world / "again.csv",
        truth=world / "truth.csv",
        device="cpu",
    )
    assert done.figures is not None
    assert (done.figures.accuracy.value, done.figures.accuracy.count) == (0.9, 10)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_evaluate_tells_of_a_table_of_predictions_what_predict_tells(
    world: Path, handmade, ending: str
):
    out = world / f"said{ending}"
    predict_images(world / "model", world / "images", out=out, device="cpu")
    true = [NAMES[k % 3] for k in range(11)]
    handmade.labels(world / "truth.csv", true)
    told = predict_images(
        world / "model",
        world / "images",
        out=world / "again.csv",
        truth=world / "truth.csv",
        device="cpu",
    ).figures
    assert told is not None
    words = ["evaluate", out, "--truth", world / "truth.csv", "--plots", world / "plots", "--json"]
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.stderr
    expected = json.loads(json.dumps(told.to_json()))
    found = json.loads(done.stdout)
    # the file has six digits of each probability
    assert found.pop("calibration_error") == pytest.approx(
        expected.pop("calibration_error"), abs=1e-5
    )
    assert found == expected
    assert found["accuracy"]["images"] == 10
    assert "or an image: 1 rows" in done.stderr
    assert (world / "plots" / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_predictions_of_other_images_or_classes_are_refused(world: Path):
    out = world / "said.csv"
    predict_images(world / "model", world / "images", out=out, device="cpu")
    (world / "truth.csv").write_text("image,label\nother.png,red\n")
    words = ["evaluate", str(out), "--truth", str(world / "truth.csv")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2 and "the truth names no image" in done.stderr
    (world / "truth.csv").write_text("image,label\n000.png,violet\n")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2 and "none of its labels is a true label" in done.stderr


def test_a_table_with_given_labels_is_no_table_of_predictions(tmp_path: Path):
    header = "image,label,given_label,probability,status"
    (tmp_path / "a.csv").write_text(f"{header}\n1.png,x,x,0.5,ok\n")
    assert prediction_files.read_predictions(tmp_path / "a.csv") is None


@pytest.mark.parametrize("probability", ["", "-1", "90", "inf"])
def test_a_probability_that_is_none_is_told(tmp_path: Path, probability: str):
    rows = f"1.png,x,{probability},ok\n2.png,y,0.5,ok\n"
    (tmp_path / "a.csv").write_text(f"image,label,probability,status\n{rows}")
    (tmp_path / "truth.csv").write_text("image,label\n1.png,x\n2.png,y\n")
    words = ["evaluate", str(tmp_path / "a.csv"), "--truth", str(tmp_path / "truth.csv")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2 and "the probability of 1.png is" in done.stderr


def test_no_more_than_two_chunks_of_pixels_are_in_memory(world: Path, monkeypatch):
    from labelclean.data import streaming

    alive, most = 0, 0

    class Counted(streaming.Chunk):
        def __post_init__(self) -> None:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    monkeypatch.setattr(streaming, "Chunk", Counted)
    predict_images(
        world / "model", world / "images", out=world / "o.csv", batch_size=1, device="cpu"
    )
    assert most <= 3  # one in use, one ready, one being taken over


def test_a_truth_of_broken_images_alone_gives_no_figures_but_a_note(world: Path):
    (world / "truth.csv").write_text("image,label\n005.png,red\n")
    words = ["predict", str(world / "model"), str(world / "images"), "--device", "cpu"]
    words += ["--out", str(world / "out.csv"), "--truth", str(world / "truth.csv"), "--json"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0 and json.loads(done.stdout)["test"] is None
    assert "no accuracy: none of the images with a true label can be read" in done.stderr


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("image,label\n,\n", "truth.csv: names no image"),
        ("image,label\n0.png,red\n0.png,blue\n", "0.png is 'blue' here and 'red' before"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_truth_that_says_nothing_or_two_things_is_refused(
    world: Path, command: str, rows: str, message: str
):
    (world / "truth.csv").write_text(rows)
    (world / "said.csv").write_text("image,label,probability,status\n0.png,red,0.5,ok\n")
    words = {
        "predict": [str(world / "model"), str(world / "images"), "--out", str(world / "o.csv")],
        "evaluate": [str(world / "said.csv")],
    }
    done = CliRunner().invoke(app, [command, *words[command], "--truth", str(world / "truth.csv")])
    assert done.exit_code == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_the_column_of_the_true_labels_can_be_named(world: Path):
    (world / "truth.csv").write_text("image,one,other\n000.png,blue,red\n")
    done = predict_images(
        world / "model",
        world / "images",
        out=world / "out.csv",
        truth=world / "truth.csv",
        label_col="other",
        device="cpu",
    )
    assert done.figures is not None and done.figures.accuracy.count == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_standard_output_is_one_line(world: Path):
    words = [sys.executable, "-m", "labelclean", "predict", "model", "images", "--out", "-"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*words, "--device", "cpu", "--quiet"],
            cwd=world,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.stderr.startswith("labelclean: --out standard output: cannot be written: No space")
    assert done.returncode == 2 and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model", "images", "--device", "gpu"], "--device is gpu, must be one of auto, cpu"),
        (["nowhere", "images"], "nowhere: no such folder; give the one that train wrote"),
        (["images", "images"], "config.json: No such file or directory"),
        (["model", "nowhere"], "nowhere: no such file or folder"),
        (["model", "images", "--out", "x.txt"], "a report ends in .csv"),
        (
            ["model", "images", "--out", "there.csv"],
            "already exists; choose another name, or --force replaces it",
        ),
        (["model", "images", "--out", "no/x.csv"], "there is no folder no; make it"),
        (["model", "images", "--batch-size", "0"], "--batch-size is 0, must be at least 1"),
        (
            ["model", "images", "--truth", "no.csv"],
            "no.csv: no such file; give the table",
        ),
        (["model", "images", "--truth", "violet.csv"], "violet.csv:2: the model does not know"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(world: Path, monkeypatch, words, message: str):
    monkeypatch.chdir(world)
    Path("there.csv").write_text("mine")
    Path("violet.csv").write_text("image,label\n000.png,violet\n")
    device = [] if "--device" in words else ["--device", "cpu"]
    done = CliRunner().invoke(app, ["predict", *words, *device, "--quiet"])
    assert done.exit_code == 2
    assert message in done.stderr and done.stderr.count("\n") == 1
    assert Path("there.csv").read_text() == "mine"
    assert not list(world.glob(".*")) and not Path("labels.csv").exists()


def test_what_fails_on_the_way_leaves_no_table(world: Path, monkeypatch):
    writes = []
    real = prediction_files.TableWriter.write

    def failing(self: TableWriter, frame: pd.DataFrame) -> None:
        writes.append(len(frame))
        if len(writes) == 2:
            raise LabelcleanError("full")
        real(self, frame)

    monkeypatch.setattr(prediction_files.TableWriter, "write", failing)
    for ending in ("csv", "parquet"):
        writes.clear()
        with pytest.raises(LabelcleanError):
            predict_images(
                world / "model",
                world / "images",
                out=world / f"out.{ending}",
                batch_size=4,
                device="cpu",
            )
        assert not list(world.glob("out.*")) and not list(world.glob(".*"))


def test_names_that_a_spreadsheet_would_run_are_neutralised(world: Path, handmade):
    handmade.model(world / "evil", ("=cmd()", "@sum", "+1"))
    predict_images(world / "evil", world / "images", out=world / "labels.csv", device="cpu")
    lines = (world / "labels.csv").read_text().splitlines()[1:]
    assert all(line.split(",")[1][:1] in ("'", "") for line in lines)


def test_the_command_prints_the_table_or_the_figures(world: Path, monkeypatch):
    monkeypatch.chdir(world)
    words = ["predict", "model", "images", "--device", "cpu", "--quiet", "--out"]
    table = CliRunner().invoke(app, [*words, "-"], catch_exceptions=False)
    assert table.stdout.splitlines()[0].startswith("image,label,probability,label_2")
    assert len(table.stdout.splitlines()) == 12
    figures = CliRunner().invoke(app, [*words, "o.csv", "--json"], catch_exceptions=False)
    found = json.loads(figures.stdout)
    assert (found["images"], found["broken"], found["test"]) == (11, 1, None)
