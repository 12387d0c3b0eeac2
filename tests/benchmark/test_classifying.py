"""The classifier of a run: the one of filter and train; what is kept where there is none."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grid_data import config_of
from sklearn.metrics import average_precision_score

from labelclean.benchmark import processes, runs
from labelclean.benchmark.dataset import read_dataset
from labelclean.benchmark.grid import run_grid
from labelclean.benchmark.results import read_results, write_results
from labelclean.benchmark.runs import Task
from labelclean.config import FilterConfig
from labelclean.config.source_options import SourceOptions
from labelclean.config.training_config import TrainingConfig
from labelclean.errors import RunError, SourceError
from labelclean.progress import Reporter
from labelclean.workflows.filtering import filter_dataset
from labelclean.workflows.testing import HoldoutSource
from labelclean.workflows.training import train_classifier


def test_a_classifier_is_added_to_runs_that_only_filtered(squares: Path, tmp_path: Path):
    config = config_of(squares, filter_only=True)
    run_grid(config, tmp_path)
    (before,) = read_results(tmp_path)
    assert np.isnan(before.classified_accuracy)
    assert run_grid(replace(config, filter_only=False), tmp_path).done_now == 1
    (after,) = read_results(tmp_path)
    unclassified = replace(after, classified_accuracy=np.nan, classifier_epochs=0)
    assert unclassified.to_json() == before.to_json() and after.classifier_epochs == 3
    assert 0 <= after.classified_accuracy <= 1
    assert run_grid(replace(config, filter_only=False), tmp_path).done_now == 0
    (tmp_path / "runs" / f"{before.run}.npz").unlink()  # then there is nothing to go on from
    write_results([before], tmp_path)
    (anew,) = run_grid(replace(config, filter_only=False), tmp_path).rows
    assert anew.classified_accuracy == pytest.approx(after.classified_accuracy, abs=1e-5)


def test_a_classifier_of_another_number_of_epochs_is_not_taken_for_the_one_asked_for(
    squares: Path, tmp_path: Path
):
    run_grid(config_of(squares), tmp_path)
    (row,) = read_results(tmp_path)
    write_results([replace(row, classified_accuracy=0.01, classifier_epochs=9)], tmp_path)
    assert run_grid(config_of(squares), tmp_path).done_now == 1
    assert [anew.to_json() for anew in read_results(tmp_path)] == [row.to_json()]


def test_the_classifier_is_the_one_of_filter_and_train(
    squares: Path, tmp_path: Path, tasks: list[Task]
):
    run_grid(config_of(squares), tmp_path / "grid")
    (task,) = tasks
    row = runs.do_run(task)

    dataset = read_dataset(task.origin, Reporter())
    cells = [
        f"{dataset.table.paths[k].removeprefix('train/')},"
        f"{dataset.table.class_names[task.labels[k]]}"
        for k in dataset.rows
    ]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["image,label", *cells]) + "\n")
    config = FilterConfig(train=task.train, runtime=task.origin.runtime)
    report = tmp_path / "report.csv"
    frame = filter_dataset(squares / "train", labels, out=report, config=config).frame
    is_noisy = task.labels[dataset.rows] != dataset.truth[dataset.rows]
    ap = average_precision_score(is_noisy, -frame["label_score"].to_numpy())
    assert row.average_precision == pytest.approx(ap, abs=1e-6)

    assert task.classify is not None
    model = train_classifier(
        report,
        out=tmp_path / "model",
        test=HoldoutSource(source=squares, options=SourceOptions(split="test")),
        config=TrainingConfig(
            train=task.classify, runtime=task.origin.runtime, is_from_scratch=True, val=0.0
        ),
    )
    assert model.figures is not None
    assert row.classified_accuracy == pytest.approx(model.figures.accuracy.value, abs=1e-6)


def test_a_run_whose_verdicts_leave_nothing_to_train_on_keeps_its_figures_and_says_why(
    squares: Path, tmp_path: Path, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
):
    run_grid(config_of(squares), tmp_path)

    def nothing(*_: Any) -> Any:
        raise SourceError("no label is believed")

    monkeypatch.setattr(runs, "classify_tests", nothing)
    row = runs.do_run(tasks[0])
    assert "no classifier: no label is believed" in row.notes
    assert np.isnan(row.classified_accuracy) and 0 <= row.average_precision <= 1
    write_results([row], tmp_path)
    assert run_grid(config_of(squares), tmp_path).done_now == 0  # it would end the same way


def test_a_classifier_that_fails_is_tried_again(
    squares: Path, tmp_path: Path, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
):
    run_grid(config_of(squares), tmp_path)

    (task,) = tasks
    checkpoint = task.run_dir / "default.pt"

    def fails(*_: Any) -> Any:
        checkpoint.parent.mkdir(exist_ok=True)
        checkpoint.write_text("half of a training")
        raise RunError("no memory")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "classify_tests", fails)
        row = runs.do_run(tasks.pop())
    assert checkpoint.exists()  # to go on from
    assert "no classifier: no memory" in row.notes and np.isnan(row.classified_accuracy)
    write_results([row], tmp_path)
    assert [bad.key for bad in run_grid(config_of(squares), tmp_path).failed] == [row.key]
    assert run_grid(config_of(squares, filter_only=True), tmp_path).failed == ()
    again = tasks.pop()
    assert "not a checkpoint" in runs.do_run(again).notes  # which is then not tried again
    anew = runs.do_run(again)
    assert not task.run_dir.exists()
    assert 0 <= anew.classified_accuracy <= 1 and anew.notes == "" and anew.seconds == row.seconds


def test_what_is_published_of_a_failure_names_no_folder_of_the_machine(
    squares: Path, tmp_path: Path, tasks: list[Task]
):
    run_grid(config_of(squares), tmp_path)
    error = RunError(f"{tasks[0].run_dir / 'checkpoint.pt'}: cannot be written")
    row = processes._failed(tasks[0], error)
    assert row.error == "checkpoint.pt: cannot be written"


def test_a_crash_of_a_classifier_leaves_the_figures_of_the_filter_and_is_told(
    squares: Path, tmp_path: Path
):
    crashes = (
        "import os\n"
        "from labelclean.benchmark import runs\n"
        "runs.classify_tests = lambda *_: os._exit(9)\n"
    )
    told: list[str] = []

    class Listener(Reporter):
        def note(self, text: str) -> None:
            told.append(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "begin_process", partial(exec, crashes, {}))
        (row,) = run_grid(config_of(squares), tmp_path, reporter=Listener()).rows
    assert not row.error and 0 <= row.average_precision <= 1
    assert np.isnan(row.classified_accuracy) and row.classifier_epochs == 0
    assert any("seed 0: no classifier: its process died" in note for note in told)
