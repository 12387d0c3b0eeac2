"""What is to be said of every row by heads on features: out of fold, beside class prototypes."""

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
from labelclean.learning.predicting import Columns, embedded, margin
from labelclean.learning.run import Run
from labelclean.learning.soft_labels import SoftLabels
from labelclean.predictions import Predictions

MEASURED = 20_000  # rows that the two parts of the view are weighed on
MANY = 50_000  # rows from which on the folds are drawn once: the heads differ little


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
        columns = Columns(len(labels), self.heads.num_classes)
        generator = torch.Generator(device).manual_seed(seed)
        for index, logits in self._logits(rows, on_rows):
            columns.fill(index, logits, asked[index], generator)
        nothing = np.full(len(labels), np.nan, dtype=np.float32)
        return Predictions(**vars(columns), epoch_p_given=nothing, epoch_margin=nothing)

    def _logits(
        self, rows: NDArray[np.int64], on_rows: Callable[[int], None]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        before = self.earlier._logits(rows, lambda _: None) if self.earlier else None
        for index, logits in out_of_fold(self.heads, self.batches, rows, self.left_out, on_rows):
            if self.scale:
                logits = (logits + self.scale * self.prototypes.cosines(index)) / 2
            if before is not None:
                logits = next(before)[1].lerp(logits, self.share)
            yield index, logits

    def embeddings(self, rows: NDArray[np.int64], out: NDArray[np.float16]) -> None:
        """Fills out (n, EMBEDDED) with the standardised features, projected at random."""
        with torch.no_grad():
            for batch in self.batches.in_order(rows):
                seen = self.heads.standardised(batch.images)
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
    features: NDArray[np.float16],
    labels: NDArray[np.int64],
    train_rows: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    num_classes: int,
    method: str,
    config: HeadConfig,
    seed: int,
    device: torch.device,
    targets: SoftLabels | None = None,
    on_progress: trainer.OnProgress = lambda _: None,
) -> FeatureView:
    """Trains the heads.

    features    (n, f), finite in all rows that have any
    labels      (n,) given; train_rows (t,)
    groups      (n,) rows of one group share their folds: copies of one image
    targets     learned in place of the labels, by cross-entropy; None: the labels, by the method

    Raises ConfigError for a method that heads cannot learn by; RunError from the loop.
    """
    base = find_head_method(method) if targets is None else schemes.on_labels(targets)
    repeats = config.repeats if len(train_rows) < MANY else 1
    left_out = draw_folds(
        labels, train_rows, groups, folds=config.folds, repeats=repeats, seed=seed
    )
    left = torch.from_numpy(left_out).to(device)
    trained, batches, history = train_heads(
        features,
        labels,
        train_rows,
        left,
        num_classes=num_classes,
        method=base,
        config=config,
        seed=seed,
        device=device,
        on_progress=on_progress,
    )
    view = FeatureView(
        heads=trained,
        batches=batches,
        prototypes=Prototypes(
            batches, trained, num_classes, targets or SoftLabels.certain(labels), groups
        ),
        left_out=left,
        scale=0.0,
        history=history,
    )
    return replace(view, scale=_scale(view, config.prototype_share(len(train_rows) / num_classes)))


def train_heads(
    features: NDArray[np.float16],
    labels: NDArray[np.int64],
    train_rows: NDArray[np.int64],
    left_out: Tensor,
    *,
    num_classes: int,
    method: Method,
    config: HeadConfig,
    seed: int,
    device: torch.device,
    on_progress: trainer.OnProgress = lambda _: None,
) -> tuple[Heads, FeatureBatches, tuple[dict[str, float], ...]]:
    """Heads by the method in the one loop, the batches that they learned from, and the history.

    left_out  (n, k) bool: heads that do not learn from the row; two heads or more

    Raises RunError from the loop.
    """
    torch.manual_seed(seed)
    heads = Heads(
        *moments_of(features, train_rows),
        heads=left_out.shape[1],
        num_classes=num_classes,
        dropout=config.dropout,
        gain=config.gain,
    ).to(device)
    train = config.train_config(len(train_rows), seed)
    batches = FeatureBatches(
        features=features,
        labels=torch.from_numpy(labels).to(device),
        train_rows=train_rows,
        batch_size=train.batch_size,
        seed=seed,
    )
    run = Run(
        heads,
        batches,
        train,
        num_classes=num_classes,
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
