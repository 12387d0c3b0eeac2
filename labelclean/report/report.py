"""Report: what `filter` found, the only thing that later commands read of it."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandas.api.types import infer_dtype, is_numeric_dtype

from labelclean import disk
from labelclean.config.names import VIEWS
from labelclean.data.samples import DUPLICATE_OF, REPEATED
from labelclean.errors import ReportError, printable
from labelclean.opening import read_regular
from labelclean.report import files
from labelclean.report.fingerprint import edited, fingerprint, problem_of
from labelclean.report.meta import ReportMeta, meta_path, six_digits

TEXT, FLAG, NUMBER = "text", "flag", "number"
COLUMNS = {
    "image": TEXT,
    "given_label": TEXT,
    "suggested_label": TEXT,
    "is_label_issue": FLAG,
    "label_score": NUMBER,
    "issue_probability": NUMBER,
    "suggested_probability": NUMBER,
    "second_label": TEXT,
    "margin": NUMBER,
    "status": TEXT,
    "flags": TEXT,
    "near_duplicate_of": TEXT,
    "reason": TEXT,  # why the row was not judged, "" where it was
    "no_class_score": NUMBER,  # 0 to 1, low: it seems to belong to none of the classes
}
OPTIONAL = {
    "flags",
    "near_duplicate_of",
    "reason",
    "no_class_score",
}  # may be absent: older reports and those of other tools lack them

# Only with --view-scores: the probability that each view gives to the given label.
VIEW_COLUMNS = {f"{view}_score": NUMBER for view in VIEWS}
_KINDS = COLUMNS | VIEW_COLUMNS

_ABSENT = {TEXT: "", NUMBER: math.nan}  # of OPTIONAL columns

DISTINCT = 10_000  # rows that are looked at for whether texts repeat

# Words in the column flags, separated by spaces.
HELD_OUT = "held_out"  # of a test or validation split: judged, not trained on
NO_CLASS = "no_class"  # seems to belong to none of the classes


@dataclass(frozen=True, kw_only=True)
class Report:
    """One row for each input row, in input order, also for those without a readable image.

    frame  (n, 14 or more) the columns COLUMNS, after them those of VIEW_COLUMNS that are there.
           Names are str, "" where there is none; figures float64 with six significant digits, NaN
           where there is none; a low label_score is suspicious
    meta   all that later commands need beside the rows
    repeated  rows for the image of an earlier row, by their place among all rows: in the file, and
           not in the frame, so that there each image is one row

    Raises ValueError if the frame is none of a report.
    """

    frame: pd.DataFrame
    meta: ReportMeta
    repeated: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        names = [*COLUMNS, *(name for name in VIEW_COLUMNS if name in self.frame)]
        if list(self.frame.columns) != names:
            raise ValueError(f"columns {list(self.frame.columns)}, not {names}")
        parts = {name: _column(name, self.frame[name]) for name in names}
        frame = pd.DataFrame(parts, copy=False)  # of ten million rows a copy takes a gigabyte
        counts = count_statuses(frame["status"].tolist())
        is_repeated = frame["status"] == REPEATED
        if is_repeated.any():
            object.__setattr__(self, "repeated", frame[is_repeated])
            frame = frame[~is_repeated].reset_index(drop=True)
        elif self.repeated is not None:
            counts[REPEATED] = len(self.repeated)
        object.__setattr__(self, "frame", frame)
        object.__setattr__(self, "meta", replace(self.meta, counts=counts))

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[Any]], meta: ReportMeta) -> Report:
        """The way for names that may be no UTF-8: a DataFrame of pandas' own strings breaks there.

        columns  each of COLUMNS, (n,); OPTIONAL ones and those of VIEW_COLUMNS may be absent
        """
        absent = {kind: [value] * len(columns["image"]) for kind, value in _ABSENT.items()}
        cells = {name: columns.get(name, absent[COLUMNS[name]]) for name in OPTIONAL}
        cells |= {name: columns[name] for name in COLUMNS if name not in OPTIONAL}
        cells |= {name: columns[name] for name in VIEW_COLUMNS if name in columns}
        names = [*COLUMNS, *(name for name in VIEW_COLUMNS if name in cells)]
        parts = {name: pd.Series(list(cells[name]), dtype=object) for name in names}
        return cls(frame=pd.DataFrame(parts), meta=meta)

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        rate = f"{self.meta.noise_rate:.1%} of the labels wrong"
        return f"<Report of {len(self):,} rows, about {rate}>"

    def _repr_html_(self) -> str:
        """The summary, as a notebook shows it."""
        from labelclean.report.summary import summary_html  # it is made of reports

        return summary_html(self)

    def to_frame(self) -> pd.DataFrame:
        """A copy of all rows, the repeated ones in their places, for the caller to change."""
        if self.repeated is None:
            return self.frame.copy()
        size = len(self.frame) + len(self.repeated)
        others = [k for k in range(size) if k not in set(self.repeated.index)]
        return pd.concat([self.frame.set_index(pd.Index(others)), self.repeated]).sort_index()

    def write(self, path: str | Path, force: bool = False) -> None:
        """The report and its meta file, both or neither; "-" is CSV on standard output, no meta.

        Raises OutputError if the path cannot be written or exists and `force` is not given.
        """
        if str(path) == "-":
            sys.stdout.flush()
            sys.stdout.buffer.write(files.encode_csv(self.to_frame()))
            sys.stdout.buffer.flush()
            return
        path = Path(path)
        check_can_write(path, force)
        meta = replace(self.meta, rows=fingerprint(self.frame))
        disk.write_files(
            {path: files.encode(self.to_frame(), path), meta_path(path): meta.to_json()}
        )

    @classmethod
    def read(cls, path: str | Path, note: Callable[[str], None] | None = None) -> Report:
        """The report at `path` with its meta file.

        note  hears of columns of which cells were edited after filter wrote them; None: they are
              not looked for, which saves half of the time

        Raises ReportError if it is none, or its rows or its meta file are those of another.
        """
        path = Path(path)
        files.ending_of(path)
        disk.finish(path)
        data = _read_bytes(path, "no such report; give the file that filter wrote")
        columns = files.decode(data, path, list(_KINDS), OPTIONAL | set(VIEW_COLUMNS))
        beside = meta_path(path)
        meta = ReportMeta.from_json(
            _read_bytes(
                beside, f"missing; it belongs beside {printable(path.name)}, copy it there"
            ),
            printable(beside),
        )
        parts = {name: _series(name, columns) for name in columns.names}
        del data, columns  # of ten million rows gigabytes, before as much again is made
        pa.default_memory_pool().release_unused()
        count = len(parts["image"])
        absent = {kind: pd.Series([cell] * count, dtype=object) for kind, cell in _ABSENT.items()}
        parts |= {name: absent[kind] for name, kind in COLUMNS.items() if name not in parts}
        names = [name for name in _KINDS if name in parts]
        report = cls(
            frame=pd.DataFrame({name: parts[name] for name in names}, copy=False), meta=meta
        )
        if meta.rows is None:  # of an older labelclean
            return report
        if problem := problem_of(meta.rows, report.frame):
            raise ReportError(
                f"{printable(path)}: {problem} ({printable(beside.name)}); put back the file that "
                "filter wrote, or run it again"
            )
        if note is not None and (columns_edited := edited(meta.rows, report.frame)):
            note(
                f"{printable(path)}: cells of {', '.join(columns_edited)} were edited since filter "
                "wrote them: taken as they are"
            )
        return report


def report_files(path: str | Path) -> tuple[Path, ...]:
    """The report and its meta file, which belong together; none on standard output."""
    return () if str(path) == "-" else (Path(path), meta_path(Path(path)))


def check_can_write(path: str | Path, force: bool = False) -> None:
    """Finds out before hours of training that a report could not be written after them.

    Raises ReportError if the ending is unknown, OutputError if the folder is missing or read-only,
    or a report or its meta file exists and `force` is not given.
    """
    for target in report_files(path):
        files.ending_of(Path(path))
        disk.check(target, force=force)


def count_statuses(statuses: Sequence[str]) -> dict[str, int]:
    """Rows by status, the duplicates of all images together, in order of first appearance."""
    short = DUPLICATE_OF.rstrip(":")
    counts: Counter[str] = Counter()
    for status, count in Counter(statuses).items():
        counts[short if status.startswith(DUPLICATE_OF) else status] += count
    return dict(counts)


def _column(name: str, given: pd.Series[Any]) -> pd.Series[Any]:
    kind = _KINDS[name]
    if kind == NUMBER:
        if not is_numeric_dtype(given):
            given = given.astype(object).mask(given.astype(object) == "", math.nan)
        numbers = given.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(numbers).any():
            raise ValueError(f"{name} is infinite in row {np.isinf(numbers).argmax()}")
        return pd.Series(_six_digits(numbers), dtype=np.float64)
    if kind == FLAG and given.dtype == bool:
        return given.reset_index(drop=True)
    if kind == TEXT and given.dtype == object and infer_dtype(given, skipna=False) == "string":
        return given.reset_index(drop=True)
    cells = given.tolist()
    if kind == TEXT:
        cells = ["" if not isinstance(cell, str) and pd.isna(cell) else cell for cell in cells]
    wanted = bool if kind == FLAG else str
    wrong = [k for k, cell in enumerate(cells) if not isinstance(cell, wanted)]
    if wrong:
        raise ValueError(f"{name} is {cells[wrong[0]]!r} in row {wrong[0]}, not {wanted.__name__}")
    # object keeps names that are no UTF-8, which pandas' own string type cannot
    return pd.Series(cells, dtype=bool if kind == FLAG else object)


def _six_digits(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each number as six_digits makes it; those that have no more digits are found at once."""
    with np.errstate(all="ignore"):
        power = np.power(10.0, 5 - np.floor(np.log10(np.abs(numbers))))
        is_short = (np.rint(numbers * power) / power == numbers) & (power >= 1) & (power <= 1e22)
    is_short |= np.isnan(numbers)
    if is_short.all():
        return numbers
    rounded = numbers.copy()
    rounded[~is_short] = [six_digits(number) for number in numbers[~is_short].tolist()]
    return rounded


