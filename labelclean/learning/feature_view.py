"""The view of heads on features: out-of-fold predictions, beside class prototypes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelclean.config import HeadConfig
from labelclean.errors import ConfigError
from labelclean.learning import methods, runtime, schemes, trainer
from labelclean.learning.directions import leading_directions
from labelclean.learning.heads import (
    FeatureBatches,
    Heads,
    Prototypes,
    draw_folds,
    folded,
    moments_of,
    out_of_fold,
)
from labelclean.learning.methods import Method
from labelclean.learning.prediction_columns import Columns, embedded, margin
from labelclean.learning.run import Run
from labelclean.learning.soft_labels import SoftLabels
from labelclean.predictions import Predictions

MEASURED = 20_000  # rows that the two parts of the view are weighed on
COPIES = 2  # heads of two dropouts, whose mean is one linear layer
# From so many rows, and rows times classes, on the folds are drawn once: the heads differ little,
# or take long.
MANY, MUCH = 50_000, 20_000_000
# Inputs of heads that take long: directions in which the features vary most. They cost 0 to 1.2
# points of AP on CIFAR-10, flowers and groceries, none on 100 parts of CIFAR-10's classes (trials).
DIRECTIONS = 512


@dataclass(frozen=True, kw_only=True)
class HeadTask:
    """Features and labels that heads learn from, and how.

    features    (n, f), finite in all rows that have any
    labels      (n,) given; train_rows (t,)
    """

    features: NDArray[np.float16]
    labels: NDArray[np.int64]
    train_rows: NDArray[np.int64]
    num_classes: int
    config: HeadConfig
    seed: int
    device: torch.device

    @property
    def images_a_class(self) -> float:
        return len(self.train_rows) / self.num_classes

    @property
    def takes_long(self) -> bool:
        return len(self.train_rows) * self.num_classes >= MUCH


@dataclass(frozen=True)
class FeatureView:
    """Trained heads, and the features they look at.

    left_out  (n, k) bool: heads that did not learn from the row
    scale     factor of the prototypes' cosines beside the heads' logits
    earlier   the view that this one's targets come from: it is asked too; share: of this one
    """

    heads: Heads
    batches: FeatureBatches
    prototypes: Prototypes
    left_out: Tensor
    scale: float
    history: tuple[dict[str, float], ...]
    earlier: FeatureView | None = None
    share: float = 1.0

    @property
    def first(self) -> FeatureView:
        """The heads that know of a row's label nothing, not even by other rows' targets."""
        return self.earlier or self

    def predict(
        self,
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        seed: int,
        on_rows: Callable[[int], None] = lambda _: None,
    ) -> Predictions:
        """Predictions of the rows for these labels (n,), by heads that did not see the rows."""
        device = self.batches.labels.device
        asked = torch.from_numpy(labels).to(device)
        rounds = 2 if self.earlier else 1
        columns = [Columns(len(labels), self.heads.num_classes) for _ in range(rounds)]
        generators = [torch.Generator(device).manual_seed(seed) for _ in range(rounds)]
        for index, *each in self._logits(rows, on_rows):
            for part, logits, generator in zip(columns, each, generators, strict=False):
                part.fill(index, logits, asked[index], generator)
        nothing = np.full(len(labels), np.nan, dtype=np.float32)
        said, *ranking = (
            Predictions(**vars(part), epoch_p_given=nothing, epoch_margin=nothing)
            for part in columns
        )
        return replace(said, ranking=ranking[0]) if ranking else said

    def _logits(
        self, rows: NDArray[np.int64], on_rows: Callable[[int], None]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Rows (b,), logits (b, c) of all rounds and of the last one alone."""
        before = self.earlier._logits(rows, lambda _: None) if self.earlier else None
        for index, own in out_of_fold(self.heads, self.batches, rows, self.left_out, on_rows):
            if self.scale:
                own = (own + self.scale * self.prototypes.cosines(index)) / 2
            together = own if before is None else next(before)[1].lerp(own, self.share)
            yield index, together, own

    def embeddings(self, rows: NDArray[np.int64], out: NDArray[np.float16]) -> None:
        """Fills out (n, EMBEDDED) with the heads' inputs, projected at random."""
        with torch.no_grad():
            for batch in self.batches.in_order(rows):
                seen = self.heads.inputs(batch.images)
                out[batch.index.cpu().numpy()] = embedded(seen)

    def head(self) -> nn.Linear:
        """The mean of the heads, for raw features."""
        return self.heads.as_linear()


