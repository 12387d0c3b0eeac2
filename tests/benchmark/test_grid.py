"""The grid: which runs are done, what is kept of them, and what a failure leaves of the others."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from report_data import meta_of
from sklearn.metrics import average_precision_score, f1_score

from labelclean.benchmark import classifying, processes, runs
from labelclean.benchmark import grid as grids
from labelclean.benchmark.dataset import Noise, Origin, noisy_labels, read_dataset
from labelclean.benchmark.grid import GridConfig, GridResults, run_grid
from labelclean.benchmark.results import Row, read_results, write_results
from labelclean.config import FilterConfig, RuntimeConfig
from labelclean.data.samples import NO_LABEL
from labelclean.data.sources import SourceOptions
from labelclean.errors import ConfigError, ReportError, RunError, SourceError
from labelclean.learning import runtime
from labelclean.learning.methods import METHODS, Method, StepResult
from labelclean.progress import Reporter
from labelclean.report.table import Report
from labelclean.workflows import beliefs
from labelclean.workflows.filtering import filter_dataset
from labelclean.workflows.injecting import NoiseSpec, inject_noise
from labelclean.workflows.testing import HoldoutSource
from labelclean.workflows.training import TrainingConfig, train_classifier


def _origin(data: Path | str, **options: Any) -> Origin:
    runtime = RuntimeConfig(device="cpu", precision="float32")
    return Origin(data=str(data), options=SourceOptions(), runtime=runtime, **options)


def _config(data: Path | str, **given: Any) -> GridConfig:
    plain = {"noises": ("symm:0.2",), "methods": ("ce",), "seeds": 1, "epochs": 3}
    return GridConfig(data=str(data), threads=1, device="cpu", **{**plain, **given})


@pytest.fixture(autouse=True)
def _always_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which precision is faster is measured: another one would be another result."""
    monkeypatch.setattr(runtime, "BF16_PAYS", float("inf"))


