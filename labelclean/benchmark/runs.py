"""One run of a grid: noisy labels learned by a method, judged, and measured against the truth."""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from labelclean.benchmark.classifying import classify_tests
from labelclean.benchmark.dataset import Dataset, Origin, read_dataset
from labelclean.benchmark.results import Key, Row, write
from labelclean.config import FilterConfig, TrainConfig
from labelclean.config.names import DEFAULT
from labelclean.errors import LabelcleanError, SourceError
from labelclean.judging import verdicts
from labelclean.learning.methods import METHODS, Method
from labelclean.learning.run import Run
from labelclean.learning.runtime import choose_precision
from labelclean.progress import Advance, Reporter
from labelclean.report import metrics
from labelclean.workflows.filtering import judge
from labelclean.workflows.learner import Environment
from labelclean.workflows.learning import CHECKPOINT, Learned, learn

RUNS = "runs"  # folder beside results.csv
CURVE_ROWS = 1_000  # test rows whose accuracy is measured after each epoch
TRAINING_SHARE = 0.95  # of a run's time; the rest predicts and judges
VIEWS = 2  # of each image, in an epoch of the classifier
UNCLASSIFIED = "no classifier: "  # begins the note that says why


@dataclass(frozen=True, kw_only=True)
class Task:
    """All that the process of a run needs.

    labels    (n,)  given labels, NO_LABEL for rows that are not trained on
    input     digest of these and the images
    folder    for <run>.npz and, until the run is done, its checkpoint
    machine   what results.csv says of it before the device
    classify  how a classifier is trained on what the verdicts leave; None: none is
    """

    key: Key
    run: str
    origin: Origin
    method: Method
    train: TrainConfig
    labels: NDArray[np.int64]
    input: str
    folder: Path
    threads: int
    machine: str
    classify: TrainConfig | None = None

    def row(self) -> Row:
        """Without figures."""
        setting = self.key.setting
        return Row(
            data=setting.data,
            n=setting.n,
            noise=self.key.noise,
            seed=self.key.seed,
            method=self.key.method,
            preset=setting.preset,
            epochs=setting.epochs,
            arch=setting.arch,
            run=self.run,
            input=self.input,
        )

    @property
    def run_dir(self) -> Path:
        """For checkpoints, until the run is done."""
        return self.folder / f"{self.run}.run"

    @property
    def scores_path(self) -> Path:
        return self.folder / f"{self.run}.npz"


@dataclass(kw_only=True)
class _Listener(Reporter):
    """Keeps the notes of a run, and passes on how far its training is."""

    run_dir: Path
    on_share: Callable[[float], None] = lambda share: None
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(without_folder(text, self.run_dir))

    @contextmanager
    def _shown(self, name: str) -> Iterator[Advance]:
        if name.startswith("training"):
            yield lambda done, total, words: self.on_share(TRAINING_SHARE * done / total)
        else:
            yield lambda done, total, words: None


@lru_cache(maxsize=1)
def _dataset(origin: Origin) -> Dataset:
    """Prepared once in each process."""
    return read_dataset(origin, Reporter())


def do_run(task: Task, on_share: Callable[[float], None] = lambda share: None) -> Row:
    """Learns, judges and measures; leaves <run>.npz, and a checkpoint if it is interrupted.

    on_share  receives the share of the run that is done

    Raises LabelcleanError for what the user can mend.
    """
    METHODS.setdefault(task.key.method, task.method)  # one from outside of the package
    torch.set_num_threads(task.threads)
    dataset = _dataset(task.origin)
    filter_share = 1.0
    if task.classify and task.classify.epochs and task.train.epochs:
        filter_share /= 1 + VIEWS * task.classify.epochs / task.train.epochs
    row = known(task)  # by an earlier command, or before an interruption
    if row is None:
        row = _filtered(task, dataset, lambda share: on_share(filter_share * share))
    if task.classify is not None:
        rest = 1 - filter_share
        row = _classified(
            row, task, task.classify, dataset, lambda share: on_share(filter_share + rest * share)
        )
    if not lacks_classifier(row):
        shutil.rmtree(task.run_dir, ignore_errors=True)  # nothing is left to resume
    return row


