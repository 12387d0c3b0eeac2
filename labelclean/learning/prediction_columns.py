"""Predictions on every row: gathered during training, and by one pass at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from labelclean.data.batches import Batch
from labelclean.learning import distributed
from labelclean.learning.losses import draw_complementary
from labelclean.learning.models import Classifier, SideBySide, joined
from labelclean.predictions import Predictions

TOP = 10  # classes kept per row: memory grows with n, not with n × c
OTHERS = 3  # classes drawn besides, where there are more
EMBEDDED = 128  # dimensions of a stored embedding


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


class Columns:
    """The arrays of Predictions, filled batch by batch; NaN and class -1 until then."""

    def __init__(self, count: int, num_classes: int) -> None:
        kept = min(TOP, num_classes)
        others = OTHERS if num_classes > TOP else 0
        self.p_given, self.margin = np.full((2, count), np.nan, dtype=np.float32)
        self.top_classes = np.full((count, kept), -1, dtype=np.int32)
        self.top_probs = np.full((count, kept), np.nan, dtype=np.float32)
        self.other_classes = np.full((count, others), -1, dtype=np.int32)
        self.other_probs = np.full((count, others), np.nan, dtype=np.float32)

    def fill(
        self, index: Tensor, logits: Tensor, labels: Tensor, generator: torch.Generator
    ) -> None:
        """index (b,) rows, logits (b, c), labels (b,) below 0 for none."""
        probs = logits.softmax(dim=1)
        given, is_labelled = labels.clamp(min=0), labels >= 0
        top = probs.topk(self.top_classes.shape[1], dim=1)
        count = self.other_classes.shape[1]
        others = draw_complementary(given, probs.shape[1], count, generator)
        columns = {
            "p_given": probs.gather(1, given[:, None])[:, 0].where(is_labelled, torch.nan),
            "margin": margin(logits, given).where(is_labelled, torch.nan),
            "top_classes": top.indices,
            "top_probs": top.values,
            "other_classes": others,
            "other_probs": probs.gather(1, others),
        }
        rows = index.cpu().numpy()
        for name, values in columns.items():
            getattr(self, name)[rows] = values.cpu().numpy()


def _say(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Feature vectors (b, f), of the first of several networks, and logits (b, c)."""
    if isinstance(network, Classifier):
        features = network.backbone(images)
        return features.float(), network.head(features).float()
    if isinstance(network, SideBySide):
        features, logits = _say(network.first, images)
        return features, joined([logits, *(other(images).float() for other in network.others)])
    return images.float(), network(images).float()  # a head whose images are features already


def embedded(features: Tensor) -> NDArray[np.float16]:
    """(b, f) -> (b, EMBEDDED): zeros added, or projected at random.

    A random projection keeps angles nearly (Johnson & Lindenstrauss 1984), and the file small.
    """
    wide = features.shape[1]
    if wide <= EMBEDDED:
        padded = F.pad(features, (0, EMBEDDED - wide))
    else:
        padded = features @ _projection(wide, features.device)
    out: NDArray[np.float16] = padded.half().cpu().numpy()
    return out


@lru_cache(maxsize=1)  # every batch asks for the same
def _projection(wide: int, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(wide, EMBEDDED, generator=generator)
    scaled: Tensor = drawn / EMBEDDED**0.5
    return scaled.to(device)


@torch.no_grad()
def predict(
    network: nn.Module,
    batches: Iterable[Batch],
    labels: Tensor,
    *,
    num_classes: int,
    dtype: torch.dtype,
    flip: bool,
    seed: int = 0,
    sums: ScoreSums | None = None,
    embeddings: NDArray[np.float16] | None = None,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Predictions:
    """Predictions of a network in evaluation mode for the rows that the batches hold.

    labels  (n,) int64: the labels whose probability is asked for, below 0 for none
    flip    average the logits of each image and its mirror image
    sums    of the training, for the epoch means
    embeddings  (n, EMBEDDED), perhaps memory-mapped: filled with what the head gets to see
    """
    columns = Columns(len(labels), num_classes)
    generator = torch.Generator(labels.device).manual_seed(seed)
    network.eval()
    for batch in batches:
        with torch.autocast(batch.images.device.type, dtype, enabled=dtype != torch.float32):
            features, logits = _say(network, batch.images)
            if flip:
                mirrored = _say(network, batch.images.flip(3))
                features, logits = (features + mirrored[0]) / 2, (logits + mirrored[1]) / 2
        features, logits = (
            distributed.whole(part, len(batch.index)) for part in (features, logits)
        )
        columns.fill(batch.index, logits, labels[batch.index], generator)
        if embeddings is not None:
            embeddings[batch.index.cpu().numpy()] = embedded(features)
        on_rows(len(batch.index))
    nothing = np.full(len(labels), np.nan, dtype=np.float32)
    epoch_p_given, epoch_margin = (nothing, nothing) if sums is None else sums.means()
    return Predictions(**vars(columns), epoch_p_given=epoch_p_given, epoch_margin=epoch_margin)
