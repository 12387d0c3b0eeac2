"""results.csv: one row a run, in and out."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from labelclean import disk
from labelclean.errors import ReportError, printable
from labelclean.report import files

RESULTS = "results.csv"
NAN = math.nan


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The settings that comparable runs share.

    data    cifar10, cifar100 or the source as given
    n       images trained on
    preset  of TrainConfig, of which epochs and arch may replace its own
    """

    data: str
    n: int
    preset: str
    epochs: int
    arch: str


@dataclass(frozen=True, kw_only=True)
class Key:
    """Which run it is."""

    setting: Setting
    noise: str
    seed: int
    method: str

    def words(self) -> str:
        return f"{self.method} on {self.noise}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run; figures are NaN where they have no meaning or the run failed.

    rate                 share of wrong labels among those trained on
    test_accuracy        of the network that judges the labels
    classified_accuracy  of the network trained on what the verdicts left (pseudo-labels)
    classifier_epochs    epochs of the classifier; 0: none trained, or it failed and is retried
    seconds              training and verdict, without the test rows; NaN where a run was resumed
    run                  stem of its file of scores
    input                digest of the images and labels that it was given
    notes                what happened on the way: a collapse, a smaller batch
    error                why it failed, one line; empty where it did not
    """

    data: str
    n: int
    noise: str
    rate: float = NAN
    seed: int
    method: str
    preset: str
    epochs: int
    arch: str
    average_precision: float = NAN
    auroc: float = NAN
    f1: float = NAN
    suggestion_accuracy: float = NAN
    noise_rate_error: float = NAN
    expected_calibration_error: float = NAN
    test_accuracy: float = NAN
    classified_accuracy: float = NAN
    classifier_epochs: int = 0
    seconds: float = NAN
    torch: str = ""
    machine: str = ""
    run: str
    input: str
    notes: str = ""
    error: str = ""

    @property
    def setting(self) -> Setting:
        names = (each.name for each in fields(Setting))
        return Setting(**{name: getattr(self, name) for name in names})

    @property
    def key(self) -> Key:
        return Key(setting=self.setting, noise=self.noise, seed=self.seed, method=self.method)

    def to_json(self) -> dict[str, Any]:
        """Cells by name; None for NaN."""
        return {k: None if v != v else v for k, v in vars(self).items()}


_TYPES = {"str": str, "int": int, "float": float}
_COLUMNS = {each.name: _TYPES[str(each.type)] for each in fields(Row)}


def read_results(folder: Path) -> list[Row]:
    """The rows of the folder's results.csv; none if there is no such file.

    Raises ReportError if it is something else.
    """
    path = folder / RESULTS
    place = printable(path)
    try:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if header != list(_COLUMNS):
                raise ReportError(
                    f"{place}: not the results of this version of benchmark; "
                    "move it away or give another --out"
                )
            return [_row(cells, f"{place}:{reader.line_num}") for cells in reader if cells]
    except FileNotFoundError:
        return []
    except csv.Error as error:
        raise ReportError(f"{place}: not CSV ({error}); give another --out") from None
    except OSError as error:
        raise ReportError(f"{place}: cannot be read: {error.strerror}") from None


def _row(cells: Sequence[str], place: str) -> Row:
    if len(cells) != len(_COLUMNS):
        raise ReportError(
            f"{place}: {len(cells)} cells where the header has {len(_COLUMNS)}; remove the line, "
            "its run is done again"
        )
    converted: dict[str, Any] = {}
    for (name, kind), cell in zip(_COLUMNS.items(), cells, strict=True):
        text = files.restored(cell)
        try:
            converted[name] = NAN if kind is float and not text else kind(text)
        except ValueError:
            raise ReportError(
                f"{place}: {name} is {printable(text)!r}, not a number; remove the line, its run "
                "is done again"
            ) from None
    return Row(**converted)


def write_results(rows: Sequence[Row], folder: Path) -> None:
    """Replaces results.csv by one with these rows. Raises OutputError if it cannot be written."""
    columns = {
        name: pd.Series(
            [getattr(row, name) if kind is float else str(getattr(row, name)) for row in rows],
            dtype=float if kind is float else object,
        )
        for name, kind in _COLUMNS.items()
    }
    write(folder / RESULTS, files.encode_csv(pd.DataFrame(columns)))


def write(path: Path, data: bytes) -> None:
    """The file appears whole or stays as it was. Raises OutputError if it cannot be written."""
    disk.write_files({path: data})
