"""prepare: from a table of samples to pixels, and what must be known before learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean.config import RuntimeConfig
from labelclean.data import cache, duplicates, images
from labelclean.data.samples import DUPLICATE_OF, OK, UNREADABLE, SampleTable, has_image
from labelclean.data.value_range import choose_values
from labelclean.errors import SourceError
from labelclean.learning import distributed
from labelclean.progress import Reporter

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Unseen(cache.Checked):
    """Rows whose images are not looked at: the user gave their features."""

    @property
    def pixels(self) -> None:
        return None

    def rows(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Raises ValueError: there are no pixels."""
        raise ValueError("rows of given features have no pixels")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Decoded samples.

    first       (n,)  first row of the same content
    rows        rows with an image
    train_rows  rows with an image and a label that are not held out
    untrained   row -> its label, of a class with no other image to train on: not judged
    """

    table: SampleTable
    pixels: cache.Pixels | cache.Streamed | Unseen
    spec: images.ImageSpec
    first: NDArray[np.int64]
    rows: NDArray[np.int64]
    train_rows: NDArray[np.int64]
    untrained: Mapping[int, str] = field(default_factory=dict)


def prepare(
    table: SampleTable,
    where: RuntimeConfig,
    *,
    device_is_cpu: bool,
    reporter: Reporter,
    spec: images.ImageSpec | None = None,
    is_pretrained: bool = False,
) -> Samples:
    """Decodes the table's images, or finds them in the cache, and checks what is left to learn.

    spec  image size of a trained model, with which nothing is trained; None: chosen from the
          images
    is_pretrained  a pretrained network is to look at the images

    Raises SourceError if no image can be read; to train, if fewer than two classes have one.
    """
    is_trained = spec is not None
    if spec is None:
        spec, note = choose_size_and_values(
            table, where, device_is_cpu=device_is_cpu, is_pretrained=is_pretrained
        )
        if note:
            reporter.note(note)
            table = replace(table, notes=(*table.notes, note))
    pixels = decode(table, spec, where, reporter, stage="decoding")
    if isinstance(pixels, cache.Streamed):
        reporter.note(f"images are decoded anew in each epoch: {pixels.why}")
    is_there = has_image(pixels.status)
    first = duplicates.find_duplicates(pixels.digest, is_there)
    status = _with_duplicates(pixels.status, first, table.paths)
    train_rows = np.flatnonzero(is_there & (table.labels >= 0) & ~table.held_out)
    _check_readable(table, pixels, is_there)
    if not is_trained:
        _check_trainable(table, is_there, train_rows)
    return Samples(
        table=table.with_status(status),
        pixels=pixels,
        spec=spec,
        first=first,
        rows=np.flatnonzero(is_there),
        train_rows=train_rows,
    )


def choose_size_and_values(
    table: SampleTable, where: RuntimeConfig, *, device_is_cpu: bool, is_pretrained: bool
) -> tuple[images.ImageSpec, str | None]:
    """How the table's images become squares of 8 bits, and a note on it if one is due."""
    spec = images.choose_spec(
        table,
        image_size=where.image_size,
        device_is_cpu=device_is_cpu,
        is_pretrained=is_pretrained,
    )
    values, note = choose_values(table, where.bit_depth)
    return replace(spec, values=values), note


def prepare_features(
    table: SampleTable,
    *,
    unseen: Mapping[str, tuple[str, str]] = MappingProxyType({}),
    identical: Sequence[Sequence[str]] = (),
) -> Samples:
    """Samples whose features the user gives: no image is opened, none need be there.

    unseen     path -> status and reason of an image that has no features
    identical  paths of images of the same content

    Raises SourceError if fewer than two classes have rows to train on.
    """
    count = len(table)
    status = table.status.copy()
    status[~has_image(status)] = OK
    reason = np.full(count, "", dtype=object)
    has_features = np.ones(count, dtype=np.bool_)
    for row, name in enumerate(table.paths) if unseen else ():
        if name in unseen:
            status[row], reason[row] = unseen[name]
            has_features[row] = False
    train_rows = np.flatnonzero(has_features & (table.labels >= 0) & ~table.held_out)
    _check_trainable(table, has_features, train_rows)
    digest = np.stack([np.arange(count), np.zeros(count)], axis=1).astype(np.uint64)
    first = _first_of(table.paths, identical)
    status = _with_duplicates(status, first, table.paths)
    return Samples(
        table=table.with_status(status),
        pixels=Unseen(status=status, reason=reason, digest=digest),
        spec=images.ImageSpec(size=1, resize=1, is_squeezed=True),
        first=first,
        rows=np.flatnonzero(has_features),
        train_rows=train_rows,
    )


def _with_duplicates(
    status: NDArray[Any], first: NDArray[np.int64], paths: Sequence[str]
) -> NDArray[Any]:
    """The status (n,) of each row, of which some have the content of an earlier one."""
    changed = status.copy()
    for row in np.flatnonzero((first != np.arange(len(first))) & (status == OK)):
        changed[row] = DUPLICATE_OF + paths[first[row]]
    return changed


def _first_of(paths: Sequence[str], identical: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """For each row (n,) the first one of the same content."""
    first = np.arange(len(paths))
    names = {name for group in identical for name in group}
    row_of: dict[str, int] = {}
    for row, name in enumerate(paths) if names else ():
        if name in names:
            row_of.setdefault(name, row)
    for group in identical:
        rows = [row_of[name] for name in group if name in row_of]
        if rows:
            first[rows] = min(rows)
    return first


def _check_readable(table: SampleTable, pixels: cache.Checked, is_there: NDArray[np.bool_]) -> None:
    if not is_there.any():
        bad = int(np.flatnonzero(pixels.status == UNREADABLE)[0])
        raise SourceError(
            f"{table.root or 'the source'}: none of the {len(table):,} images can be read; the "
            f"first is {table.paths[bad]} ({pixels.reason[bad]})"
        )


def _check_trainable(
    table: SampleTable, is_there: NDArray[np.bool_], train_rows: NDArray[np.int64]
) -> None:
    where = table.root or "the source"
    names = {table.class_names[k] for k in np.unique(table.labels[train_rows])}
    if len(names) < 2:
        only = f"only the class {names.pop()}" if names else "no labelled image"
        raise SourceError(
            f"{where}: {only} is left to train on after {int((~is_there).sum()):,} unreadable or "
            "missing images; two classes are needed"
        )


def decode(
    table: SampleTable, spec: images.ImageSpec, where: RuntimeConfig, reporter: Reporter, stage: str
) -> cache.Pixels | cache.Streamed:
    """The table's images by way of the cache, with progress under the name of the stage."""
    with reporter.stage(stage) as advance, distributed.one_a_machine_first():
        return cache.load(
            table,
            spec,
            cache_dir=where.cache_dir,
            limit_bytes=int(where.cache_limit * GIB),
            workers=where.workers,
            on_progress=lambda done, total: advance(done, total, f"{done:,} of {total:,} images"),
        )
