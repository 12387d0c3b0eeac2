"""The test set of a classifier: read, checked against the training images, applied to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from labelclean import sources
from labelclean.config import RuntimeConfig
from labelclean.data import cache
from labelclean.data.images import ImageSpec
from labelclean.data.samples import NO_LABEL, has_image
from labelclean.data.transform import Transform
from labelclean.errors import ConfigError, SourceError, printable
from labelclean.learning.inference import logits_of_rows
from labelclean.progress import Reporter
from labelclean.sources.formats.cifar import cifar_name
from labelclean.workflows.preparing import decode


@dataclass(frozen=True, kw_only=True)
class HoldoutSource:
    """Where the test images and their labels are.

    allow_overlap  take images that are also trained on, instead of refusing the set
    """

    source: str | Path
    options: sources.SourceOptions = field(default_factory=sources.SourceOptions)
    allow_overlap: bool = False


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """rows (m,) with an image, and their labels (m,) as classes of the model."""

    pixels: cache.Pixels | cache.Streamed
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]


def read_test(
    test: HoldoutSource,
    *,
    class_names: tuple[str, ...],
    spec: ImageSpec,
    trained: NDArray[np.uint64],
    where: RuntimeConfig,
    reporter: Reporter,
) -> Holdout:
    """The test set, decoded as the training images were.

    trained  (t, 2) digests of the images that are trained on or held out of the training

    Raises SourceError for a class that the model does not know, and for no image; ConfigError if
    it shares images with the training.
    """
    shown = printable(test.source)
    options = test.options
    if options.split is None:  # a test set is tested as a whole; of CIFAR, its test split
        is_cifar = not Path(test.source).exists() and cifar_name(str(test.source)) is not None
        options = replace(options, split="test" if is_cifar else "all")
    table = sources.read(test.source, replace(options, is_to_train=False))
    for note in table.notes:
        reporter.note(f"test set: {note}")
    numbers = {name: k for k, name in enumerate(class_names)}
    unknown = [name for name in table.class_names if name not in numbers]
    if unknown:
        more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
        raise SourceError(
            f"--test {shown}: the model does not know the class '{printable(unknown[0])}'{more}; "
            "it has " + ", ".join(printable(name) for name in class_names[:10])
        )
    pixels = decode(table, spec, where, reporter, stage="decoding test images")
    is_there = has_image(pixels.status)
    rows = np.flatnonzero(is_there & (table.labels != NO_LABEL))
    if not len(rows):
        raise SourceError(f"--test {shown}: none of its labelled images can be read")
    if len(rows) < int((table.labels != NO_LABEL).sum()):
        lost = int((table.labels != NO_LABEL).sum()) - len(rows)
        reporter.note(f"test set: {lost:,} labelled images are missing or unreadable")
    shared = _rows_among(pixels.digest, rows, trained)
    if shared and not test.allow_overlap:
        raise ConfigError(
            f"--test {shown}: {len(shared):,} of its {len(rows):,} images are also trained on, the "
            f"first is {printable(table.paths[shared[0]])}; remove them, or --allow-overlap tests "
            "on what was memorised"
        )
    if shared:
        reporter.note(f"test set: {len(shared):,} of {len(rows):,} images are also trained on")
    known = np.array([numbers[name] for name in table.class_names], dtype=np.int64)
    return Holdout(pixels=pixels, rows=rows, labels=known[table.labels[rows]])


def _rows_among(
    digest: NDArray[np.uint64], rows: NDArray[np.int64], others: NDArray[np.uint64]
) -> list[int]:
    """The rows whose digest (2,) is one of the others (m, 2)."""
    there = {tuple(pair) for pair in others.tolist()}
    return [row for row in rows.tolist() if tuple(digest[row].tolist()) in there]


def apply_to(
    network: nn.Module,
    transform: Transform,
    test: Holdout,
    device: torch.device,
    reporter: Reporter,
) -> NDArray[np.float32]:
    """Logits (m, c) of the test images."""
    with reporter.stage("testing") as advance:
        return logits_of_rows(
            network,
            transform,
            test.pixels,
            test.rows,
            device,
            lambda done, total: advance(done, total, f"{done:,} of {total:,} images"),
        )
