"""Learner: one training of a network on images and labels, set up, resumed and fitted."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import swa_utils

from labelclean.config import RuntimeConfig, TrainConfig
from labelclean.data.batches import Batches
from labelclean.errors import SourceError
from labelclean.learning import distributed, models, runtime, trainer
from labelclean.learning.backbones import Backbone
from labelclean.learning.methods import Method
from labelclean.learning.run import Run
from labelclean.learning.shared_norms import shared_norms
from labelclean.progress import Reporter
from labelclean.workflows import resuming
from labelclean.workflows.preparing import Samples

WHITENED = 2_000  # images that a network's fixed filters are fitted to


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Device, precision, progress and run folder of a training."""

    runtime: RuntimeConfig
    device: torch.device
    dtype: torch.dtype
    reporter: Reporter


@dataclass(frozen=True, kw_only=True)
class Start:
    """A pretrained network that learns on, with a head that knows its features already.

    size  px of the square that the network gets to see
    head  (width) -> (c), on raw features
    """

    backbone: Backbone
    size: int
    head: nn.Linear

    def classifier(self, image_size: int) -> models.Classifier:
        """A copy, for images of image_size px, of which all weights learn."""
        enlarged = None if self.size == image_size else self.size
        looking = models.enlarged_by(copy.deepcopy(self.backbone.network), image_size, enlarged)
        network = models.Classifier(looking, self.backbone.width, self.head.out_features)
        network.head.load_state_dict(self.head.state_dict())
        return network.requires_grad_(True)


@dataclass(frozen=True)
class Lesson:
    """A method, the labels (n,) that stand for its targets, and the rows that are trained on.

    Raises SourceError for fewer than two classes.
    """

    method: Method
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(np.unique(self.labels[self.rows])) < 2:
            raise SourceError("fewer than two classes are left to train on")


class Learner:
    """A network and what it learns from, for one training in the one loop."""

    def __init__(
        self,
        samples: Samples,
        lesson: Lesson,
        train: TrainConfig,
        where: Environment,
        *,
        name: str,
        start: Start | None = None,
    ) -> None:
        """A training that has not begun.

        name   of the training, and of its checkpoint in the run folder
        start  what learns on; None: networks that are drawn from the seed

        Raises ConfigError for a network or weights that cannot be had.
        """
        self.samples, self.lesson, self.train, self.where = samples, lesson, train, where
        self.name, self.start = name, start
        self.num_classes = samples.table.num_classes
        self.model, self.batches = _set_up(samples, lesson, train, where, start)
        if where.runtime.compile:
            self.model.compile()

    def epoch_seconds(self) -> float:
        """How long an epoch takes, by its first steps."""
        return trainer.epoch_seconds(
            self.model,
            self.batches,
            self.train,
            num_classes=self.num_classes,
            dtype=self.where.dtype,
            method=self.lesson.method,
        )

    def fit(self, stage: str, measure: trainer.Measure = lambda _: {}) -> Run:
        """Trains from the beginning, or from where the checkpoint of the same training stands.

        stage    name of the stage that is shown
        measure  figures of the run after each epoch, for its history

        Without a number of epochs in the config, as many as fit into the minutes.

        Raises ConfigError or RunError for what the user can mend.
        """
        where, identity = self.where, self.identity()
        checkpoint = resuming.in_run_dir(where.runtime, f"{self.name}.pt")
        saved = resuming.saved_state(checkpoint, identity, where.runtime, where.reporter)
        epochs = saved["epochs"] if saved else self.train.epochs
        if epochs is None:
            minutes = where.runtime.minutes
            if minutes is None:
                raise ValueError("neither epochs nor minutes are given")
            epochs = epochs_within(minutes, self.epoch_seconds(), where.reporter)
        run = Run(
            self.model,
            self.batches,
            replace(self.train, epochs=epochs),
            num_classes=self.num_classes,
            dtype=where.dtype,
            method=self.lesson.method,
        )
        if saved:
            run.load(saved)
        with where.reporter.stage(stage) as advance:
            trainer.fit(
                run,
                checkpoint=checkpoint,
                identity=identity,
                good=saved["good"] if saved else None,
                on_progress=resuming.training_progress(advance, where.reporter),
                measure=measure,
            )
        if self.start is not None:
            self._adapt_norms(run)
        return run

    def _adapt_norms(self, run: Run) -> None:
        """Sets the statistics of the batch norms by one look at all that was trained on.

        The pretrained ones are of other images, and a few steps do not replace them.
        """
        images = (batch.images for batch in run.batches.in_order(self.lesson.rows))
        dtype = self.where.dtype
        is_low = dtype != torch.float32
        with torch.autocast(run.device.type, dtype, enabled=is_low), shared_norms():
            swa_utils.update_bn(images, run.trained)

    def identity(self) -> dict[str, str]:
        """Facts that a resumed training must share with the one before."""
        lesson, minutes = self.lesson, self.where.runtime.minutes
        settings = {
            name: value
            for name, value in asdict(self.train).items()
            if name != "epochs" or minutes is None  # else they follow from how fast it is
        }
        memory = lesson.method.memory(len(lesson.labels), self.num_classes)
        targets = [memory[name].cpu().numpy() for name in sorted(memory)]
        start = self.start and (self.start.backbone.digest, self.start.size)
        options = (self.name, lesson.method.views, minutes, sorted(settings.items()), start)
        return {
            "options": repr(options),
            "images, labels or decisions": resuming.digest(
                self.samples, [lesson.labels, lesson.rows, *targets]
            ),
            "image size": repr(self.samples.spec),
            "precision": str(self.where.dtype),
        }


def _set_up(
    samples: Samples, lesson: Lesson, train: TrainConfig, where: Environment, start: Start | None
) -> tuple[models.Classifier | models.SideBySide, Batches]:
    """The network to begin with, or those of its method, and the batches to learn from."""
    torch.manual_seed(train.seed)
    torch.backends.cudnn.deterministic = True  # same seed, same report
    size = samples.spec.size
    networks = [
        models.build(train.arch, samples.table.num_classes, size, train.weights)
        if start is None
        else start.classifier(size)
        for _ in range(lesson.method.networks)
    ]
    model = networks[0] if len(networks) == 1 else models.SideBySide(networks)
    model = model.to(device=where.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = Batches(
        samples.pixels,
        lesson.labels,
        lesson.rows,
        device=where.device,
        dtype=where.dtype,
        batch_size=train.batch_size,
        shift=train.shift,
        flip=train.flip,
        seed=train.seed,
        resident_bytes=runtime.free_bytes(where.device),
        own=distributed.own,
        distorts=lesson.method.views > 1,
        colours=None if start is None else (start.backbone.mean, start.backbone.std),
    )
    if start is None:
        models.whiten(model, batches.sample(WHITENED), train.weights)
    distributed.copy_first(model)
    return model, batches


def epochs_within(minutes: float, seconds: float, reporter: Reporter, stages: int = 1) -> int:
    """How many epochs of so many seconds fit into the minutes, as many in each stage."""
    epochs = stages * max(1, int(60 * minutes / seconds) // stages)
    reporter.note(f"{epochs} epochs fit into {minutes:g} minutes")
    return epochs
