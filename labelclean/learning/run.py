"""Run: all that a training run is made of, and what a resumed one needs of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import swa_utils

from labelclean.config import TrainConfig
from labelclean.data.batches import Batch
from labelclean.learning import distributed
from labelclean.learning.guard import ClassCounts
from labelclean.learning.methods import Method, StepContext, find
from labelclean.learning.methods.class_weights import class_weights
from labelclean.learning.prediction_columns import ScoreSums
from labelclean.learning.sgd import Sgd


class BatchSource(Protocol):
    """The interface of Batches, or of features that stand in for images, to the loop."""

    @property
    def labels(self) -> Tensor: ...
    @property
    def train_rows(self) -> NDArray[np.int64]: ...
    @property
    def steps_per_epoch(self) -> int: ...
    def generator(self, epoch: int, step: int) -> torch.Generator: ...
    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]: ...
    def in_order(self, rows: NDArray[np.int64]) -> Iterator[Batch]: ...


def learning_rate(progress: float, config: TrainConfig) -> float:
    """The learning rate when a share of the run is done.

    "one-cycle" rises linearly over warmup and falls linearly to 0 (Smith 2018); "steps"
    divides by ten at each share of lr_drops (paper Sec. 6.1).
    """
    if config.schedule == "steps":
        return config.lr * 0.1 ** sum(progress >= share for share in config.lr_drops)
    if progress < config.warmup:
        return config.lr * progress / config.warmup
    return config.lr * (1 - progress) / max(1e-9, 1 - config.warmup)


class Run:
    """All that a training run is made of; state() is all that a resumed one needs."""

    def __init__(
        self,
        model: nn.Module,
        batches: BatchSource,
        config: TrainConfig,
        *,
        num_classes: int,
        dtype: torch.dtype,
        method: Method | None = None,
    ) -> None:
        """method: in place of the one that config.method names."""
        if config.epochs is None:
            raise ValueError("the number of epochs is not decided")
        self.model, self.batches, self.config, self.dtype = model, batches, config, dtype
        self.method = method or find(config.method)
        self.device = batches.labels.device
        self.epochs = config.epochs
        self.total_steps = self.epochs * batches.steps_per_epoch
        decay = 1 - 1 / max(1.0, config.averaging * self.total_steps)
        averaging = swa_utils.get_ema_multi_avg_fn(decay)
        self.average = swa_utils.AveragedModel(model, multi_avg_fn=averaging, use_buffers=True)
        self.optimizer = Sgd((p for p in model.parameters() if p.requires_grad), config)
        given = batches.labels[torch.from_numpy(batches.train_rows).to(self.device)]
        self.given_shares = torch.bincount(given, minlength=num_classes) / len(given)
        self.class_weights = torch.ones(num_classes, device=self.device)
        if config.class_weights:
            self.class_weights = class_weights(given, num_classes)
        self.sums = ScoreSums(len(batches.labels), self.device)
        self.memory = {
            name: tensor.to(self.device)
            for name, tensor in self.method.memory(len(batches.labels), num_classes).items()
        }
        self.history: list[dict[str, float]] = []  # of the epochs that are done
        self.epoch = self.step = self.recoveries = 0
        self.parts = 1  # pieces that a batch is cut into to fit into memory
        self.begin_epoch()
        self.initial = copy.deepcopy(self.state())

    def begin_epoch(self) -> None:
        self.counts = ClassCounts(len(self.class_weights), self.device)
        self.loss = torch.zeros((), device=self.device)  # sum over the images
        self.taken = torch.zeros((), device=self.device)
        self.agreeing = torch.zeros((), device=self.device)
        self.seen = 0
        self.bad_step = torch.full((), -1, device=self.device)

    @property
    def trained(self) -> nn.Module:
        """The model that predicts: averaged weights, or the last ones where none are averaged."""
        averaged: nn.Module = self.average.module
        return averaged if self.config.averaging else self.model

    @property
    def progress(self) -> float:
        return (self.epoch * self.batches.steps_per_epoch + self.step) / self.total_steps

    def mean(self, total: Tensor) -> float:
        """A sum over the images of this epoch so far, per image; waits for the device."""
        return float(total) / max(1, self.seen)

    def context(self) -> StepContext:
        return StepContext(
            progress=self.progress,
            step_share=1 / self.total_steps,
            config=self.config,
            class_weights=self.class_weights,
            generator=self.batches.generator(self.epoch, self.step),
            memory=self.memory,
        )

    @property
    def is_scoring(self) -> bool:
        return self.epoch >= self.epochs - self.config.score_epochs

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state(),
            "sums": self.sums.state(),
            "predicted": self.counts.predicted,
            "probs": self.counts.probs,
            "memory": self.memory,
            "history": self.history,
            "loss": self.loss,
            "taken": self.taken,
            "agreeing": self.agreeing,
            "epochs": self.epochs,
            "at": [self.epoch, self.step, self.recoveries, self.parts, self.seen],
            "moved": [self.config.start, self.config.ramp, self.config.pl_start],
        }

    def load(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load(state["optimizer"])
        self.sums.load(state["sums"])
        self.begin_epoch()
        self.epoch, self.step, self.recoveries, self.parts, self.seen = state["at"]
        if (
            distributed.size() > 1
        ):  # a share of a batch is not cut: pieces would meet others' labels
            self.parts = 1
        self.counts.predicted.copy_(state["predicted"])
        self.counts.probs.copy_(state["probs"])
        for name, tensor in self.memory.items():
            tensor.copy_(state["memory"][name])
        self.history = list(state["history"])
        self.loss.copy_(state["loss"])
        self.taken.copy_(state["taken"])
        self.agreeing.copy_(state["agreeing"])
        start, ramp, pl_start = state["moved"]
        self.config = replace(self.config, start=start, ramp=ramp, pl_start=pl_start)
