"""A resumable grid of runs, method × noise × seed: what is asked for, there, and left."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import loky
import numpy as np
from numpy.typing import NDArray

from labelclean import config, disk
from labelclean.benchmark import processes
from labelclean.benchmark.dataset import Dataset, Noise, Origin, noisy_labels, read_dataset
from labelclean.benchmark.rendering import write_pages
from labelclean.benchmark.results import Key, Row, Setting, read_results, write_results
from labelclean.benchmark.runs import RUNS, UNCLASSIFIED, Task, lacks_classifier, machine_words
from labelclean.config import RuntimeConfig, TrainConfig
from labelclean.config.source_options import SourceOptions
from labelclean.config.training_config import train_preset
from labelclean.errors import ConfigError, printable
from labelclean.learning import models, runtime
from labelclean.learning.methods import METHODS
from labelclean.progress import Reporter
from labelclean.workflows.filtering import default_preset

SYMMETRIC = ("symm:0.2", "symm:0.4", "symm:0.6", "symm:0.8")  # as in the paper's Table 1
ASYMMETRIC = ("asymm:0.1", "asymm:0.2", "asymm:0.3", "asymm:0.4")  # its mapping is that of CIFAR


@dataclass(frozen=True, kw_only=True)
class GridConfig:
    """The methods, noises and seeds that are compared, and how.

    methods  names of METHODS; none: all of them
    noises   as Noise.parse takes them; none: the paper's, asymmetric ones on CIFAR only
    seeds    number of them: 0, 1, ...
    count    images to train on, the first ones; None: all
    epochs, arch  in place of the preset's
    jobs     runs side by side
    threads  of each; None: the cores divided among them
    filter_only  no classifier is trained on what the verdicts leave
    """

    data: str
    methods: tuple[str, ...] = ()
    noises: tuple[str, ...] = ()
    seeds: int = 3
    count: int | None = None
    preset: str | None = None
    epochs: int | None = None
    arch: str | None = None
    jobs: int = 1
    threads: int | None = None
    device: str = "auto"
    filter_only: bool = False

    def __post_init__(self) -> None:
        problems = []
        unknown = [name for name in self.methods if name not in METHODS]
        if unknown:
            problems.append(
                f"--methods: there is no {', '.join(unknown)}; there are {', '.join(METHODS)}"
            )
        noises = [noise.name for noise in map(Noise.parse, self.noises)]
        for flag, names in (("--methods", self.methods), ("--noise", noises)):
            if len(set(names)) < len(names):
                problems.append(f"{flag} has one of its values twice; leave one out")
        counts = {
            "--seeds": self.seeds,
            "--count": self.count,
            "--jobs": self.jobs,
            "--threads": self.threads,
        }
        problems += [
            f"{flag} is {value}, must be at least 1"
            for flag, value in counts.items()
            if value is not None and value < 1
        ]
        if problems:
            raise ConfigError("; ".join(problems))


@dataclass(frozen=True, kw_only=True)
class GridResults:
    """The results of a grid in its folder.

    rows     all of results.csv, those of earlier commands too
    asked    the runs of this command, of which `done_now` were not there before
    is_classified  each was to train a classifier too
    """

    folder: Path
    rows: tuple[Row, ...]
    asked: tuple[Key, ...]
    done_now: int
    is_classified: bool

    @property
    def failed(self) -> tuple[Row, ...]:
        """Runs asked for that have no figures, or no classifier yet."""
        asked = set(self.asked)
        return tuple(
            row
            for row in self.rows
            if row.key in asked and (row.error or (self.is_classified and lacks_classifier(row)))
        )


def run_grid(
    grid: GridConfig,
    out: Path,
    *,
    options: SourceOptions | None = None,
    cache_dir: Path | None = None,
    reporter: Reporter | None = None,
) -> GridResults:
    """Does the runs that `out` lacks, each in a process of its own, and writes their tables.

    options   how the data are to be read
    out       folder with results.csv (whole after each run), results.md, results.html and
              runs/<run>.npz; made where it is not there

    A run that fails becomes a row with its error; it is tried again by the next command.

    Raises SourceError, ConfigError or ReportError for what the user can mend.
    """
    reporter = reporter or Reporter()
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {printable(out)}: is a file; give a folder")
    device = runtime.choose_device(grid.device)
    precision = runtime.choose_precision("auto", device)  # the same for all, whatever else runs
    origin = Origin(
        data=grid.data,
        options=options or SourceOptions(),
        runtime=RuntimeConfig(
            device=device.type,
            precision=str(precision).removeprefix("torch."),
            cache_dir=cache_dir,
        ),
        count=grid.count,
    )
    known = (*SYMMETRIC, *(ASYMMETRIC if origin.is_by_name else ()))
    noises = [Noise.parse(text) for text in grid.noises or known]
    train = _train_config(grid)
    methods = grid.methods or tuple(METHODS)
    _note_told_rates(methods, reporter)
    dataset = read_dataset(origin, reporter)
    models.build(train.arch, dataset.table.num_classes, dataset.samples.spec.size)  # is there one?
    tasks = _tasks(dataset, methods, noises, grid, train, out / RUNS, reporter)
    _make(out)
    with disk.claim_folder(out):
        return _do(tasks, grid, out, reporter)


def _do(tasks: list[Task], grid: GridConfig, out: Path, reporter: Reporter) -> GridResults:
    rows = {row.key: row for row in read_results(out)}
    for task in tasks:
        earlier_row = rows.get(task.key)
        if earlier_row and earlier_row.input != task.input:
            raise ConfigError(
                f"--out {printable(out)}: {printable(task.key.words())} was run there on other "
                "images or labels; give another folder"
            )
    left = [rest for task in tasks if (rest := _left(task, rows.get(task.key)))]
    if len(left) < len(tasks):
        reporter.note(f"{len(tasks) - len(left):,} of {len(tasks):,} runs are there already")

    def keep(row: Row) -> None:
        rows[row.key] = row
        write_results(list(rows.values()), out)
        if row.error:
            reporter.note(f"{printable(row.key.words())} failed: {row.error}")
        elif UNCLASSIFIED in row.notes:
            reporter.note(f"{printable(row.key.words())}: {printable(row.notes)}")

    try:
        with reporter.stage("runs") as advance:
            processes.do_all(
                left,
                jobs=grid.jobs,
                threads=_threads(grid),
                on_row=keep,
                on_progress=lambda done, task: advance(
                    done, len(left), f"{int(done)} of {len(left)}, {printable(task.key.words())}"
                ),
            )
    except KeyboardInterrupt:
        reporter.note("what is done is kept; the same command goes on from there")
        raise
    found_rows = tuple(rows.values())
    write_pages(found_rows, out)
    return GridResults(
        folder=out,
        rows=found_rows,
        asked=tuple(task.key for task in tasks),
        done_now=len(left),
        is_classified=any(task.classify for task in tasks),
    )


def _left(task: Task, row: Row | None) -> Task | None:
    """The open part of the task: all, only the classifier, or nothing."""
    if row is None or row.error:
        return task
    if task.classify is None or row.classifier_epochs == task.classify.epochs:
        return None
    earlier = replace(task, run=row.run)  # its name may be of another precision
    return earlier if earlier.scores_path.is_file() else task


def _train_config(grid: GridConfig) -> TrainConfig:
    name = grid.preset or default_preset(grid.device)
    return config.preset(name, epochs=grid.epochs, arch=grid.arch)


def _threads(grid: GridConfig) -> int:
    return grid.threads or max(1, loky.cpu_count() // grid.jobs)


def _note_told_rates(methods: Sequence[str], reporter: Reporter) -> None:
    informed = [name for name in methods if METHODS[name].needs_noise_rate]
    if informed:
        reporter.note(f"given the true noise rate, as in their papers: {', '.join(informed)}")


def _tasks(
    dataset: Dataset,
    methods: Sequence[str],
    noises: Sequence[Noise],
    grid: GridConfig,
    train: TrainConfig,
    folder: Path,
    reporter: Reporter,
) -> list[Task]:
    """The runs asked for: one seed of everything first."""
    count = len(dataset.rows)
    epochs = train.epochs or config.filter_epochs(count)
    setting = Setting(
        data=dataset.origin.name,
        n=count,
        preset=grid.preset or default_preset(grid.device),
        epochs=epochs,
        arch=train.arch,
    )
    classify = None
    if not grid.filter_only and len(dataset.test_rows):
        classify = train_preset(setting.preset, epochs=grid.epochs, arch=grid.arch)
        of_classifier = classify.epochs or config.train_epochs(count, classify.batch_size)
        classify = replace(classify, epochs=of_classifier)
    tasks = []
    for seed in range(grid.seeds):
        for noise in noises:
            labels = noisy_labels(dataset, noise, seed, reporter)
            digest = dataset.digest(labels)
            rate = _rate(dataset, labels)
            for method in methods:
                key = Key(setting=setting, noise=noise.name, seed=seed, method=method)
                learned_by = METHODS[method]
                settings = replace(
                    train,
                    method=method,
                    epochs=epochs,
                    seed=seed,
                    noise_rate=rate if learned_by.needs_noise_rate else None,
                )
                # all that decides a result is in the name: a checkpoint of others is not taken
                identity = repr((key, settings, digest, dataset.origin.runtime.precision))
                tasks.append(
                    Task(
                        key=key,
                        run=_file_name(key, identity),
                        origin=dataset.origin,
                        method=learned_by,
                        train=settings,
                        labels=labels,
                        input=digest,
                        folder=folder,
                        threads=_threads(grid),
                        machine=machine_words(grid.jobs),
                        classify=classify and replace(classify, seed=seed),
                    )
                )
    return tasks


def _rate(dataset: Dataset, labels: NDArray[np.int64]) -> float:
    rows = dataset.rows
    return float((labels[rows] != dataset.truth[rows]).mean())


def _file_name(key: Key, identity: str) -> str:
    """Readable, safe on any file system, and of this run alone."""
    words = re.sub(r"[^a-z0-9.+]+", "-", f"{key.method} {key.noise} seed{key.seed}".lower())
    return f"{words[:60]}-{hashlib.blake2b(identity.encode(), digest_size=4).hexdigest()}"


def _make(out: Path) -> None:
    try:
        (out / RUNS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--out {printable(out)}: no folder can be made there ({error.strerror}); give another"
        ) from None
