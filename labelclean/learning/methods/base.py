"""Method: what differs between the ways to learn; the loop is the same for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from labelclean.config import TrainConfig

Memory = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The networks' outputs on a batch.

    each    one (b, c) float32 of logits for every network, or for every view of the images
    labels  (b,) int64: the given labels
    index   (b,) int64: rows of the source
    """

    each: tuple[Tensor, ...]
    labels: Tensor
    index: Tensor

    @property
    def logits(self) -> Tensor:
        """The logits of the only network and view."""
        (logits,) = self.each
        return logits


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """When and with what a step happens.

    progress       share of the run that is done, [0, 1)
    step_share     share of the run that one step is
    class_weights  (c,) factor of the loss of an image with that given label
    memory         tensors that the method keeps between steps, see Method.memory
    """

    progress: float
    step_share: float
    config: TrainConfig
    class_weights: Tensor
    generator: torch.Generator
    memory: Memory

    def weighted(self, per_image: Tensor, labels: Tensor) -> Tensor:
        """The loss of each image (b,) times the weight of its given label (b,)."""
        return self.class_weights[labels] * per_image

    def is_first_from(self, share: float) -> bool:
        """Whether this is the first step at or after that share of the run."""
        return self.progress - self.step_share < share <= self.progress


@dataclass(frozen=True)
class StepResult:
    """loss: scalar to minimise; taken: share of the batch that a selecting step trained on."""

    loss: Tensor
    taken: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to learn from noisy labels.

    step              one training step, from what the networks say to a loss
    networks          how many learn side by side; what they say together is the mean of their
                      probabilities
    views             1, or 2 for one network that is asked about each image and then about the
                      image distorted
    needs_noise_rate  the step reads config.noise_rate
    has_start         the step begins with cross-entropy until config.start, so that a longer
                      start can save a collapsed run
    memory            (rows of the source, classes) -> tensors the step may change in place; they
                      are on the device and part of every checkpoint
    """

    step: Callable[[Outputs, StepContext], StepResult]
    networks: int = 1
    views: int = 1
    needs_noise_rate: bool = False
    has_start: bool = False
    memory: Callable[[int, int], Memory] = lambda rows, classes: {}


def risen(progress: float, start: float, ramp: float) -> float:
    """0 until start, then linearly to 1 over ramp."""
    if progress < start:
        return 0.0
    return 1.0 if ramp == 0 else min(1.0, (progress - start) / ramp)