def lacks_classifier(row: Row) -> bool:
    """Whether one was to be trained, could not, and may be with more memory or room."""
    return UNCLASSIFIED in row.notes and row.classifier_epochs == 0


def known(task: Task) -> Row | None:
    """The filter's result from the file of scores; its name holds all that decides it."""
    if not task.scores_path.is_file():
        return None
    with np.load(task.scores_path) as file:
        facts = json.loads(str(file["facts"]))
    cells = {each.name: facts[each.name] for each in fields(Row)}
    whole: dict[str, Any] = {k: np.nan if cell is None else cell for k, cell in cells.items()}
    return Row(**whole)


def _filtered(task: Task, dataset: Dataset, on_share: Callable[[float], None]) -> Row:
    samples = replace(dataset.samples, table=dataset.table.with_labels(task.labels))
    reporter = _Listener(run_dir=task.run_dir, on_share=on_share)
    is_resumed = (task.run_dir / CHECKPOINT).is_file()
    runtime = replace(task.origin.runtime, run_dir=task.run_dir, resume=is_resumed)
    config = FilterConfig(train=task.train, runtime=runtime)
    started = time.monotonic()
    learned = learn(
        samples,
        task.labels,
        config,
        torch.device(runtime.device),
        reporter,
        measure=partial(_test_accuracy, dataset),
    )
    decision = judge(samples, task.labels, learned.predictions, config)
    of_tests = reporter.seconds["predicting"] * len(dataset.test_rows) / len(samples.rows)
    seconds = np.nan if is_resumed else time.monotonic() - started - of_tests
    row = replace(
        task.row(),
        test_accuracy=accuracy(learned.predictions.top_classes[dataset.test_rows, 0], dataset),
        seconds=seconds,
        torch=torch.__version__,
        machine=f"{task.machine}, {learned.device}, {learned.dtype}",
        notes="; ".join(reporter.notes),
        **quality(decision, task.labels, dataset),
    )
    write(task.scores_path, _encoded(row, learned, decision, task.labels, dataset))
    return row


def _classified(
    row: Row, task: Task, train: TrainConfig, dataset: Dataset, on_share: Callable[[float], None]
) -> Row:
    """With the accuracy of a classifier, or a note that says why there is none."""
    reporter = _Listener(run_dir=task.run_dir, on_share=on_share)
    runtime = task.origin.runtime
    is_resumed = (task.run_dir / f"{DEFAULT}.pt").is_file()
    device = torch.device(runtime.device)
    where = Environment(
        runtime=replace(runtime, run_dir=task.run_dir, resume=is_resumed),
        device=device,
        dtype=choose_precision(runtime.precision, device),
        reporter=reporter,
    )
    with np.load(task.scores_path) as file:
        kept = {name: file[name] for name in file.files}
    test_accuracy, epochs = np.nan, train.epochs or 0
    try:
        test_accuracy = accuracy(classify_tests(dataset, kept, train, where), dataset)
    except LabelcleanError as error:
        reporter.note(f"{UNCLASSIFIED}{error}")
        if not isinstance(error, SourceError):  # that is of the labels, which stay as they are
            epochs = 0
            if is_resumed:  # perhaps a checkpoint that cannot be gone on from: next time afresh
                shutil.rmtree(task.run_dir, ignore_errors=True)
    row = replace(row, classified_accuracy=test_accuracy, classifier_epochs=epochs)
    return with_notes(row, reporter.notes)


def without_folder(text: str, folder: Path) -> str:
    """Removes paths of the machine from text that is published with the results."""
    return text.replace(f"{folder}{os.sep}", "")