def _series(name: str, columns: files.Columns) -> pd.Series[Any]:
    """The cells of a file's column; a wrong one is named by its place."""
    arrow = columns.arrow(name)
    fast = None if arrow is None else _of_arrow(_KINDS[name], arrow)
    if fast is not None:
        return fast
    cells = _parsed(name, columns)
    return pd.Series(cells, dtype={TEXT: object, FLAG: bool, NUMBER: np.float64}[_KINDS[name]])


def _of_arrow(kind: str, cells: pa.ChunkedArray) -> pd.Series[Any] | None:
    """The cells where all are as they must be; None: they are looked at one by one."""
    is_text = pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)
    if kind == TEXT:
        return _texts(cells) if is_text else None
    if kind == FLAG:
        if is_text:
            lower = pc.utf8_lower(cells)
            is_true = pc.equal(lower, "true")
            if not pc.all(pc.or_(is_true, pc.equal(lower, "false"))).as_py():
                return None
            cells = is_true
        if not pa.types.is_boolean(cells.type) or cells.null_count:
            return None
        return pd.Series(cells.to_numpy(), dtype=bool)
    if is_text:
        try:
            cells = pc.cast(pc.if_else(pc.equal(cells, ""), None, cells), pa.float64())
        except pa.ArrowInvalid:
            return None
    if not pa.types.is_float64(cells.type):
        return None
    numbers = cells.to_numpy(zero_copy_only=False).astype(np.float64)
    return None if np.isinf(numbers).any() else pd.Series(numbers)