@pytest.fixture(scope="module")
def done(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> GridResults:
    """Of ce and of three methods from outside: one learns, one fails, one crashes."""

    def learns(batch: Any, moment: Any) -> StepResult:
        return StepResult(torch.nn.functional.cross_entropy(batch.logits, batch.labels))

    def fails(batch: Any, moment: Any) -> StepResult:
        raise RunError("no way\nto go")

    def crashes(batch: Any, moment: Any) -> StepResult:
        os._exit(9)

    out = tmp_path_factory.mktemp("grid") / "new" / "folder"
    ways = {"crashes": crashes, "fails": fails, "learns": learns}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELCLEAN_CACHE", str(out.parent / "cache"))
        for name, step in ways.items():
            patch.setitem(METHODS, name, Method(step=step))
        config = _config(squares, methods=("crashes", "fails", "ce", "learns"))
        return run_grid(config, out)


def test_each_run_is_a_row_and_a_failed_one_says_why_and_stops_no_other(done: GridResults):
    rows = {row.method: row for row in read_results(done.folder)}
    assert set(rows) == {"crashes", "fails", "ce", "learns"} and done.done_now == 4
    assert {row.method for row in done.failed} == {"crashes", "fails"}
    assert rows["fails"].error == "no way\\nto go"
    assert rows["crashes"].error.startswith("its process died")
    assert np.isnan(rows["fails"].average_precision)
    for name in ("ce", "learns"):
        row = rows[name]
        assert row.error == "" and row.torch == torch.__version__ and row.seconds > 0
        assert row.rate == pytest.approx(12 / 60)
        assert row.classified_accuracy * 24 == pytest.approx(round(row.classified_accuracy * 24))


def test_the_scores_of_each_run_are_kept_and_give_the_figures_of_its_row(done: GridResults):
    finished = [row for row in done.rows if not row.error]
    kept_files = sorted(path.stem for path in (done.folder / "runs").glob("*.npz"))
    assert kept_files == sorted(row.run for row in finished)
    for row in finished:
        with np.load(done.folder / "runs" / f"{row.run}.npz") as file:
            kept = dict(file)
        assert len(kept["index"]) == row.n == 60
        is_noisy = kept["given"] != kept["truth"]
        assert is_noisy.mean() == pytest.approx(row.rate)
        expected = average_precision_score(is_noisy, -kept["label_score"])
        assert row.average_precision == pytest.approx(expected, abs=1e-6)
        assert row.f1 == pytest.approx(f1_score(is_noisy, kept["is_label_issue"]), abs=1e-6)
        right = (kept["test_truth"] == kept["test_predicted"]).mean()
        assert len(kept["test_truth"]) == 24
        assert row.test_accuracy == pytest.approx(right, abs=1e-6)
        facts = json.loads(str(kept["facts"]))
        assert facts["run"] == row.run and len(facts["history"]) == 3
        curve = [epoch["test_accuracy"] for epoch in facts["history"]]
        assert all(share * 24 == pytest.approx(round(share * 24)) for share in curve)
        assert len(set(curve)) > 1 or curve[-1] == pytest.approx(right, abs=0.2)


def test_what_is_done_is_not_done_again_and_what_failed_is(
    done: GridResults, squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_results(done.rows, tmp_path)
    started: list[str] = []

    def no_run(tasks: Any, *, on_row: Any, **_: Any) -> None:
        for task in tasks:
            started.append(task.key.words())
            on_row(replace(task.row(), average_precision=0.5))

    monkeypatch.setattr(processes, "do_all", no_run)
    monkeypatch.setitem(METHODS, "fails", METHODS["ce"])
    config = _config(squares, methods=("ce", "fails"), seeds=2, filter_only=True)
    again = run_grid(config, tmp_path)
    assert started == [
        "fails on symm:0.2, seed 0",
        "ce on symm:0.2, seed 1",
        "fails on symm:0.2, seed 1",
    ]
    assert not again.failed  # though "crashes", which is not asked for, is still there
    rows = {(row.method, row.seed): row for row in read_results(tmp_path)}
    assert len(rows) == 6 and rows["fails", 0].error == ""
    (before,) = (row for row in done.rows if row.method == "ce")
    assert rows["ce", 0].average_precision == pytest.approx(before.average_precision, rel=1e-5)
    assert rows["ce", 0].run == before.run
    started.clear()
    run_grid(config, tmp_path)
    assert started == []


def test_a_classifier_is_added_to_runs_that_only_filtered(squares: Path, tmp_path: Path):
    config = _config(squares, filter_only=True)
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
    assert anew.classified_accuracy == pytest.approx(after.classified_accuracy)


def test_a_classifier_of_another_number_of_epochs_is_not_taken_for_the_one_asked_for(
    squares: Path, tmp_path: Path
):
    run_grid(_config(squares), tmp_path)
    (row,) = read_results(tmp_path)
    write_results([replace(row, classified_accuracy=0.01, classifier_epochs=9)], tmp_path)
    assert run_grid(_config(squares), tmp_path).done_now == 1
    assert [anew.to_json() for anew in read_results(tmp_path)] == [row.to_json()]


def test_the_classifier_is_the_one_of_filter_and_train(squares: Path, tmp_path: Path):
    tasks: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "do_all", lambda found, **_: tasks.extend(found))
        run_grid(_config(squares), tmp_path / "grid")
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
        config=TrainingConfig(train=task.classify, runtime=task.origin.runtime, val=0.0),
    )
    assert model.figures is not None
    assert row.classified_accuracy == pytest.approx(model.figures.accuracy.value, abs=1e-6)


