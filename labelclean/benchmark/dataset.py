"""Dataset: the images and true labels that all runs share, and the noise put into them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelclean import sources
from labelclean.config import RuntimeConfig
from labelclean.data import noise as kinds
from labelclean.data.samples import NO_LABEL, SampleTable
from labelclean.errors import ConfigError, LabelcleanError
from labelclean.progress import Reporter
from labelclean.sources.formats.cifar import cifar_name
from labelclean.workflows import injecting
from labelclean.workflows.preparing import Samples, prepare

RATES = ("symm", "asymm", "instance")
FILES = ("human", "mapping")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the images come from: all that another process needs to read them again.

    count  train on the first so many images; None: on all
    """

    data: str
    options: sources.SourceOptions
    runtime: RuntimeConfig
    count: int | None = None

    @property
    def name(self) -> str:
        """cifar10 or cifar100, however it is spelled; else the source as given."""
        return (cifar_name(self.data) if self.is_by_name else None) or self.data

    @property
    def is_by_name(self) -> bool:
        """A file or folder that is called cifar10 wins over the data set of that name."""
        return cifar_name(self.data) is not None and not Path(self.data).exists()


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Decoded images with their true labels.

    table      as read, with its true labels
    samples    the same, decoded; its train_rows and rows are those of the runs
    test_rows  labelled rows of a test or validation split
    """

    origin: Origin
    table: SampleTable
    samples: Samples
    test_rows: NDArray[np.int64]

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows that are trained on and judged."""
        return self.samples.train_rows

    @property
    def truth(self) -> NDArray[np.int64]:
        return self.table.labels

    def digest(self, labels: NDArray[np.int64]) -> str:
        """12 hex digits of all that a run with these labels (n,) gets and is measured by."""
        hasher = hashlib.blake2b(digest_size=6)
        hasher.update("\0".join(self.table.class_names).encode("utf-8", "surrogateescape"))
        rows = self.samples.rows
        for part in (self.samples.pixels.digest[rows], self.truth[rows], labels[rows]):
            hasher.update(np.ascontiguousarray(part).tobytes())
        return hasher.hexdigest()


def read_dataset(origin: Origin, reporter: Reporter) -> Dataset:
    """Reads and decodes, or finds the pixels in the cache. The source's labels count as true.

    Raises SourceError or ConfigError for what the user can mend.
    """
    options, source = origin.options, origin.name
    with reporter.stage("reading") as advance:
        if origin.is_by_name:
            options = replace(options, split="train,test")  # the latter to measure accuracy
        table, notes = injecting.true_labels(source, sources.read(source, options, advance))
    for note in () if origin.is_by_name else notes:  # of CIFAR all is known
        reporter.note(note)
    runtime = origin.runtime
    samples = prepare(table, runtime, device_is_cpu=runtime.device == "cpu", reporter=reporter)
    rows = samples.train_rows
    if origin.count is not None:
        if origin.count > len(rows):
            raise ConfigError(
                f"--count is {origin.count:,}, more than the {len(rows):,} images to train on"
            )
        rows = rows[: origin.count]
        if len(np.unique(table.labels[rows])) < 2:
            raise ConfigError(
                f"--count is {origin.count:,}: the first images are all of one class; give more"
            )
    is_test = table.held_out[samples.rows] & (table.labels[samples.rows] != NO_LABEL)
    test_rows = samples.rows[is_test]
    return Dataset(
        origin=origin,
        table=table,
        samples=replace(samples, train_rows=rows, rows=np.union1d(rows, test_rows)),
        test_rows=test_rows,
    )


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How labels are made wrong.

    kind   one of RATES and FILES
    value  the rate, or the path of the file
    """

    kind: str
    value: float | Path

    @classmethod
    def parse(cls, text: str) -> Noise:
        """symm:0.2, asymm:40%, instance:0.3, human:FILE or mapping:FILE.

        Raises ConfigError if it is none of them.
        """
        kind, _, value = text.partition(":")
        if kind in FILES and value:
            if not Path(value).is_file():
                raise ConfigError(f"--noise {text}: no such file; correct the path")
            return cls(kind=kind, value=Path(value))
        try:
            rate = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
        except ValueError:
            rate = -1.0
        if kind not in RATES or not 0 <= rate < 1:
            raise ConfigError(
                f"--noise {text}: must be symm:0.2, asymm:0.4, instance:0.3, each with a rate "
                "below 1, human:FILE or mapping:FILE"
            )
        return cls(kind=kind, value=rate)

    @property
    def name(self) -> str:
        """Without the folder of a file: results must not depend on where it lies."""
        value = self.value
        return f"{self.kind}:{value.name if isinstance(value, Path) else f'{value:g}'}"

    def spec(self, seed: int) -> injecting.NoiseSpec:
        value, path, rate = self.value, None, None
        if isinstance(value, Path):
            path = value
        else:
            rate = value
        return injecting.NoiseSpec(
            symm=rate if self.kind == "symm" else None,
            asymm=rate if self.kind == "asymm" else None,
            instance=rate if self.kind == "instance" else None,
            human=path if self.kind == "human" else None,
            mapping=path if self.kind == "mapping" else None,
            seed=seed,
        )


def noisy_labels(
    dataset: Dataset, noise: Noise, seed: int, reporter: Reporter
) -> NDArray[np.int64]:
    """Given labels (n,): noisy on the rows to train on, NO_LABEL elsewhere.

    The same as of `inject-noise` with this seed on a source of just these rows.

    Raises ConfigError or SourceError if the noise does not fit the data.
    """
    table, rows = dataset.table, dataset.rows
    source = dataset.origin.name
    known = (kinds.CIFAR10_CLASSES, kinds.CIFAR100_CLASSES)
    if noise.kind == "asymm" and table.class_names not in known:
        raise ConfigError(
            f"--noise {noise.name}: which class of {source} is taken for which is not known; "
            "give mapping:FILE instead, a table of from,to,rate"
        )
    labels = np.full(len(table), NO_LABEL, dtype=np.int64)
    if noise.kind == "human":  # of each image of the source, whichever of them are trained on
        drawn_from = table
    else:
        labels[rows] = table.labels[rows]
        drawn_from = table.with_labels(labels)
    try:
        noisy_rows, given = injecting.noisy_labels(source, drawn_from, noise.spec(seed), reporter)
    except LabelcleanError as error:
        raise type(error)(f"--noise {noise.name}: {error}") from None
    noisy = table.labels.copy()
    noisy[noisy_rows] = given
    labels[rows] = noisy[rows]
    return labels
