"""Reports of other tools, with cleanlab's column names, and our own without its meta file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelclean.data.samples import OK
from labelclean.errors import ReportError, printable
from labelclean.report import files
from labelclean.report.meta import meta_path
from labelclean.report.report import COLUMNS, OPTIONAL, Report
from labelclean.sources.columns import ID_NAMES, IMAGE_NAMES, LABEL_NAMES
from labelclean.sources.labels import clean_labels
from labelclean.tables.packed_names import PackedNames
from labelclean.tables.read_table import read_table
from labelclean.tables.table import Table

# Names of each column: ours first, then cleanlab's and cleanlab Studio's.
NAMES = {
    "given_label": ("given_label",),
    "label_score": ("label_score", "label_quality", "label_issue_score"),
    "is_label_issue": ("is_label_issue",),
    "suggested_label": ("suggested_label", "predicted_label"),
    "issue_probability": ("issue_probability",),
    "status": ("status",),
}
SUSPICIOUS_IF_HIGH = ("label_issue_score",)
IMAGES = (*IMAGE_NAMES, *ID_NAMES)
# An index that pandas wrote: to CSV, to CSV and read again, to Parquet.
INDEX_NAMES = ("", "unnamed:_0", "__index_level_0__")

LOST = {
    "label_score": "average precision, AUROC and what is missed at a budget",
    "is_label_issue": "precision, recall and F1",
    "suggested_label": "suggestions and what is true after correction",
    "issue_probability": "calibration and the noise rate",
}
MOST_SHOWN = 20  # columns in a message
FLAGS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class AnyReport:
    """The parts of a report that `evaluate` needs, whoever wrote it, as far as they are there.

    frame       (n, k) given_label and those of NAMES that are there, by our names
    images      (n,) names with forward slashes, None where the file has no column of them
    index       (n,) names or row numbers that pandas wrote, None where it wrote none
    transition  (c, c) in the order of class_names
    notes       one line each: what is not there
    """

    path: Path
    frame: pd.DataFrame
    images: tuple[str, ...] | None
    index: tuple[str, ...] | None = None
    class_names: tuple[str, ...] = ()
    noise_rate: float | None = None
    transition: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frame)


def read_any(path: Path) -> AnyReport:
    """Our report with its meta file, or else what read_foreign makes of the file.

    Raises ReportError or SourceError as Report.read and read_foreign do.
    """
    if meta_path(path).is_file() or not path.is_file():
        try:
            return _own(path, Report.read(path))
        except ReportError:
            if not path.is_file() or _own_columns(path) is not None:
                raise  # a damaged one of ours, not one of another tool beside our meta file
    return read_foreign(path)


def read_foreign(path: Path) -> AnyReport:
    """The report of another tool, or one of ours without its meta file.

    A predicted label counts as suggested only where the verdict is that the given one is wrong: so
    it is in our reports, and so suggestions compare.

    Raises ReportError or SourceError if the file is no table, or has no given labels, or neither
    scores nor verdicts.
    """
    own = _own_columns(path)
    if own is not None:
        where, cells = own
        origin = {name: name for name in COLUMNS}
    else:
        table = read_table(path)
        origin, cells = _chosen(table)
        where = table.where
    columns = {"given_label": _labels(cells["given_label"])}
    parsers = {"label_score": _number, "issue_probability": _probability, "is_label_issue": _flag}
    for name, parse in parsers.items():
        if name in cells:
            columns[name] = _parsed(cells[name], parse, origin[name], where)
    if _plain(origin.get("label_score", "")) in SUSPICIOUS_IF_HIGH:
        columns["label_score"] = 1 - columns["label_score"]
    if "suggested_label" in cells:
        suggested = _labels(cells["suggested_label"])
        if "is_label_issue" in columns:
            suggested = suggested.where(columns["is_label_issue"], columns["given_label"])
        columns["suggested_label"] = suggested
    if "status" in cells:
        columns["status"] = _labels(cells["status"])
    return AnyReport(
        path=path,
        frame=pd.DataFrame(columns),
        images=_names(cells.get("image")),
        index=_names(cells.get("index")),
        notes=(*_taken(origin), *_notes(path, cells)),
    )


def truth_rows(report: AnyReport, names: PackedNames) -> tuple[NDArray[np.int64], str]:
    """Which row of the truth each row of the report is, -1 for none, and how they were matched if
    not by names.

    names  (m,) images of the truth, forward slashes

    Raises ReportError if no row can be matched.
    """
    for images in (report.images, report.index):
        if images is not None and ((places := names.places_of(images)) >= 0).any():
            return places, ""
    place = printable(report.path)
    if report.images is not None:
        raise ReportError(
            f"the truth names no image of {place}: its first is {printable(names[0])}, the "
            f"report's {printable(next(iter(report.images), 'none'))}; write the same names in both"
        )
    if report.index is not None:
        rows = _row_numbers(report.index, len(names))
        if rows is None:
            raise ReportError(
                f"{place}: has no column of image names ({', '.join(IMAGES)}), and its index, "
                f"which begins with {printable(report.index[0])}, is neither images of the truth "
                f"nor numbers of its {len(names):,} rows; add a column image"
            )
        return np.array(rows), "rows are matched by the numbers in the index"
    if len(report) != len(names):
        raise ReportError(
            f"{place}: has no column of image names ({', '.join(IMAGES)}), and {len(report):,} "
            f"rows where the truth has {len(names):,}; add a column image"
        )
    return np.arange(len(names)), "rows are matched by their order, the report has no image names"


def with_right_ones(report: AnyReport, given: Sequence[str]) -> AnyReport:
    """The report of a tool that lists the issues alone, and rows after its own that it has not.

    given  their given labels; they were judged right, and are the least suspicious
    """
    frame = report.frame.drop(columns="issue_probability", errors="ignore")
    more = pd.DataFrame({"given_label": list(given)}, dtype=object)
    if "is_label_issue" in frame:
        more["is_label_issue"] = False
    if "label_score" in frame:
        more["label_score"] = max(1.0, frame["label_score"].max())
    if "suggested_label" in frame:
        more["suggested_label"] = more["given_label"]
    if "status" in frame:
        more["status"] = OK
    return replace(report, frame=pd.concat([frame, more], ignore_index=True))


def _own(path: Path, report: Report) -> AnyReport:
    matrix = report.meta.transition_matrix
    probability = report.frame["issue_probability"]
    wrong = np.flatnonzero((probability < 0) | (probability > 1))
    if len(wrong):
        raise ReportError(
            f"{printable(path)}: row {wrong[0] + 1}: issue_probability is "
            f"'{probability[wrong[0]]:g}', must be {WANTED[_probability]}"
        )
    # without the other columns: of ten million rows they take half a gigabyte
    frame = pd.DataFrame({name: report.frame[name] for name in NAMES}, copy=False)
    return AnyReport(
        path=path,
        frame=frame,
        images=_names(report.frame["image"].tolist()),
        class_names=report.meta.class_names,
        noise_rate=report.meta.noise_rate,
        transition=None if matrix is None else np.array(matrix),
    )


def _own_columns(path: Path) -> tuple[Callable[[int], str], dict[str, Sequence[Any]]] | None:
    """Places and cells of a report with all our columns, None if it is another file."""
    if path.suffix.lower() not in files.ENDINGS:
        return None
    try:
        columns = files.decode(path.read_bytes(), path, list(COLUMNS), OPTIONAL)
        return columns.where, columns.all_cells()
    except (ReportError, OSError):
        return None  # read_table says what is wrong, if anything is


def _notes(path: Path, cells: Mapping[str, object]) -> tuple[str, ...]:
    beside = meta_path(path)
    is_there = "is of another report" if beside.is_file() else "is not there"
    lost = [
        f"{printable(path.name)} has no column {_or(NAMES[name])}: {figures} are not available"
        for name, figures in LOST.items()
        if name not in cells
    ]
    return (*lost, f"{printable(beside.name)} {is_there}: transition error is not available")


def _chosen(table: Table) -> tuple[dict[str, str], dict[str, Sequence[Any]]]:
    """By our names: what the file calls a column, and its cells."""
    positions: dict[str, int] = {}
    for name, choices in (*NAMES.items(), ("image", IMAGE_NAMES), ("index", INDEX_NAMES)):
        place = _only_column(table, choices)
        if place is None and name == "given_label":
            place = _only_column(table, LABEL_NAMES)  # of cleanlab Studio: the user's own
        if place is None and name == "image":
            place = _only_column(table, ID_NAMES)
        if place is not None:
            positions[name] = place
    lacks = [] if "given_label" in positions else ["given_label"]
    if not {"label_score", "is_label_issue"} & set(positions):
        lacks.append(f"{_or(NAMES['label_score'])} or is_label_issue")
    if lacks:
        shown = [f"'{printable(name)}'" for name in table.columns[:MOST_SHOWN]]
        more = len(table.columns) - len(shown)
        raise ReportError(
            f"{printable(table.path)}: no column {', and none '.join(lacks)}, among "
            f"{', '.join(shown)}{f' and {more} more' if more else ''}; "
            + (
                "rename what means it, or with cleanlab's Datalab save get_issues('label')"
                if lacks == ["given_label"]
                else "rename what means it"
            )
        )
    return (
        {name: table.columns[k] for name, k in positions.items()},
        {name: table.texts(k) for name, k in positions.items()},
    )


def _only_column(table: Table, choices: Sequence[str]) -> int | None:
    fitting = [
        k
        for k, name in enumerate(table.columns)
        if _plain(name) in choices and k not in table.image_cells
    ]
    if len(fitting) > 1:
        both = " and ".join(f"'{printable(table.columns[k])}'" for k in fitting)
        raise ReportError(f"{printable(table.path)}: {both} mean the same; keep one of them")
    return fitting[0] if fitting else None


def _plain(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def _taken(origin: Mapping[str, str]) -> tuple[str, ...]:
    """A note where the given labels are a column of another name."""
    name = origin["given_label"]
    return () if _plain(name) == "given_label" else (f"given labels: column '{printable(name)}'",)


def _or(names: Sequence[str]) -> str:
    return names[0] + "".join(f" (or {name})" for name in names[1:])


def _labels(cells: Sequence[Any]) -> pd.Series[Any]:
    texts = clean_labels([None if cell is None else str(cell) for cell in cells])
    return pd.Series([text or "" for text in texts], dtype=object)


def _names(cells: Sequence[Any] | None) -> tuple[str, ...] | None:
    if cells is None:
        return None
    return tuple("" if cell is None else str(cell).replace("\\", "/") for cell in cells)


def _row_numbers(index: Sequence[str], size: int) -> list[int] | None:
    if not all(text.isascii() and text.isdigit() for text in index):
        return None
    rows = [int(text) for text in index]
    return rows if len(set(rows)) == len(rows) and max(rows) < size else None


def _parsed(
    cells: Sequence[Any], parse: Parse, column: str, where: Callable[[int], str]
) -> pd.Series[Any]:
    out = []
    for row, cell in enumerate(cells):
        value = parse(cell)
        if value is None:
            raise ReportError(
                f"{where(row)}: {column} is '{printable(cell)}', must be {WANTED[parse]}"
            )
        out.append(value)
    return pd.Series(out, dtype=bool if parse is _flag else np.float64)


def _number(cell: Any) -> float | None:
    try:
        value = math.nan if cell is None or cell == "" else float(cell)
    except (TypeError, ValueError):
        return None
    return None if math.isinf(value) else value


def _probability(cell: Any) -> float | None:
    value = _number(cell)
    return None if value is not None and (value < 0 or value > 1) else value


def _flag(cell: Any) -> bool | None:
    return FLAGS.get(str(cell).strip().lower())


Parse = Callable[[Any], float | bool | None]
WANTED: Mapping[Parse, str] = {
    _number: "a number or empty",
    _probability: "from 0 to 1 or empty",
    _flag: "True or False",
}