def test_the_classifier_learns_what_train_would_read_from_a_report(
    squares: Path, tmp_path: Path, done: GridResults
):
    (row,) = (row for row in done.rows if row.method == "ce")
    with np.load(done.folder / "runs" / f"{row.run}.npz") as file:
        kept = dict(file)
    dataset = read_dataset(_origin(squares), Reporter())
    names = np.array([*dataset.table.class_names, ""])
    columns = {
        "image": [dataset.table.paths[k] for k in kept["index"]],
        "given_label": names[kept["given"]],
        "suggested_label": names[kept["suggested"]],
        "second_label": names[kept["second"]],
        "status": ["ok"] * len(kept["index"]),
        **{
            name: kept[name].tolist()
            for name in (
                "is_label_issue",
                "label_score",
                "issue_probability",
                "suggested_probability",
                "margin",
            )
        },
    }
    report = Report.from_columns(columns, meta_of(class_names=dataset.table.class_names))
    rows = kept["index"]
    table = replace(
        dataset.table,
        paths=columns["image"],
        labels=kept["given"],
        status=dataset.table.status[rows],
        held_out=dataset.table.held_out[rows],
    )
    read = beliefs.believe(report, table, {})
    found = classifying.believe(dataset, kept)
    own = found.soft.rows(torch.from_numpy(rows), 3)
    torch.testing.assert_close(own, read.soft.rows(torch.arange(len(rows)), 3), atol=1e-5, rtol=0)
    assert (found.given[rows] == read.given).all() and (found.is_kept[rows] == read.is_kept).all()
    others = np.setdiff1d(np.arange(len(dataset.table)), rows)
    assert not found.is_used[others].any() and found.is_used[rows].all()


def test_a_run_whose_verdicts_leave_nothing_to_train_on_keeps_its_figures_and_says_why(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tasks: list[Any] = []
    monkeypatch.setattr(processes, "do_all", lambda found, **_: tasks.extend(found))
    run_grid(_config(squares), tmp_path)

    def nothing(*_: Any) -> Any:
        raise SourceError("no label is believed")

    monkeypatch.setattr(runs, "classify_tests", nothing)
    row = runs.do_run(tasks[0])
    assert "no classifier: no label is believed" in row.notes
    assert np.isnan(row.classified_accuracy) and 0 <= row.average_precision <= 1
    write_results([row], tmp_path)
    assert run_grid(_config(squares), tmp_path).done_now == 0  # it would end the same way


def test_a_classifier_that_fails_is_tried_again(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tasks: list[Any] = []
    monkeypatch.setattr(processes, "do_all", lambda found, **_: tasks.extend(found))
    run_grid(_config(squares), tmp_path)

    def fails(*_: Any) -> Any:
        raise RunError("no memory")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "classify_tests", fails)
        row = runs.do_run(tasks.pop())
    assert "no classifier: no memory" in row.notes and np.isnan(row.classified_accuracy)
    write_results([row], tmp_path)
    run_grid(_config(squares), tmp_path)
    anew = runs.do_run(tasks.pop())
    assert 0 <= anew.classified_accuracy <= 1 and anew.notes == "" and anew.seconds == row.seconds


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
        (row,) = run_grid(_config(squares), tmp_path, reporter=Listener()).rows
    assert not row.error and 0 <= row.average_precision <= 1
    assert np.isnan(row.classified_accuracy) and row.classifier_epochs == 0
    assert any("seed 0: no classifier: its process died" in note for note in told)


def test_results_of_other_labels_are_not_mixed_with_these(
    done: GridResults, squares: Path, tmp_path: Path
):
    write_results([replace(row, input="other") for row in done.rows], tmp_path)
    with pytest.raises(ConfigError, match="ce on symm:0.2, seed 0 was run there on other images"):
        run_grid(_config(squares), tmp_path)


@pytest.mark.parametrize("stopped_at", [0.3, 0.7])  # in the filter, in the classifier
def test_an_interrupted_run_goes_on_from_its_checkpoint(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: float
):
    from labelclean.learning import trainer

    tasks: list[Any] = []
    monkeypatch.setattr(processes, "do_all", lambda found, **_: tasks.extend(found))
    run_grid(_config(squares), tmp_path)
    whole = runs.do_run(replace(tasks[0], run="whole"))
    monkeypatch.setattr(trainer, "SAVE_EVERY", 0.0)

    def stop_late(share: float) -> None:
        if share > stopped_at:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "REPORT_EVERY", 0.0)
    with pytest.raises(KeyboardInterrupt):
        runs.do_run(tasks[0], stop_late)
    assert tasks[0].scores_path.exists() == (stopped_at > 0.5)
    resumed = runs.do_run(tasks[0])
    assert tasks[0].scores_path.exists() and "resuming" in resumed.notes
    assert resumed.average_precision == whole.average_precision
    assert resumed.classified_accuracy == whole.classified_accuracy
    assert np.isnan(resumed.seconds) == (stopped_at < 0.5) and whole.seconds > 0
    assert [path.suffix for path in (tmp_path / "runs").iterdir()] == [".npz", ".npz"]


