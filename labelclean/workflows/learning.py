"""learn: from samples and labels to a trained network and what it says of every row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelclean import disk
from labelclean.config import FilterConfig, TrainConfig, filter_epochs
from labelclean.config.names import SCRATCH
from labelclean.data.batches import Batches
from labelclean.learning import distributed, methods, models, runtime, trainer
from labelclean.learning.prediction_columns import EMBEDDED, ScoreSums, predict
from labelclean.learning.run import Run
from labelclean.predictions import Predictions
from labelclean.progress import Reporter, image_counter
from labelclean.workflows import resuming
from labelclean.workflows.learner import Environment, Learner, Lesson, Start
from labelclean.workflows.preparing import Samples

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "model.safetensors"
EMBEDDINGS = "embeddings.npy"


@dataclass(frozen=True, kw_only=True)
class Learned:
    """The result of a training.

    predictions  of the labels that were trained on
    as_given     of the given labels, for the rows where the self-test flipped them
    embeddings   (n, EMBEDDED) what the network's head sees of each row; NaN without an image;
                 of several processes the first one has them
    history      of each epoch: epoch, lr, loss, disagreement, taken
    config       with the number of epochs that was decided
    shares       how much each view counted, by name
    by_view      (n,) probability of the given label, by the name of the view
    features     (n, f) of a pretrained network's last layer, where one has looked
    doubts       what makes the figures hard to believe, a line each
    """

    predictions: Predictions
    as_given: Predictions
    embeddings: NDArray[np.float16]
    history: tuple[dict[str, float], ...]
    config: FilterConfig
    device: str
    dtype: str
    weights: Path | None
    shares: Mapping[str, float] = field(default_factory=dict)
    by_view: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    features: NDArray[np.float16] | None = None
    doubts: tuple[str, ...] = ()


def learn(
    samples: Samples,
    labels: NDArray[np.int64],
    config: FilterConfig,
    device: torch.device,
    reporter: Reporter,
    measure: trainer.Measure = lambda _: {},
    start: Start | None = None,
) -> Learned:
    """Trains on the labels (n,), or goes on from a checkpoint, and predicts every row.

    measure  figures of the run after each epoch, for the history
    start    a pretrained network that learns on; None: one that is drawn from the seed

    Raises ConfigError or RunError for what the user can mend.
    """
    method = find_method(config.train)
    before = resuming.begun(config.runtime, CHECKPOINT)
    where = Environment(
        runtime=config.runtime,
        device=device,
        dtype=resuming.precision(config.runtime, device, before),
        reporter=reporter,
    )
    train = config.train
    if config.runtime.minutes is not None:
        train = replace(train, epochs=None)
    elif train.epochs is None:
        train = replace(train, epochs=filter_epochs(len(samples.train_rows)))
    lesson = Lesson(method, labels, samples.train_rows)
    learner = Learner(samples, lesson, train, where, name=Path(CHECKPOINT).stem, start=start)
    run = learner.fit("training" if start is None else "fine-tuning", measure)
    batches = learner.batches
    config = replace(config, train=replace(train, epochs=run.epochs))
    weights = resuming.in_run_dir(config.runtime, WEIGHTS) if start is None else None
    if weights:
        models.save(run.trained, weights, _description(samples, batches, config))
    with reporter.stage("predicting") as advance:
        on_rows = image_counter(advance, len(samples.rows))
        flipped = np.flatnonzero(labels != samples.table.labels)
        given = torch.from_numpy(samples.table.labels).to(device)
        count = len(labels) if distributed.is_first() else 0
        with open_embeddings(count, resuming.in_run_dir(config.runtime, EMBEDDINGS)) as embeddings:
            predictions = _predict(
                run,
                samples.rows,
                batches.labels,
                on_rows,
                run.sums,
                embeddings=embeddings if distributed.is_first() else None,
            )
        as_given = _predict(run, flipped, given, lambda _: None)
        return Learned(
            predictions=predictions,
            as_given=as_given,
            by_view={SCRATCH: predictions.replaced(flipped, as_given).p_given},
            embeddings=embeddings,
            history=tuple(run.history),
            config=config,
            device=_where(device),
            dtype=str(where.dtype).removeprefix("torch."),
            weights=weights,
        )


def find_method(train: TrainConfig) -> methods.Method:
    """The method that is asked for. Raises ConfigError if it is unknown or cannot be trained so."""
    return methods.find(train.method)


def _where(device: torch.device) -> str:
    shared = f", {distributed.size()} processes" if distributed.size() > 1 else ""
    return f"{runtime.device_name(device)}{shared}"


@contextmanager
def open_embeddings(count: int, path: Path | None) -> Iterator[NDArray[np.float16]]:
    """An (n, EMBEDDED) to fill, NaN for rows without an image; with a path a whole file or none.

    Raises OutputError if it cannot be written.
    """
    if path is None:
        yield np.full((count, EMBEDDED), np.nan, dtype=np.float16)
        return
    with disk.staged(path) as place:
        embeddings = np.lib.format.open_memmap(
            place, mode="w+", dtype=np.float16, shape=(count, EMBEDDED)
        )
        disk.allocate(place)  # a full disk shows here, and not as the end of the process
        embeddings[:] = np.nan
        yield embeddings
        embeddings.flush()


def _predict(
    run: Run,
    rows: NDArray[np.int64],
    labels: Tensor,
    on_rows: Callable[[int], None],
    sums: ScoreSums | None = None,
    embeddings: NDArray[np.float16] | None = None,
) -> Predictions:
    return predict(
        run.trained,
        run.batches.in_order(rows),
        labels,
        num_classes=len(run.class_weights),
        dtype=run.dtype,
        flip=run.config.flip,
        seed=run.config.seed,
        sums=sums,
        embeddings=embeddings,
        on_rows=on_rows,
    )


def _description(samples: Samples, batches: Batches, config: FilterConfig) -> dict[str, str]:
    """All that is needed to use the weights: kept in the header of their file."""
    mean, std = batches.colours
    return {
        "mean": json.dumps(mean),
        "std": json.dumps(std),
        "arch": config.train.arch,
        "networks": str(methods.find(config.train.method).networks),
        "class_names": json.dumps(samples.table.class_names),
        "image_size": str(samples.spec.size),
        "resize": str(samples.spec.resize),
    }
