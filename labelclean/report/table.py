"""Report: what `filter` found, the only thing that later commands read of it."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from labelclean import disk
from labelclean.data.samples import DUPLICATE_OF
from labelclean.errors import ReportError, printable
from labelclean.report import files

SCHEMA_VERSION = 1

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
}
OPTIONAL = {
    "flags",
    "near_duplicate_of",
}  # may be absent: older reports and those of other tools lack them

# Words in the column flags, separated by spaces.
HELD_OUT = "held_out"  # of a test or validation split: judged, not trained on
NO_CLASS = "no_class"  # seems to belong to none of the classes


@dataclass(frozen=True, kw_only=True)
class ConfusablePair:
    """Two classes that labels mix up: count rows given one and judged to be the other.

    share  of the rows with that given label, 0 to 1
    """

    given: str
    suggested: str
    count: int
    share: float


@dataclass(frozen=True, kw_only=True)
class ReportMeta:
    """What a report says beside its rows; kept in `<stem>.meta.json`.

    image_root         absolute folder of the images, None where they have none
    source             how the source was read: source, labels, root (absolute), image_col,
                       label_col, split_col, split
    training           by epoch: epoch, lr, loss, disagreement, taken
    seconds            by stage
    noise_rate         0 to 1, with (low, high)
    transition_matrix  (c, c) row: true class, column: given class, in the order of class_names
    counts             rows by status, set by the Report
    """

    class_names: tuple[str, ...]
    image_root_given: str
    image_root: str | None
    config: Mapping[str, Any]
    seed: int
    versions: Mapping[str, str]
    device: str
    seconds: Mapping[str, float]
    noise_rate: float
    noise_rate_interval: tuple[float, float]
    transition_matrix: tuple[tuple[float, ...], ...] | None = None
    confusable_pairs: tuple[ConfusablePair, ...] = ()
    checkpoint: str | None = None
    source: Mapping[str, str | None] = field(default_factory=dict)
    training: tuple[Mapping[str, Any], ...] = ()
    self_test: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.noise_rate, *self.noise_rate_interval))):
            raise ValueError(f"noise rate {self.noise_rate}, {self.noise_rate_interval}")
        matrix = self.transition_matrix
        plain = {
            "class_names": tuple(self.class_names),
            "config": _plain(self.config),
            "seconds": {stage: _six_digits(value) for stage, value in self.seconds.items()},
            "noise_rate": _six_digits(self.noise_rate),
            "noise_rate_interval": tuple(map(_six_digits, self.noise_rate_interval)),
            "transition_matrix": matrix
            if matrix is None
            else tuple(tuple(map(_six_digits, row)) for row in matrix),
            "confusable_pairs": tuple(
                replace(pair, share=_six_digits(pair.share)) for pair in self.confusable_pairs
            ),
            "self_test": _plain(self.self_test),
            "source": _plain(self.source),
            "training": tuple(_plain(epoch) for epoch in self.training),
            "notes": tuple(self.notes),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    def to_json(self) -> bytes:
        """One top-level key a line: readable, and a (c, c) matrix takes one line."""
        lines = []
        for each in sorted(fields(self), key=lambda each: each.name != "schema_version"):
            value = getattr(self, each.name)
            if each.name == "confusable_pairs":
                value = [vars(pair) for pair in value]
            lines.append(f'  "{each.name}": '.encode() + files.encode_json(value))
        return b"{\n" + b",\n".join(lines) + b"\n}\n"

    @classmethod
    def from_json(cls, data: bytes, place: str) -> ReportMeta:
        """Raises ReportError that begins with `place` if it is none, or of another schema."""
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("schema_version"), int):
            raise ReportError(f"{place}: not the meta file of a report; run filter again")
        version = found["schema_version"]
        if version != SCHEMA_VERSION:
            remedy = "update labelclean" if version > SCHEMA_VERSION else "run filter again"
            raise ReportError(
                f"{place}: schema version {version}, this labelclean reads {SCHEMA_VERSION}; "
                f"{remedy}"
            )
        known = {name: found[name] for name in (each.name for each in fields(cls)) if name in found}
        try:
            _check_types(known)
            known["confusable_pairs"] = [ConfusablePair(**x) for x in known["confusable_pairs"]]
            return cls(**known)
        except (KeyError, TypeError, ValueError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else printable(error)
            raise ReportError(
                f"{place}: damaged ({reason}); restore it or run filter again"
            ) from None


@dataclass(frozen=True, kw_only=True)
class Report:
    """One row for each input row, in input order, also for those without a readable image.

    frame  (n, 12) the columns COLUMNS. Names are str, "" where there is none; figures float64 with
           six significant digits, NaN where there is none; a low label_score is suspicious
    meta   all that later commands need beside the rows

    Raises ValueError if the frame is none of a report.
    """

    frame: pd.DataFrame
    meta: ReportMeta

    def __post_init__(self) -> None:
        if list(self.frame.columns) != list(COLUMNS):
            raise ValueError(f"columns {list(self.frame.columns)}, not {list(COLUMNS)}")
        frame = pd.DataFrame({name: _column(name, self.frame[name]) for name in COLUMNS})
        object.__setattr__(self, "frame", frame)
        counts = count_statuses(frame["status"].tolist())
        object.__setattr__(self, "meta", replace(self.meta, counts=counts))

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[Any]], meta: ReportMeta) -> Report:
        """The way for names that may be no UTF-8: a DataFrame of pandas' own strings breaks there.

        columns  each of COLUMNS, (n,); "" for OPTIONAL ones that are absent
        """
        nothing = [""] * len(columns["image"])
        cells = {name: columns.get(name, nothing) for name in OPTIONAL}
        cells |= {name: columns[name] for name in COLUMNS if name not in OPTIONAL}
        parts = {name: pd.Series(list(cells[name]), dtype=object) for name in COLUMNS}
        return cls(frame=pd.DataFrame(parts), meta=meta)

    def __len__(self) -> int:
        return len(self.frame)

    def to_frame(self) -> pd.DataFrame:
        """A copy of the rows, for the caller to change."""
        return self.frame.copy()

    def write(self, path: str | Path, force: bool = False) -> None:
        """The report and its meta file, both or neither; "-" is CSV on standard output, no meta.

        Raises OutputError if the path cannot be written or exists and `force` is not given.
        """
        if str(path) == "-":
            sys.stdout.flush()
            sys.stdout.buffer.write(files.encode_csv(self.frame))
            sys.stdout.buffer.flush()
            return
        path = Path(path)
        check_can_write(path, force)
        disk.write_files(
            {path: files.encode(self.frame, path), meta_path(path): self.meta.to_json()}
        )

    @classmethod
    def read(cls, path: str | Path) -> Report:
        """The report at `path` with its meta file. Raises ReportError if it is none."""
        path = Path(path)
        files.ending_of(path)
        disk.finish(path)
        data = _read_bytes(path, "no such report; give the file that filter wrote")
        columns = files.decode(data, path, list(COLUMNS), OPTIONAL)
        beside = meta_path(path)
        meta = ReportMeta.from_json(
            _read_bytes(
                beside, f"missing; it belongs beside {printable(path.name)}, copy it there"
            ),
            printable(beside),
        )
        cells = {name: _parsed(name, columns) for name in columns.cells}
        return cls.from_columns(cells, meta)


def meta_path(path: Path) -> Path:
    """`report.csv` → `report.meta.json` in the same folder."""
    return path.with_suffix(".meta.json")


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
    return dict(Counter(short if s.startswith(DUPLICATE_OF) else s for s in statuses))


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}") + 0.0  # -0.0 becomes 0.0


def _column(name: str, given: pd.Series[Any]) -> pd.Series[Any]:
    kind = COLUMNS[name]
    if kind == NUMBER:
        numbers = given.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(numbers).any():
            raise ValueError(f"{name} is infinite in row {np.isinf(numbers).argmax()}")
        return pd.Series([_six_digits(number) for number in numbers.tolist()], dtype=np.float64)
    cells = given.tolist()
    if kind == TEXT:
        cells = ["" if not isinstance(cell, str) and pd.isna(cell) else cell for cell in cells]
    wanted = bool if kind == FLAG else str
    wrong = [k for k, cell in enumerate(cells) if not isinstance(cell, wanted)]
    if wrong:
        raise ValueError(f"{name} is {cells[wrong[0]]!r} in row {wrong[0]}, not {wanted.__name__}")
    # object keeps names that are no UTF-8, which pandas' own string type cannot
    return pd.Series(cells, dtype=bool if kind == FLAG else object)


def _parsed(name: str, columns: files.Columns) -> list[Any]:
    """The cells of a file's column as Python values; a wrong one is named by its place."""
    kind, out = COLUMNS[name], []
    for cell, place in zip(columns.cells[name], columns.places, strict=True):
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
            raise ReportError(f"{place}: {name} is '{printable(cell)}', must be {wanted}")
        out.append(value)
    return out