@pytest.mark.parametrize(
    ("noise", "spec"),
    [
        ("symm:0.4", NoiseSpec(symm=0.4, seed=3)),
        ("asymm:40%", NoiseSpec(asymm=0.4, seed=3)),
        ("instance:0.3", NoiseSpec(instance=0.3, seed=3)),
    ],
)
def test_the_noise_is_that_of_inject_noise(
    cifar10_root: Path, tmp_path: Path, noise: str, spec: NoiseSpec
):
    origin = replace(_origin("cifar10"), options=SourceOptions(root=cifar10_root))
    dataset = read_dataset(origin, Reporter())
    labels = noisy_labels(dataset, Noise.parse(noise), 3, Reporter())
    inject_noise("cifar10", origin.options, spec=spec, out=tmp_path / "noisy")
    lines = (tmp_path / "noisy" / "labels.csv").read_text().splitlines()[1:]
    written = [dataset.table.class_names.index(line.split(",")[1]) for line in lines]
    assert labels[:200].tolist() == written
    assert (labels[200:] == NO_LABEL).all() and len(dataset.test_rows) == 40
    assert 0 < (labels[:200] != dataset.truth[:200]).sum() < 100


def test_the_first_images_have_the_noise_of_their_own_number_and_their_annotator(
    cifar10_root: Path, tmp_path: Path
):
    origin = replace(_origin("cifar10", count=50), options=SourceOptions(root=cifar10_root))
    dataset = read_dataset(origin, Reporter())
    assert dataset.rows.tolist() == list(range(50))
    assert dataset.samples.rows.tolist() == [*range(50), *range(200, 240)]
    labels = noisy_labels(dataset, Noise.parse("symm:0.4"), 0, Reporter())
    per_class = [(labels[k:50:10] != k).sum() for k in range(10)]
    assert per_class == [2] * 10  # of five images each
    human = (np.arange(200) + (np.arange(200) % 7 == 0)) % 10
    (tmp_path / "human.txt").write_text("\n".join(map(str, human.tolist())))
    noise = Noise.parse(f"human:{tmp_path}/human.txt")
    assert noise.name == "human:human.txt"
    labels = noisy_labels(dataset, noise, 0, Reporter())
    assert labels[:50].tolist() == human[:50].tolist() and (labels[50:] == NO_LABEL).all()


