"""learn: from samples and labels to a trained network and what it says of every row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelclean import disk
from labelclean.config import FilterConfig, TrainConfig, filter_epochs
from labelclean.data.batches import Batches
from labelclean.learning import distributed, methods, models, runtime, trainer
from labelclean.learning.prediction_columns import EMBEDDED, ScoreSums, predict
from labelclean.learning.run import BatchSource, Run
from labelclean.predictions import Predictions
from labelclean.progress import Reporter, image_counter
from labelclean.workflows import resuming
from labelclean.workflows.preparing import Samples

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "model.safetensors"
EMBEDDINGS = "embeddings.npy"
WHITENED = 2_000  # images that a network's fixed filters are fitted to


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
    doubts: tuple[str, ...] = ()


def learn(
    samples: Samples,
    labels: NDArray[np.int64],
    config: FilterConfig,
    device: torch.device,
    reporter: Reporter,
    measure: trainer.Measure = lambda _: {},
) -> Learned:
    """Trains on the labels (n,), or goes on from a checkpoint, and predicts every row.

    measure  figures of the run after each epoch, for the history

    Raises ConfigError or RunError for what the user can mend.
    """
    find_method(config.train)
    before = resuming.begun(config.runtime, CHECKPOINT)
    dtype = resuming.precision(config.runtime, device, before)
    model, batches = set_up(samples, labels, config.train, device, dtype)
    if config.runtime.compile:
        model.compile()
    identity = _identity(samples, labels, config, dtype)
    run, good, config = _start(model, batches, samples, config, dtype, identity, reporter)
    with reporter.stage("training") as advance:
        trainer.fit(
            run,
            checkpoint=resuming.in_run_dir(config.runtime, CHECKPOINT),
            identity=identity,
            good=good,
            on_progress=resuming.training_progress(advance, reporter),
            measure=measure,
        )
    weights = resuming.in_run_dir(config.runtime, WEIGHTS)
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
        return Learned(
            predictions=predictions,
            as_given=_predict(run, flipped, given, lambda _: None),
            embeddings=embeddings,
            history=tuple(run.history),
            config=config,
            device=_where(device),
            dtype=str(dtype).removeprefix("torch."),
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


def set_up(
    samples: Samples,
    labels: NDArray[np.int64],
    train: TrainConfig,
    device: torch.device,
    dtype: torch.dtype,
    views: int = 1,
) -> tuple[models.Classifier | models.SideBySide, Batches]:
    """A network drawn from the seed, or those of its method, and the batches to learn from.

    views  of each image, see Method
    """
    torch.manual_seed(train.seed)
    torch.backends.cudnn.deterministic = True  # same seed, same report
    networks = [
        models.build(train.arch, samples.table.num_classes, samples.spec.size, train.weights)
        for _ in range(methods.find(train.method).networks)
    ]
    model = networks[0] if len(networks) == 1 else models.SideBySide(networks)
    model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = Batches(
        samples.pixels,
        labels,
        samples.train_rows,
        device=device,
        dtype=dtype,
        batch_size=train.batch_size,
        shift=train.shift,
        flip=train.flip,
        seed=train.seed,
        resident_bytes=runtime.free_bytes(device),
        own=distributed.own,
        distorts=views > 1,
    )
    models.whiten(model, batches.sample(WHITENED), train.weights)
    distributed.copy_first(model)
    return model, batches


def epochs_within(minutes: float, seconds: float, reporter: Reporter, stages: int = 1) -> int:
    """How many epochs of so many seconds fit into the minutes, as many in each stage."""
    epochs = stages * max(1, int(60 * minutes / seconds) // stages)
    reporter.note(f"{epochs} epochs fit into {minutes:g} minutes")
    return epochs


def _start(
    learner: torch.nn.Module,
    source: BatchSource,
    samples: Samples,
    config: FilterConfig,
    dtype: torch.dtype,
    identity: dict[str, str],
    reporter: Reporter,
) -> tuple[Run, dict[str, Any] | None, FilterConfig]:
    """A new run, or the one of the checkpoint with the state to go back to on a collapse."""
    num_classes = samples.table.num_classes
    checkpoint = resuming.in_run_dir(config.runtime, CHECKPOINT)
    saved = resuming.saved_state(checkpoint, identity, config.runtime, reporter)
    train = config.train
    if saved:
        epochs = saved["epochs"]
    elif config.runtime.minutes is not None:
        seconds = trainer.epoch_seconds(
            learner, source, train, num_classes=num_classes, dtype=dtype
        )
        epochs = epochs_within(config.runtime.minutes, seconds, reporter)
    else:
        epochs = train.epochs or filter_epochs(len(samples.train_rows))
    config = replace(config, train=replace(train, epochs=epochs))
    run = Run(learner, source, config.train, num_classes=num_classes, dtype=dtype)
    if saved:
        run.load(saved)
    return run, saved["good"] if saved else None, config


def _identity(
    samples: Samples, labels: NDArray[np.int64], config: FilterConfig, dtype: torch.dtype
) -> dict[str, str]:
    """Facts that a resumed run must share with the one before."""
    settings = {k: v for k, v in asdict(config.train).items() if k != "epochs"}
    asked = config.runtime.minutes or config.train.epochs
    return {
        "options": repr((sorted(settings.items()), asked)),
        "images or labels": resuming.digest(samples, [labels]),
        "image size": repr(samples.spec),
        "precision": str(dtype),
    }


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