def _read_bytes(path: Path, if_missing: str) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ReportError(f"{printable(path)}: {if_missing}") from None
    except OSError as error:
        raise ReportError(f"{printable(path)}: cannot be read: {error.strerror}") from None


def _plain(value: Any) -> Any:
    """What JSON holds and gives back the same: str, int, float, bool, None, list, dict."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _check_types(found: Mapping[str, Any]) -> None:
    """Raises KeyError or TypeError if a value is missing or of another type than to_json writes."""
    text, names, number = (str,), (list,), (int, float)
    wanted: dict[str, tuple[type, ...]] = {
        **dict.fromkeys(("class_names", "notes", "confusable_pairs", "noise_rate_interval"), names),
        **dict.fromkeys(("config", "versions", "seconds", "counts"), (dict,)),
        **dict.fromkeys(("image_root_given", "device"), text),
        **dict.fromkeys(("image_root", "checkpoint"), (str, type(None))),
        "seed": (int,),
        "noise_rate": number,
        "self_test": (dict, type(None)),
        "transition_matrix": (list, type(None)),
    }
    found = {"source": {}, "training": [], **found}
    for name, types in (*wanted.items(), ("source", (dict,)), ("training", names)):
        if not isinstance(found[name], types):
            raise TypeError(f"{name} is {found[name]!r}")
    if len(found["noise_rate_interval"]) != 2:
        raise TypeError(f"noise_rate_interval is {found['noise_rate_interval']!r}")
    for name in ("class_names", "notes"):
        if not all(isinstance(item, str) for item in found[name]):
            raise TypeError(f"{name} is {found[name]!r}")
