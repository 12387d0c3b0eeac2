"""Predictions as tables: written piece by piece, whole or not there, and read again."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from math import nan
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labelclean import disk
from labelclean.errors import OutputError, ReportError
from labelclean.report import files

_READ = ("image", "label", "probability", "status")
GIVEN = "given_label"  # only a report has it


@dataclass(frozen=True, kw_only=True)
class PredictedLabels:
    """The output of `predict`, (n,) each.

    labels       "" where there was no image
    probability  NaN there
    """

    images: tuple[str, ...]
    labels: tuple[str, ...]
    probability: NDArray[np.float64]


def read_predictions(path: Path) -> PredictedLabels | None:
    """The file's predictions; None if it is no file of `predict`."""
    if path.suffix.lower() not in files.ENDINGS:
        return None
    try:
        columns = files.decode(path.read_bytes(), path, [*_READ, GIVEN], optional=(GIVEN,))
    except (ReportError, OSError):
        return None
    if GIVEN in columns.names:  # a report
        return None
    try:
        chances = [
            float(cell) if cell not in (None, "") else nan for cell in columns.cells("probability")
        ]
    except (TypeError, ValueError):
        return None
    return PredictedLabels(
        images=tuple(map(_text, columns.cells("image"))),
        labels=tuple(map(_text, columns.cells("label"))),
        probability=np.array(chances, dtype=np.float64),
    )


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


class TableWriter:
    """Takes frames of the same columns; the file appears at the end of the `with`, unless it fails.

    path   a file whose ending names the format; "-" is CSV on standard output

    Raises OutputError if it cannot be written, or is there and `force` is not given.
    """

    def __init__(self, path: str | Path, force: bool = False) -> None:
        self.out = path
        self._path = None if str(path) == "-" else Path(path)
        self._is_first, self._force = True, force
        self._parquet: pq.ParquetWriter | None = None
        self._file: IO[bytes] = sys.stdout.buffer
        if self._path is None:
            self._ending = ".csv"
            return
        self._ending = files.ending_of(self._path)

    def write(self, frame: pd.DataFrame) -> None:
        """Appends the rows. Raises OutputError if the disk is full, ReportError for a bad name."""
        try:
            if self._ending == ".parquet":
                self._write_parquet(frame)
            else:
                data = files.encode(frame, self._path or Path("out.csv"))
                if self._ending != ".jsonl" and not self._is_first:
                    data = data[data.index(b"\n") + 1 :]  # the header is there already
                self._file.write(data)
        except OSError as error:
            raise self._unwritable(error) from None
        self._is_first = False

    def _write_parquet(self, frame: pd.DataFrame) -> None:
        encoded = files.encode(frame, self._path or Path("out.parquet"))
        table = pq.read_table(pa.BufferReader(encoded))
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(self._file, table.schema, compression="zstd")
        self._parquet.write_table(table)

    def __enter__(self) -> TableWriter:
        with ExitStack() as stack:
            if self._path is not None:
                place = stack.enter_context(disk.staged(self._path))
                disk.check(self._path, force=self._force, flag="--out")
                try:
                    self._file = stack.enter_context(open(place, "xb"))
                except OSError as error:
                    raise self._unwritable(error) from None
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        try:
            if self._parquet is not None:
                self._parquet.close()
            self._file.flush()
        except OSError as problem:
            if kind is None:
                kind, error, traceback = OSError, problem, problem.__traceback__
                self._stack.__exit__(kind, error, traceback)
                raise self._unwritable(problem) from None
        return self._stack.__exit__(kind, error, traceback)

    def _unwritable(self, error: OSError) -> OutputError:
        name: Any = "standard output" if self._path is None else self._path
        return disk.unwritable(name, error, "--out")