def with_notes(row: Row, notes: Sequence[str]) -> Row:
    return replace(row, notes="; ".join(filter(None, (row.notes, *notes))))


@torch.no_grad()
def _test_accuracy(dataset: Dataset, run: Run) -> dict[str, float]:
    """Accuracy on some test rows by the network so far, for the accuracy curves (paper Fig. 4)."""
    rows = dataset.test_rows[:CURVE_ROWS]
    if not len(rows):
        return {}
    run.trained.eval()
    right = 0
    for batch in run.batches.in_order(rows):
        with torch.autocast(run.device.type, run.dtype, enabled=run.dtype != torch.float32):
            predicted = run.trained(batch.images).argmax(dim=1)
        truth = torch.from_numpy(dataset.truth[batch.index.cpu().numpy()]).to(run.device)
        right += int((predicted == truth).sum())
    return {"test_accuracy": right / len(rows)}


def accuracy(predicted: NDArray[np.integer], dataset: Dataset) -> float:
    """Share of the test rows whose class (t,) is predicted; NaN without test rows."""
    rows = dataset.test_rows
    return float((predicted == dataset.truth[rows]).mean()) if len(rows) else np.nan


def quality(
    decision: verdicts.Verdicts, labels: NDArray[np.int64], dataset: Dataset
) -> dict[str, Any]:
    """The figures of a verdict on the rows that were trained on, by the columns of Row."""
    rows = dataset.rows[np.isfinite(decision.label_score[dataset.rows])]
    given, truth = labels[rows], dataset.truth[rows]
    is_noisy = given != truth
    score, is_issue = decision.label_score[rows], decision.is_label_issue[rows]
    return {
        "rate": float(is_noisy.mean()),
        "average_precision": metrics.average_precision(score, is_noisy),
        "auroc": metrics.auroc(score, is_noisy),
        "f1": metrics.f1(is_issue, is_noisy),
        "suggestion_accuracy": metrics.suggestion_accuracy(decision.suggested[rows], given, truth),
        "noise_rate_error": metrics.noise_rate_error(decision.noise_rate, is_noisy),
        "expected_calibration_error": metrics.expected_calibration_error(
            decision.issue_probability[rows], is_noisy
        ),
    }


def _encoded(
    row: Row,
    learned: Learned,
    decision: verdicts.Verdicts,
    labels: NDArray[np.int64],
    dataset: Dataset,
) -> bytes:
    """<run>.npz: columns of the rows that were trained on, and what is known of the run.

    index                        (m,) row of the source, with given and truth (m,)
    all of Predictions, and of Verdicts those with a value a row  (m, ...)
    test_truth, test_predicted   (t,) of the test rows
    class_names                  (c,)
    facts                        JSON: the row of results.csv, history by epoch, noise_rate and
                                 transition_matrix as estimated
    """
    rows, count = dataset.rows, len(labels)
    columns = {**vars(learned.predictions), **vars(decision)}
    of_rows: dict[str, Any] = {
        name: values[rows]
        for name, values in columns.items()
        if isinstance(values, np.ndarray) and name != "transition_matrix" and len(values) == count
    }
    facts = {
        **row.to_json(),
        "history": list(learned.history),
        "noise_rate": decision.noise_rate,
        "transition_matrix": None
        if decision.transition_matrix is None
        else decision.transition_matrix.tolist(),
    }
    out = io.BytesIO()
    np.savez_compressed(
        out,
        index=rows,
        given=labels[rows],
        truth=dataset.truth[rows],
        test_truth=dataset.truth[dataset.test_rows],
        test_predicted=learned.predictions.top_classes[dataset.test_rows, 0],
        class_names=np.array(dataset.table.class_names),
        facts=np.array(json.dumps(facts)),
        **of_rows,
    )
    return out.getvalue()


def machine_words(jobs: int) -> str:
    """System and cores, and how many runs share them."""
    shared = f", {jobs} runs at a time" if jobs > 1 else ""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{shared}"
