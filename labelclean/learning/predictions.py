"""What a network says of every row: gathered while it learns, and by one pass at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelclean.data.batches import Batch

TOP = 10  # classes kept per row: memory grows with n, not with n × c


@dataclass(frozen=True)
class Predictions:
    """One row for each row of the source; NaN (class -1) where there was no image to look at.

    p_given       (n,)    float32  probability of the given label; NaN without one
    margin        (n,)    float32  logit of the given label minus the largest other logit
    top_classes   (n, k)  int32    most probable classes, falling
    top_probs     (n, k)  float32  their probabilities
    epoch_p_given, epoch_margin    (n,) float32  means over the last epochs of training, of
                          augmented images; NaN for rows that were not trained on
    """

    p_given: NDArray[np.float32]
    margin: NDArray[np.float32]
    top_classes: NDArray[np.int32]
    top_probs: NDArray[np.float32]
    epoch_p_given: NDArray[np.float32]
    epoch_margin: NDArray[np.float32]

    def replaced(self, rows: NDArray[np.int64], others: Predictions) -> Predictions:
        """A copy with those of other predictions in the given rows."""
        columns = {}
        for each in fields(self):
            column = getattr(self, each.name).copy()
            column[rows] = getattr(others, each.name)[rows]
            columns[each.name] = column
        return Predictions(**columns)


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the given label minus the largest of the others (b,): below 0 if it loses."""
    given = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], float("-inf"))
    return given[:, 0] - others.amax(dim=1)


class ScoreSums:
    """Sums of what the rows scored while they were trained on, over some epochs."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.p_given = torch.zeros(count, device=device)
        self.margin = torch.zeros(count, device=device)
        self.epochs = torch.zeros(count, device=device)

    def add(self, logits: Tensor, batch: Batch) -> None:
        """Adds one batch; a row comes at most once in it."""
        probs = logits.softmax(dim=1)
        self.p_given[batch.index] += probs.gather(1, batch.labels[:, None])[:, 0]
        self.margin[batch.index] += margin(logits, batch.labels)
        self.epochs[batch.index] += 1

    def means(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean p_given and margin (n,); NaN for rows that were never added."""
        p_given, margins = self.p_given / self.epochs, self.margin / self.epochs  # 0 / 0 is NaN
        return p_given.cpu().numpy(), margins.cpu().numpy()

    def state(self) -> dict[str, Tensor]:
        return {"p_given": self.p_given, "margin": self.margin, "epochs": self.epochs}

    def load(self, state: dict[str, Tensor]) -> None:
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


@torch.no_grad()
def predict(
    network: nn.Module,
    batches: Iterable[Batch],
    labels: Tensor,
    *,
    num_classes: int,
    dtype: torch.dtype,
    flip: bool,
    sums: ScoreSums | None = None,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Predictions:
    """Predictions of a network in evaluation mode for the rows that the batches hold.

    labels  (n,) int64: the labels whose probability is asked for, below 0 for none
    flip    average the logits of each image and its mirror image
    sums    of the training, for the epoch means
    """
    count = len(labels)
    kept = min(TOP, num_classes)
    p_given, margins = np.full((2, count), np.nan, dtype=np.float32)
    classes = np.full((count, kept), -1, dtype=np.int32)
    probs = np.full((count, kept), np.nan, dtype=np.float32)
    network.eval()
    for batch in batches:
        with torch.autocast(batch.images.device.type, dtype, enabled=dtype != torch.float32):
            logits = network(batch.images).float()
            if flip:
                logits = (logits + network(batch.images.flip(3)).float()) / 2
        all_probs = logits.softmax(dim=1)
        top = all_probs.topk(kept, dim=1)
        index, asked = batch.index.cpu().numpy(), labels[batch.index]
        classes[index], probs[index] = top.indices.cpu().numpy(), top.values.cpu().numpy()
        column = asked.clamp(min=0)[:, None]
        has_label = asked >= 0
        p = torch.where(has_label, all_probs.gather(1, column)[:, 0], torch.nan)
        p_given[index] = p.cpu().numpy()
        margins[index] = (
            torch.where(has_label, margin(logits, column[:, 0]), torch.nan).cpu().numpy()
        )
        on_rows(len(index))
    means = np.full((2, count), np.nan, dtype=np.float32) if sums is None else sums.means()
    return Predictions(p_given, margins, classes, probs, *means)