def find_head_method(name: str) -> Method:
    """The method, if heads can learn by it. Raises ConfigError."""
    method = methods.find(name)
    if method.networks > 1 or method.needs_noise_rate or method.memory(1, 2):
        raise ConfigError(
            f"--method {name} needs a network of its own: give --views scratch, or a method "
            "such as jnpl, ce or gce for heads on features"
        )
    return method


def fit_heads(
    task: HeadTask,
    groups: NDArray[np.int64],
    method: str,
    *,
    targets: SoftLabels | None = None,
    on_progress: trainer.OnProgress = lambda _: None,
) -> FeatureView:
    """Trains heads that each leave a fold out.

    groups   (n,) rows of one group share their folds: copies of one image
    targets  learned in place of the labels, by cross-entropy; None: the labels, by the method

    Raises ConfigError for a method that heads cannot learn by; RunError from the loop.
    """
    base = find_head_method(method) if targets is None else schemes.on_labels(targets)
    rows, config = task.train_rows, task.config
    repeats = 1 if len(rows) >= MANY or task.takes_long else config.repeats
    folds = draw_folds(
        task.labels, rows, groups, folds=config.folds, repeats=repeats, seed=task.seed
    )
    left_out = torch.from_numpy(folds).to(task.device)
    heads, batches, history = train_heads(task, left_out, base, on_progress)
    counted = targets or SoftLabels.certain(task.labels)
    view = FeatureView(
        heads=heads,
        batches=batches,
        prototypes=Prototypes(batches, heads, task.num_classes, counted, groups),
        left_out=left_out,
        scale=0.0,
        history=history,
    )
    return replace(view, scale=_scale(view, config.prototype_share(task.images_a_class)))


def train_heads(
    task: HeadTask,
    left_out: Tensor,
    method: Method,
    on_progress: trainer.OnProgress = lambda _: None,
) -> tuple[Heads, FeatureBatches, tuple[dict[str, float], ...]]:
    """Heads by the method in the one loop, the batches that they learned from, and the history.

    left_out  (n, k) bool: heads that do not learn from the row; two heads or more

    Raises RunError from the loop.
    """
    config, rows = task.config, task.train_rows
    torch.manual_seed(task.seed)
    mean, std = moments_of(task.features, rows)
    basis = None
    if task.takes_long and len(mean) > DIRECTIONS:
        known = mean.to(task.device), std.to(task.device)
        basis = leading_directions(task.features, rows, *known, count=DIRECTIONS, seed=task.seed)
    heads = Heads(
        mean,
        std,
        basis=basis,
        heads=left_out.shape[1],
        num_classes=task.num_classes,
        dropout=config.dropout,
        gain=config.gain,
    ).to(task.device)
    train = config.train_config(len(rows), task.seed)
    batches = FeatureBatches(
        features=task.features,
        labels=torch.from_numpy(task.labels).to(task.device),
        train_rows=rows,
        batch_size=train.batch_size,
        seed=task.seed,
    )
    run = Run(
        heads,
        batches,
        train,
        num_classes=task.num_classes,
        dtype=torch.float32,
        method=folded(method, left_out),
    )
    with runtime.few_threads(train.batch_size * heads.weight.numel()):
        trainer.fit(run, identity={}, on_progress=on_progress)
    trained = run.trained
    if not isinstance(trained, Heads):
        raise TypeError(f"a run of heads gave a {type(trained).__name__}")
    return trained.eval(), batches, tuple(run.history)


@torch.no_grad()
def _scale(view: FeatureView, share: float) -> float:
    """Factor that gives the cosines' margins the deviation of the logits', times their weight."""
    if share == 0:
        return 0.0
    rows = view.batches.train_rows
    rows = rows[:: -(-len(rows) // MEASURED)]
    margins: list[tuple[Tensor, Tensor]] = []
    for index, logits in out_of_fold(view.heads, view.batches, rows, view.left_out):
        given = view.batches.labels[index]
        margins.append((margin(logits, given), margin(view.prototypes.cosines(index), given)))
    by_heads, by_prototypes = (
        torch.cat(part).std(correction=0) for part in zip(*margins, strict=True)
    )
    return float(share / (1 - share) * by_heads / by_prototypes.clamp(min=1e-6))
