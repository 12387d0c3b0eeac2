"""labelclean apply: decisions in, corrected labels out, in each format and never in the source."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_data import meta_of
from typer.testing import CliRunner

from labelclean import sources
from labelclean.cli import app
from labelclean.decisions.decision import Decision
from labelclean.decisions.store import DecisionStore, decisions_path, digest_of
from labelclean.report.report import COLUMNS, HELD_OUT, Report

NAMES = ("red", "green", "blue")


def write_report(folder: Path, source, labels=None, issues=None, **options) -> Report:
    """report.csv as filter writes it, with these issues: image -> (suggested, probability)."""
    options = sources.SourceOptions(labels=labels, **options)
    table = sources.read(source, options)
    classes = (*table.class_names, "")
    given = [classes[k] for k in table.labels]
    issues = issues or {}
    found = [issues.get(name) for name in table.paths]
    none = float("nan")
    columns = {
        **dict.fromkeys(COLUMNS, [none] * len(table)),  # which is no text either
        "image": table.paths,
        "given_label": given,
        "suggested_label": [x[0] if x else g for x, g in zip(found, given, strict=True)],
        "is_label_issue": [x is not None for x in found],
        "issue_probability": [x[1] if x else 0.01 for x in found],
        "second_label": given,
        "status": table.status,
        "flags": np.where(table.held_out, HELD_OUT, "").tolist(),
    }
    meta = meta_of(
        class_names=table.class_names,
        image_root=None if table.root is None else str(table.root),
        source=options.record(str(source)),
    )
    report = Report.from_columns(columns, meta)
    report.write(folder / "report.csv", force=True)
    return report


def decide(folder: Path, report: Report, **actions: tuple[str, str, str | None]) -> None:
    given = dict(zip(report.frame["image"], report.frame["given_label"], strict=True))
    store = DecisionStore.open(
        decisions_path(folder / "report.csv"), report_digest=digest_of(report)
    )
    store.record(
        [
            Decision(image=i, action=a, label=w, before=given[i], reviewer="ann", at="2026-01-01")
            for i, a, w in actions.values()
        ]
    )
    store.close()


def run(*words, code=0):
    done = CliRunner().invoke(app, ["apply", *map(str, words)])
    assert done.exit_code == code, done.output
    if code == 2:
        assert len(done.stderr.splitlines()) == 1
        return done.stderr.strip()
    return done.stdout


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def labelled(colour_folder: Path) -> Path:
    """images/, labels.csv and report.csv; by the store 07 is accepted, 20 excluded, 01 unsure."""
    report = write_report(
        colour_folder,
        colour_folder / "images",
        colour_folder / "labels.csv",
        issues={"07.png": ("green", 0.99), "20.png": ("blue", 0.95), "42.png": ("red", 0.9)},
    )
    decide(
        colour_folder,
        report,
        a=("07.png", "accept", "green"),
        b=("20.png", "exclude", None),
        c=("01.png", "unsure", None),
    )
    return colour_folder


def test_a_csv_changes_in_the_decided_rows_and_comes_back_by_undo(labelled: Path):
    before = tree(labelled)
    out = labelled / "clean.csv"
    text = run(labelled / "report.csv", "--out", out, "--quiet")
    expected = before["labels.csv"].replace(b"07.png,blue", b"07.png,green")
    assert out.read_bytes() == expected.replace(b"20.png,red\n", b"")
    assert text == (
        "1 of 60 labels changed (1 by a person, 0 by the model), 1 row left out\n"
        "given  new         rows\n"
        "blue   green          1\n"
        "red    (left out)     1\n"
        "2 look wrong and nobody decided: their labels stay as given\n"
        f"written:  {out}\n"
        f"read it:  labelclean filter {labelled / 'images'} {out}\n"
        f"undo:     labelclean apply --undo {out}\n"
    )
    log = json.loads((labelled / "clean.csv.apply.json").read_text())
    assert log["changed"] == [["07.png", "blue", "green", "person"]]
    assert log["excluded"] == ["20.png"]
    assert run("--undo", out) == (f"{out} is gone: what apply had written (1 file) was removed\n")
    assert tree(labelled) == before


def test_the_model_decides_above_and_the_rest_can_be_left_out(labelled: Path):
    figures = json.loads(
        run(
            *(labelled / "report.csv", "--above", "90%", "--undecided", "exclude"),
            *("--out", labelled / "clean.csv", "--json", "--quiet"),
        )
    )
    lines = (labelled / "clean.csv").read_text().splitlines()
    assert "42.png,red" in lines
    assert {"20.png,red", "01.png,green"}.isdisjoint(lines)
    keys = ("changed", "changed_by_person", "changed_by_model", "excluded", "open", "dry_run")
    assert [figures[key] for key in keys] == [2, 1, 1, 2, 0, False]
    assert figures["pairs"] == [
        {"given": "blue", "new": "green", "count": 1},
        {"given": "green", "new": "red", "count": 1},
    ]


def test_a_dry_run_writes_nothing_with_or_without_out(labelled: Path):
    before = tree(labelled)
    short = run(labelled / "report.csv", "--dry-run")
    assert run(labelled / "report.csv", "--dry-run", "--out", labelled / "clean.csv") == short
    assert short.startswith("1 of 60 labels would change")
    assert short.endswith("nothing was written: a dry run\n")
    assert tree(labelled) == before


def test_without_decisions_and_above_it_says_how_to_go_on(labelled: Path):
    decisions_path(labelled / "report.csv").unlink()
    line = run(labelled / "report.csv", "--out", labelled / "clean.csv", code=2)
    assert line == (
        f"labelclean: {labelled}/report.csv: nobody decided yet (no report.decisions.sqlite beside "
        f"it), so nothing would change: look at the images (labelclean review "
        f"{labelled}/report.csv), or take the model's word (--above 0.9)"
    )
    assert not (labelled / "clean.csv").exists()


def test_decisions_may_be_a_csv(labelled: Path):
    (labelled / "d.csv").write_text("image,action,label\n00.png,other,violet\n")
    run(labelled / "report.csv", "--decisions", labelled / "d.csv", "--out", labelled / "c.csv")
    expected = (labelled / "labels.csv").read_text().replace("00.png,red", "00.png,violet")
    assert (labelled / "c.csv").read_text() == expected


def test_decisions_on_another_report_are_refused(labelled: Path):
    decisions_path(labelled / "report.csv").unlink()
    DecisionStore.open(decisions_path(labelled / "report.csv"), report_digest="other").close()
    line = run(labelled / "report.csv", "--above", "0.9", "--dry-run", code=2)
    assert "report.decisions.sqlite: decisions on another report" in line


def test_force_keeps_what_was_there_for_undo(labelled: Path):
    out = labelled / "clean.csv"
    out.write_text("mine")
    assert "already exists" in run(labelled / "report.csv", "--out", out, code=2)
    run(labelled / "report.csv", "--out", out, "--force")
    assert out.read_text() != "mine"
    assert run("--undo", out) == f"{out} is again what it was before apply\n"
    assert out.read_text() == "mine"
    assert "clean.csv.apply.json" not in os.listdir(labelled)


def test_undo_refuses_a_result_that_was_changed_since(labelled: Path):
    out = labelled / "clean.csv"
    run(labelled / "report.csv", "--out", out)
    out.write_text(out.read_text() + "more.png,red\n")
    assert "changed since apply wrote it" in run("--undo", out, code=2)
    assert out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "labels.csv", "--force"], "is or holds .*labels.csv, which is never touched"),
        (["--out", "report.csv", "--force"], "is or holds .*report.csv"),
        (["--out", "images/clean.csv"], "is in the source"),
        (["--out", "clean.jsonl"], r"came as labels.csv .* ends in \.csv"),
        (["--out", "clean"], "came as labels.csv"),
        (["--out", "clean.csv", "--link", "hard"], "--link is for a folder"),
        (["--out", "clean.csv", "--link", "soft"], "--link is soft, must be copy, hard, sym"),
        ([], "no --out: name the table"),
        (["--out", "clean.csv", "--above", "2"], "--above is 2, must be"),
        (["--out", "clean.csv", "--undecided", "x"], "--undecided is x, must be keep or exclude"),
        (["--undo", "clean.csv"], "--undo stands alone"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(labelled: Path, monkeypatch, words, message):
    monkeypatch.chdir(labelled)
    before = tree(labelled)
    assert re.search(message, run("report.csv", *words, code=2))
    assert tree(labelled) == before


def test_other_labels_than_the_report_has_are_refused_by_line(labelled: Path):
    path = labelled / "labels.csv"
    path.write_text(path.read_text().replace("05.png,blue", "05.png,red"))
    line = run(labelled / "report.csv", "--out", labelled / "clean.csv", code=2)
    assert "labels.csv:7: 05.png is 'red' here, in the report 'blue'" in line
    path.write_text("image,label\n00.png,red\n")
    line = run(labelled / "report.csv", "--out", labelled / "clean.csv", code=2)
    assert "has no row for 59 of the report's 60 images, such as 01.png" in line


def test_paths_written_in_other_ways_are_found_and_moved_folders_too(labelled: Path):
    path = labelled / "labels.csv"
    lines = path.read_text().splitlines()
    ways = (f"{labelled}/images/{{}}", ".\\{}", " {} ", "{}")
    named = [ways[k % 4].format(line) for k, line in enumerate(lines[1:])]
    path.write_text("\n".join([lines[0], *named, "", "0.png.txt,zebra"]).replace(" ,", ","))
    lines = path.read_text().splitlines()
    report = write_report(labelled, labelled / "images", path, issues={"08.png": ("red", 0.95)})
    assert len(report) == 61
    decisions_path(labelled / "report.csv").unlink()
    shutil.move(labelled / "images", labelled / "moved")
    shutil.move(path, labelled / "moved" / "labels.csv")
    words = (labelled / "report.csv", "--above", "0.9", "--out", labelled / "clean.csv")
    assert "labels.csv: the labels' table is not there" in run(*words, code=2)
    run(*words, "--images", labelled / "moved")
    found = (labelled / "clean.csv").read_text().splitlines()
    assert found == [x.replace("08.png,blue", "08.png,red") for x in lines]


def test_an_image_without_a_row_gets_one_when_a_person_labels_it(labelled: Path):
    path = labelled / "labels.csv"
    path.write_text(path.read_text().replace("05.png,blue\n", ""))
    report = write_report(labelled, labelled / "images", path)
    decisions_path(labelled / "report.csv").unlink()
    decide(labelled, report, a=("05.png", "other", "blue"))
    run(labelled / "report.csv", "--out", labelled / "clean.csv")
    assert (labelled / "clean.csv").read_text() == path.read_text() + "05.png,blue\n"


def test_broken_and_unreported_rows_stay_and_are_counted(labelled: Path):
    path = labelled / "labels.csv"
    lines = path.read_text().splitlines()
    split = [f"{line},{'test' if k < 9 else 'train'}" for k, line in enumerate(lines[1:])]
    path.write_text("\n".join([lines[0] + ",split", *split, "gone.png,red,train"]) + "\n")
    write_report(
        labelled, labelled / "images", path, issues={"20.png": ("blue", 0.95)}, split="train"
    )
    decisions_path(labelled / "report.csv").unlink()
    out = labelled / "clean.csv"
    text = run(labelled / "report.csv", "--above", "0.9", "--out", out)
    assert "1 has no readable image: kept as it is\n" in text
    assert "9 are not in the report: kept as they are\n" in text
    assert out.read_text() == path.read_text().replace("20.png,red", "20.png,blue")


@pytest.fixture
def classes(colour_folder: Path) -> Path:
    """data/CLASS/NN.png and report.csv; by the store red/00 is blue, blue/02 goes, green/01 lila"""
    for k in range(60):
        place = colour_folder / "data" / NAMES[k % 3] / f"{k // 3:02d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(colour_folder / "images" / f"{k:02d}.png", place)
    report = write_report(colour_folder, colour_folder / "data")
    decide(
        colour_folder,
        report,
        a=("red/00.png", "accept", "blue"),
        b=("blue/02.png", "exclude", None),
        c=("green/01.png", "other", "lila"),
    )
    return colour_folder


@pytest.mark.parametrize("link", ["copy", "hard", "sym"])
def test_class_folders_move_by_link_and_undo_leaves_the_source(classes: Path, link: str):
    before = tree(classes)
    out = classes / "clean"
    text = run(classes / "report.csv", "--out", out, "--link", link)
    expected = tree(classes / "data")
    expected["blue/00-2.png"] = expected.pop("red/00.png")
    expected["lila/01.png"] = expected.pop("green/01.png")
    del expected["blue/02.png"]
    assert tree(out) == expected
    assert "1 file gets another name" in text
    assert (out / "red/01.png").samefile(classes / "data/red/01.png") == (link != "copy")
    table = sources.read(out, sources.SourceOptions())
    assert set(table.class_names) == {*NAMES, "lila"}
    run("--undo", out)
    assert tree(classes) == before


def test_class_folders_as_a_table(classes: Path):
    out = classes / "clean.csv"
    run(classes / "report.csv", "--out", out)
    table = sources.read(classes / "data", sources.SourceOptions(labels=out))
    found = {p: table.class_names[k] for p, k in zip(table.paths, table.labels, strict=True)}
    assert [found[f"{x}.png"] for x in ("red/00", "green/01", "red/01")] == ["blue", "lila", "red"]
    assert table.status[table.paths.index("blue/02.png")] == "unlabelled"


def test_a_label_that_is_no_folder_is_refused(classes: Path):
    (classes / "d.csv").write_text("image,action,label\nred/00.png,other,../../x\n")
    words = (classes / "report.csv", "--decisions", classes / "d.csv", "--out")
    line = run(*words, classes / "clean", code=2)
    assert "label '../../x' of red/00.png holds a slash, so it cannot be a folder" in line
    assert not (classes / "clean").exists()
    run(*words, classes / "clean.csv")
    assert "red/00.png,../../x" in (classes / "clean.csv").read_text()


def test_metadata_stays_with_its_images(colour_folder: Path):
    root = colour_folder / "images"
    lines = (colour_folder / "labels.csv").read_text().splitlines()[1:]
    (root / "metadata.csv").write_text(
        "\n".join(["file_name,label,note", *(x + ",n" for x in lines)])
    )
    report = write_report(colour_folder, root)
    decide(colour_folder, report, a=("07.png", "accept", "green"), b=("20.png", "exclude", None))
    expected = tree(root)
    expected["metadata.csv"] = (
        expected["metadata.csv"]
        .replace(b"07.png,blue", b"07.png,green")
        .replace(b"20.png,red,n\n", b"")
    )
    run(colour_folder / "report.csv", "--out", colour_folder / "table.csv")
    assert (colour_folder / "table.csv").read_bytes() == expected["metadata.csv"]
    run(colour_folder / "report.csv", "--out", colour_folder / "clean", "--link", "sym")
    del expected["20.png"]
    assert tree(colour_folder / "clean") == expected
    run("--undo", colour_folder / "clean")


def test_parquet_with_images_keeps_them_and_other_columns(colour_folder: Path):
    cells = [
        {"path": f"{k:02d}.png", "bytes": (colour_folder / "images" / f"{k:02d}.png").read_bytes()}
        for k in range(60)
    ]
    data = pa.table({"n": range(60), "image": cells, "label": [NAMES[k % 3] for k in range(60)]})
    source = colour_folder / "all.parquet"
    pq.write_table(data, source, row_group_size=25)
    report = write_report(colour_folder, source)
    decide(colour_folder, report, a=("07.png", "other", "red"), b=("20.png", "exclude", None))
    run(colour_folder / "report.csv", "--out", colour_folder / "clean.parquet")
    expected = data.to_pylist()
    expected[7]["label"] = "red"
    del expected[20]
    assert pq.read_table(colour_folder / "clean.parquet").to_pylist() == expected
    run(colour_folder / "report.csv", "--out", colour_folder / "clean.jsonl")
    found = pd.read_json(colour_folder / "clean.jsonl", lines=True)
    assert found["label"].tolist() == [row["label"] for row in expected]


def test_several_parquet_files_become_a_folder(colour_folder: Path):
    root = colour_folder / "shards"
    root.mkdir()
    for part in range(2):
        rows = range(30 * part, 30 * part + 30)
        cells = [(colour_folder / "images" / f"{k:02d}.png").read_bytes() for k in rows]
        table = pa.table({"image": cells, "label": [NAMES[k % 3] for k in rows]})
        pq.write_table(table, root / f"{'ab'[part]}.parquet")
    report = write_report(colour_folder, root)
    decide(colour_folder, report, a=(report.frame["image"][31], "other", "red"))
    assert "--link is for" in run(
        *(colour_folder / "report.csv", "--out", colour_folder / "clean", "--link", "sym"), code=2
    )
    run(colour_folder / "report.csv", "--out", colour_folder / "clean")
    for name in ("a.parquet", "b.parquet"):
        expected = pq.read_table(root / name).to_pylist()
        if name == "b.parquet":
            expected[1]["label"] = "red"
        assert pq.read_table(colour_folder / "clean" / name).to_pylist() == expected


def test_cifar_gets_a_table_that_filter_reads(cifar10_root: Path, tmp_path: Path):
    report = write_report(tmp_path, "cifar10", root=cifar10_root)
    name = report.frame["image"][3]
    decide(tmp_path, report, a=(name, "other", "ship"))
    assert "ends in .csv, .jsonl, .parquet" in run(
        tmp_path / "report.csv", "--out", tmp_path / "clean", code=2
    )
    text = run(tmp_path / "report.csv", "--out", tmp_path / "clean.csv")
    assert f"filter cifar10 {tmp_path}/clean.csv --root {cifar10_root}\n" in text
    options = sources.SourceOptions(labels=tmp_path / "clean.csv", root=cifar10_root)
    table = sources.read("cifar10", options)
    assert table.class_names[table.labels[table.paths.index(name)]] == "ship"
    assert len(table) == len(report)
