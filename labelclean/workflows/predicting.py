"""predict_images: what a trained model says of images, written as it goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from labelclean.config.source_options import SourceOptions
from labelclean.data.samples import OK, SampleTable
from labelclean.data.streaming import Chunk, decoded
from labelclean.errors import ConfigError, SourceError, printable
from labelclean.learning import runtime
from labelclean.learning.inference import logits_of
from labelclean.learning.model_folder import TrainedModel, load_model
from labelclean.progress import Reporter
from labelclean.report.classification import Classification, figures_text, measure_predicted
from labelclean.report.prediction_files import TableWriter
from labelclean.sources.read_source import read_images
from labelclean.workflows.truth import read_truth

__all__ = ["Predicted", "load_model", "predict_images"]

TOP = 5
BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """The predictions and where they were written.

    counts   images by predicted class, the most frequent first
    broken   images that are missing or unreadable
    figures  against the true labels, where those were given
    """

    out: str
    images: int
    counts: dict[str, int]
    broken: int
    figures: Classification | None

    def to_json(self) -> dict[str, Any]:
        return {
            "out": self.out,
            "images": self.images,
            "counts": self.counts,
            "broken": self.broken,
            "test": None if self.figures is None else self.figures.to_json(),
        }

    def describe(self) -> str:
        broken = f", {self.broken:,} missing or unreadable" if self.broken else ""
        lines = [f"{self.images:,} images{broken}"]
        width = max((len(f"{count:,}") for count in self.counts.values()), default=0)
        lines += [f"{count:>{width},}  {printable(name)}" for name, count in self.counts.items()]
        if self.figures is not None:
            lines += ["", figures_text(self.figures)]
        return "\n".join([*lines, "", f"labels: {printable(self.out)}"])


def predict_images(
    model: str | Path,
    source: str | Path,
    *,
    out: str | Path,
    options: SourceOptions | None = None,
    truth: Path | None = None,
    label_col: str | None = None,
    batch_size: int = BATCH,
    device: str = "auto",
    workers: int | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
) -> Predicted:
    """Writes label, probability and the next best classes of every image of the source.

    model   folder that train wrote
    source  folder, table, Parquet file or CIFAR by name; labels in it are left aside
    out     table to write; "-": CSV on standard output
    truth   table of true labels, to report the accuracy
    label_col  of the truth

    Raises RunError, SourceError, ConfigError or ReportError for what the user can mend.
    """
    reporter = reporter or Reporter()
    if batch_size < 1:
        raise ConfigError(f"--batch-size is {batch_size}, must be at least 1")
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers is {workers}, must be at least 1")
    place = runtime.choose_device(device)
    with TableWriter(out, force) as writer:
        return _predict(
            model,
            source,
            writer,
            options=options or SourceOptions(),
            truth=truth,
            label_col=label_col,
            batch_size=batch_size,
            place=place,
            workers=workers,
            reporter=reporter,
        )


def _predict(
    model: str | Path,
    source: str | Path,
    writer: TableWriter,
    *,
    options: SourceOptions,
    truth: Path | None,
    label_col: str | None,
    batch_size: int,
    place: torch.device,
    workers: int | None,
    reporter: Reporter,
) -> Predicted:
    with reporter.stage("reading") as advance:
        trained = load_model(model).to(place)
        table = read_images(source, options, advance)
        labels = (
            None if truth is None else _true_labels(truth, label_col, table, trained.class_names)
        )
    for note in table.notes:
        reporter.note(note)
    best = np.full(len(table), -1, dtype=np.int32)
    probability = np.full(len(table), np.nan, dtype=np.float32)
    with reporter.stage("predicting") as advance:
        spec = trained.transform.spec
        for chunk in decoded(table, spec, at_once=batch_size, workers=workers):
            classes, probs = _top(trained, chunk, place)
            rows = slice(chunk.start, chunk.start + len(chunk.status))
            best[rows], probability[rows] = classes[:, 0], probs[:, 0]
            writer.write(_frame(table, chunk, classes, probs, trained.class_names))
            advance(rows.stop, len(table), f"{rows.stop:,} of {len(table):,} images")
    figures = None
    if labels is not None:
        known = np.flatnonzero((labels >= 0) & (best >= 0))
        if len(known):
            figures = measure_predicted(
                best[known].astype(np.int64),
                probability[known].astype(np.float64),
                labels[known],
                trained.class_names,
            )
        else:
            reporter.note("no accuracy: none of the images with a true label can be read")
    count = np.bincount(best[best >= 0], minlength=len(trained.class_names))
    return Predicted(
        out=str(writer.out),
        images=len(table),
        counts={
            trained.class_names[k]: int(count[k])
            for k in np.argsort(-count, kind="stable").tolist()
            if count[k]
        },
        broken=int((best < 0).sum()),
        figures=figures,
    )


def _top(
    model: TrainedModel, chunk: Chunk, device: torch.device
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Classes (k, t) and probabilities (k, t), falling; -1 and NaN without an image."""
    count = min(TOP, len(model.class_names))
    classes = np.full((len(chunk.status), count), -1, dtype=np.int64)
    probs = np.full((len(chunk.status), count), np.nan)
    good = np.flatnonzero(np.array(chunk.status) == OK)
    if len(good):
        logits = logits_of(model, model.transform, chunk.pixels[good], device)
        every = softmax(logits.astype(np.float64), axis=1)
        classes[good] = np.argsort(-every, axis=1, kind="stable")[:, :count]
        probs[good] = np.take_along_axis(every, classes[good], axis=1)
    return classes, probs


def _frame(
    table: SampleTable,
    chunk: Chunk,
    classes: NDArray[np.int64],
    probs: NDArray[np.float64],
    class_names: tuple[str, ...],
) -> pd.DataFrame:
    names = np.array([*class_names, ""], dtype=object)  # class -1: no name
    images = table.paths[chunk.start : chunk.start + len(chunk.status)]
    columns: dict[str, pd.Series[Any]] = {"image": pd.Series(list(images), dtype=object)}
    for k in range(classes.shape[1]):
        rank = f"_{k + 1}" if k else ""
        columns[f"label{rank}"] = pd.Series(names[classes[:, k]], dtype=object)
        columns[f"probability{rank}"] = pd.Series(probs[:, k], dtype=np.float64)
    columns["status"] = pd.Series(chunk.status, dtype=object)
    return pd.DataFrame(columns)


def _true_labels(
    truth: Path, label_col: str | None, table: SampleTable, class_names: tuple[str, ...]
) -> NDArray[np.int64]:
    """The true class of each row, -1 where it is unknown."""
    rows = read_truth(truth, label_col=label_col)
    numbers = {name: k for k, name in enumerate(class_names)}
    numbers_of: dict[str, int] = {}
    for row, (name, label) in enumerate(zip(rows.names, rows.labels, strict=True)):
        if label is not None and label not in numbers:
            raise SourceError(
                f"{rows.where(row)}: the model does not know the class '{printable(label)}'; "
                "correct it or remove the row"
            )
        numbers_of[name] = -1 if label is None else numbers[label]
    classes = np.array([numbers_of.get(name, -1) for name in table.paths], dtype=np.int64)
    if not (classes >= 0).any():
        raise SourceError(
            f"--truth {printable(truth)}: names none of the images: its first is "
            f"{printable(rows.names[0])}, theirs is {printable(table.paths[0])}"
        )
    return classes