def _texts(cells: pa.ChunkedArray) -> pd.Series[Any]:
    """Strings of Python, each distinct one made once where there are few."""
    if len(cells) > 2 * DISTINCT and len(cells[:DISTINCT].unique()) < DISTINCT / 2:
        coded = pc.dictionary_encode(cells).combine_chunks()
        words = coded.dictionary.to_numpy(zero_copy_only=False)
        return pd.Series(words[coded.indices.to_numpy()], dtype=object)
    return pd.Series(cells.to_numpy(zero_copy_only=False), dtype=object)


def _parsed(name: str, columns: files.Columns) -> list[Any]:
    """The cells of a file's column as Python values; a wrong one is named by its place."""
    kind, out = _KINDS[name], []
    for row, cell in enumerate(columns.cells(name)):
        value: Any = cell
        if kind == NUMBER and not isinstance(cell, bool):
            try:
                value = math.nan if cell is None or cell == "" else float(cell)
            except (TypeError, ValueError, OverflowError):
                value = math.inf
            good = not math.isinf(value)
        elif kind == FLAG:
            if isinstance(cell, str):  # spreadsheets write TRUE
                value = {"true": True, "false": False}.get(cell.lower())
            good = isinstance(value, bool)
        else:
            good = kind == TEXT and isinstance(cell, str)
        if not good:
            wanted = {NUMBER: "a number or empty", FLAG: "True or False", TEXT: "text"}[kind]
            raise ReportError(
                f"{columns.where(row)}: {name} is '{printable(cell)}', must be {wanted}"
            )
        out.append(value)
    return out


def _read_bytes(path: Path, if_missing: str) -> bytes:
    try:
        return read_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        raise ReportError(f"{printable(path)}: {if_missing}") from None
    except OSError as error:
        raise ReportError(f"{printable(path)}: cannot be read: {error.strerror}") from None
