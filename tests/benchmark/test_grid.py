"""The grid: which runs are done, what is kept of them, and what a failure leaves of the others."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from grid_data import config_of, origin_of
from sklearn.metrics import average_precision_score, f1_score

from labelclean.benchmark import grid as grids
from labelclean.benchmark import processes, runs
from labelclean.benchmark.dataset import Noise, noisy_labels, read_dataset
from labelclean.benchmark.grid import GridResults, run_grid
from labelclean.benchmark.results import Row, read_results, write_results
from labelclean.benchmark.runs import Task
from labelclean.config.source_options import SourceOptions
from labelclean.data.samples import NO_LABEL
from labelclean.errors import ConfigError, OutputError, ReportError, RunError
from labelclean.learning.methods import METHODS, Method, StepResult
from labelclean.progress import Reporter
from labelclean.workflows.injecting import NoiseSpec, inject_noise


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
        config = config_of(squares, methods=("crashes", "fails", "ce", "learns"))
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
        assert row.classified_accuracy * 24 == pytest.approx(
            round(row.classified_accuracy * 24), abs=1e-4
        )


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
    config = config_of(squares, methods=("ce", "fails"), seeds=2, filter_only=True)
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


def test_results_of_other_labels_are_not_mixed_with_these(
    done: GridResults, squares: Path, tmp_path: Path
):
    write_results([replace(row, input="other") for row in done.rows], tmp_path)
    with pytest.raises(ConfigError, match="ce on symm:0.2, seed 0 was run there on other images"):
        run_grid(config_of(squares), tmp_path)


@pytest.mark.parametrize("stopped_at", [0.3, 0.7])  # in the filter, in the classifier
def test_an_interrupted_run_goes_on_from_its_checkpoint(
    squares: Path,
    tmp_path: Path,
    tasks: list[Task],
    monkeypatch: pytest.MonkeyPatch,
    stopped_at: float,
):
    from labelclean.learning import trainer

    run_grid(config_of(squares), tmp_path)
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
    origin = replace(origin_of("cifar10"), options=SourceOptions(root=cifar10_root))
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
    origin = replace(origin_of("cifar10", count=50), options=SourceOptions(root=cifar10_root))
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
    squares: Path, tmp_path: Path, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(METHODS, "told", Method(step=METHODS["ce"].step, needs_noise_rate=True))
    run_grid(config_of(squares, methods=("ce", "told"), noises=("symm:0.35",)), tmp_path)
    assert [task.train.noise_rate for task in tasks] == [None, pytest.approx(21 / 60)]
    assert [task.train.seed for task in tasks] == [0, 0]


def test_without_a_noise_it_is_the_papers_and_asymmetric_only_where_a_mapping_is_known(
    squares: Path, cifar10_root: Path, tmp_path: Path, tasks: list[Task]
):
    run_grid(config_of(squares, noises=()), tmp_path)
    symmetric = ["symm:0.2", "symm:0.4", "symm:0.6", "symm:0.8"]
    assert [task.key.noise for task in tasks] == symmetric
    tasks.clear()
    options = SourceOptions(root=cifar10_root)
    run_grid(config_of("CIFAR-10", noises=()), tmp_path, options=options)
    assert [task.key.noise for task in tasks] == [
        *symmetric, "asymm:0.1", "asymm:0.2", "asymm:0.3", "asymm:0.4"
    ]  # fmt: skip
    assert {task.key.setting.data for task in tasks} == {"cifar10"}


def test_the_digest_follows_the_labels_and_the_images(squares: Path, tmp_path: Path):
    dataset = read_dataset(origin_of(squares), Reporter())
    labels = noisy_labels(dataset, Noise.parse("symm:0.2"), 0, Reporter())
    other = labels.copy()
    other[dataset.rows[0]] = (other[dataset.rows[0]] + 1) % 3
    assert dataset.digest(labels) == dataset.digest(labels.copy()) != dataset.digest(other)
    fewer = read_dataset(origin_of(squares, count=40), Reporter())
    assert fewer.digest(labels) != dataset.digest(labels)


def test_two_commands_do_not_write_into_one_folder(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def second(tasks: Any, **_: Any) -> None:
        with ThreadPoolExecutor(1) as other:
            with pytest.raises(OutputError, match=rf"process {os.getpid()} on .* is writing it"):
                other.submit(run_grid, config_of(squares), tmp_path).result()

    monkeypatch.setattr(processes, "do_all", second)
    run_grid(config_of(squares), tmp_path)


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
        config_of("cifar10", **given)
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
        run_grid(config_of(squares, **given), tmp_path / "out")
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