def test_methods_that_need_the_noise_rate_are_told_the_true_one(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tasks: list[Any] = []
    monkeypatch.setattr(processes, "do_all", lambda found, **_: tasks.extend(found))
    monkeypatch.setitem(METHODS, "told", Method(step=METHODS["ce"].step, needs_noise_rate=True))
    run_grid(_config(squares, methods=("ce", "told"), noises=("symm:0.35",)), tmp_path)
    assert [task.train.noise_rate for task in tasks] == [None, pytest.approx(21 / 60)]
    assert [task.train.seed for task in tasks] == [0, 0]


def test_without_a_noise_it_is_the_papers_and_asymmetric_only_where_a_mapping_is_known(
    squares: Path, cifar10_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tasks: list[Any] = []
    monkeypatch.setattr(processes, "do_all", lambda found, **_: tasks.extend(found))
    run_grid(_config(squares, noises=()), tmp_path)
    symmetric = ["symm:0.2", "symm:0.4", "symm:0.6", "symm:0.8"]
    assert [task.key.noise for task in tasks] == symmetric
    tasks.clear()
    options = SourceOptions(root=cifar10_root)
    run_grid(_config("CIFAR-10", noises=()), tmp_path, options=options)
    assert [task.key.noise for task in tasks] == [
        *symmetric, "asymm:0.1", "asymm:0.2", "asymm:0.3", "asymm:0.4"
    ]  # fmt: skip
    assert {task.key.setting.data for task in tasks} == {"cifar10"}


def test_the_digest_follows_the_labels_and_the_images(squares: Path, tmp_path: Path):
    dataset = read_dataset(_origin(squares), Reporter())
    labels = noisy_labels(dataset, Noise.parse("symm:0.2"), 0, Reporter())
    other = labels.copy()
    other[dataset.rows[0]] = (other[dataset.rows[0]] + 1) % 3
    assert dataset.digest(labels) == dataset.digest(labels.copy()) != dataset.digest(other)
    fewer = read_dataset(_origin(squares, count=40), Reporter())
    assert fewer.digest(labels) != dataset.digest(labels)


def test_two_commands_do_not_write_into_one_folder(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def second(tasks: Any, **_: Any) -> None:
        monkeypatch.setattr(processes, "do_all", lambda tasks, **_: None)
        with pytest.raises(ConfigError, match="another benchmark is at work there"):
            run_grid(_config(squares), tmp_path)

    monkeypatch.setattr(processes, "do_all", second)
    run_grid(_config(squares), tmp_path)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"methods": ("ce", "magic")}, "--methods: there is no magic; there are jnpl, "),
        ({"methods": ("ce", "ce")}, "--methods has one of its values twice"),
        ({"noises": ("symm:0.2", "symm:20%")}, "--noise has one of its values twice"),
        ({"noises": ("symm",)}, "--noise symm: must be symm:0.2, "),
        ({"noises": ("symm:1",)}, "--noise symm:1: must be"),
        ({"noises": ("symm:nan",)}, "--noise symm:nan: must be"),
        ({"noises": ("human:none.txt",)}, "--noise human:none.txt: no such file"),
        ({"seeds": 0, "jobs": 0}, "--seeds is 0, must be at least 1; --jobs is 0"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(given: dict[str, Any], says: str):
    with pytest.raises(ConfigError) as caught:
        _config("cifar10", **given)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"count": 61}, "--count is 61, more than the 60 images to train on"),
        ({"count": 1}, "the first images are all of one class"),
        ({"noises": ("asymm:0.2",)}, "--noise asymm:0.2: which class of "),
        ({"arch": "vgg"}, "--arch vgg is unknown"),
        ({"preset": "fast"}, "--preset fast is unknown"),
    ],
)
def test_a_grid_that_does_not_fit_the_data_leaves_no_folder(
    squares: Path, tmp_path: Path, given: dict[str, Any], says: str
):
    with pytest.raises(ConfigError) as caught:
        run_grid(_config(squares, **given), tmp_path / "out")
    assert says in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_results_are_read_as_they_were_written(tmp_path: Path, make_row: Any):
    rows = [
        make_row(data="=cmd()", noise="human:a,b\n", notes="'x'", error='say "no"'),
        make_row(seed=1, average_precision=0.123456, test_accuracy=float("nan")),
    ]
    write_results(rows, tmp_path)
    assert "'=cmd()" in (tmp_path / "results.csv").read_text()
    assert [row.to_json() for row in read_results(tmp_path)] == [row.to_json() for row in rows]
    assert read_results(tmp_path / "none") == []


def _spoil(row: Row, name: str, cell: str, folder: Path) -> None:
    write_results([row], folder)
    header, line = (folder / "results.csv").read_text().splitlines()
    cells = line.split(",")
    cells[header.split(",").index(name)] = cell
    (folder / "results.csv").write_text(f"{header}\n{','.join(cells)}\n")


def test_a_damaged_results_file_is_refused_with_its_line(tmp_path: Path, make_row: Any):
    _spoil(make_row(), "auroc", "much", tmp_path)
    with pytest.raises(ReportError, match=r"results.csv:2: auroc is 'much', not a number"):
        read_results(tmp_path)
    _spoil(make_row(), "auroc", ",", tmp_path)
    with pytest.raises(ReportError, match=r"results.csv:2: \d+ cells where the header has"):
        read_results(tmp_path)
    (tmp_path / "results.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ReportError, match="not the results of this version"):
        read_results(tmp_path)


def test_names_of_runs_are_safe_file_names(make_row: Any):
    key = make_row(method="../a\\b", noise="human:" + "ü" * 300 + "\n").key
    name = grids._file_name(key, "told")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.+-") and len(name) < 80
    assert "/" not in name and name != grids._file_name(key, "else")
