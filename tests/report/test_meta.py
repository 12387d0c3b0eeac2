"""The meta file is of its report alone, and what is wrong with either is one line."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from report_data import report_of

from labelclean.errors import ReportError
from labelclean.report.report import Report

COUNT = 200


def report(seed: int) -> Report:
    generator = np.random.default_rng(seed)
    scores = generator.random((COUNT, 4)).round(4).tolist()
    return report_of(
        [
            (f"{k}.png", "cat", "dog", a > 0.5, b, a, c, "dog", d, "ok")
            for k, (a, b, c, d) in enumerate(scores)
        ]
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    report(0).write(tmp_path / "r.csv")
    return tmp_path / "r.csv"


def edit(path: Path, change) -> None:
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(change(rows))


def refused(path: Path) -> str:
    with pytest.raises(ReportError) as caught:
        Report.read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_report_beside_the_meta_file_of_another_run_is_refused(path: Path, tmp_path: Path):
    report(1).write(tmp_path / "other.csv")
    shutil.copy(tmp_path / "other.meta.json", tmp_path / "r.meta.json")
    assert "r.csv: is of another run than its meta file (r.meta.json); put back" in refused(path)


def test_edited_cells_are_taken_and_named(path: Path):
    def change(rows):
        rows[3][2], rows[7][3] = "cat", "False"
        return rows

    edit(path, change)
    notes: list[str] = []
    found = Report.read(path, notes.append)
    assert found.frame["suggested_label"][2] == "cat"
    assert [note.partition(": ")[2] for note in notes] == [
        "cells of suggested_label, is_label_issue were edited since filter wrote them: taken as "
        "they are"
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows[:-1], "has 199 rows, but was written with 200"),
        (lambda rows: [rows[0], *rows[:0:-1]], "images or given labels are not in the order"),
        (lambda rows: [rows[0], ["x", *rows[1][1:]], *rows[2:]], "images or given labels are not"),
    ],
)
def test_rows_that_decisions_could_not_be_told_by_any_more_are_refused(path: Path, change, says):
    edit(path, change)
    assert says in refused(path)


def test_a_report_as_it_was_and_one_without_digests_are_read_without_a_word(path: Path):
    meta = path.with_name("r.meta.json")
    Report.read(path, pytest.fail)
    found = json.loads(meta.read_bytes())
    del found["rows"]
    meta.write_text(json.dumps(found))
    edit(path, lambda rows: rows[:-1])
    Report.read(path, pytest.fail)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"source": {"image_col": 3.7}}, "source.image_col is 3.7, must be text"),
        ({"source": {"labels": ["a"]}}, "source.labels is ['a'], must be text"),
        ({"transition_matrix": [[1.0], [0.5, 0.5]]}, "transition_matrix is not 2 rows of 2"),
        ({"transition_matrix": [[1.0, float("nan")]] * 2}, "transition_matrix.0.1 is nan"),
        ({"image_root": "x" * 3000}, "must be a path that a disk can hold"),
        ({"image_root": "a\0b"}, "must be a path that a disk can hold"),
        ({"noise_rate": 1.5}, "noise_rate is 1.5, must be a number from 0 to 1"),
        ({"noise_rate": True}, "noise_rate is True, must be a finite number"),
        ({"noise_rate_interval": [0.1, "x"]}, "noise_rate_interval.1 is 'x'"),
        ({"class_names": ["a", "\ud800"]}, "class_names.1 is '\\ud800', must be text"),
        ({"class_names": ["a", "a"]}, "class_names has a name twice"),
        ({"training": [{"loss": []}]}, "training.0.loss is [], must be a finite number"),
        ({"seconds": {"x": "y"}}, "seconds.x is 'y', must be a finite number"),
        ({"counts": {"ok": -1}}, "counts.ok is -1, must be a number from 0 on"),
        ({"confusable_pairs": [{"given": "a"}]}, "no 'confusable_pairs.0.suggested'"),
        ({"self_test": {"recall": {}}}, "self_test.recall"),
        ({"self_test": {"recall": [0.5]}}, "a pair of them for recall_interval alone"),
        ({"self_test": {"recall_interval": [0.5, 0.6, 0.7]}}, "a pair of them"),
        ({"versions": [1]}, "versions is [1], must be an object"),
        ({"rows": {"count": 1}}, "no 'rows.identity'"),
        ({"seed": "0" * 500}, "..., must be a whole number"),
    ],
)
def test_what_is_wrong_with_a_meta_file_is_one_line(path: Path, change, says):
    meta = path.with_name("r.meta.json")
    meta.write_text(json.dumps(json.loads(meta.read_bytes()) | change))
    message = refused(path)
    assert "r.meta.json: damaged (" in message and says in message and len(message) < 400
