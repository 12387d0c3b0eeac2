"""Data of the review page's summary: figures, bars and the matrix, ready to be drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from labelclean.data.samples import DUPLICATE_OF, MISSING, UNREADABLE
from labelclean.errors import printable
from labelclean.report.doubts import warnings_and_notes
from labelclean.review.pages import ReviewRows

BINS = 20  # of the score histogram
MATRIX_SIDE = 20  # classes in the matrix: those with the most issues
MOST_CLASSES = 100  # in the table of classes
MOST_FILES = 20  # named of each kind
HEAT_STEPS = 9  # shades of a cell


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Rows with label_score in [low, high); heights are 0 to 100."""

    low: float
    high: float
    issues: int
    others: int
    issue_height: float
    other_height: float


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Rows with one given and one suggested label; heat is 0 to HEAT_STEPS."""

    given: int
    suggested: int
    count: int
    heat: int


@dataclass(frozen=True, kw_only=True)
class ClassNoise:
    """A class by its given label; noise is the mean issue probability of its judged rows."""

    label: int
    name: str
    count: int
    issues: int
    noise: float


@dataclass(frozen=True, kw_only=True)
class Files:
    """Rows of one status that is worth a look, the first names spelled out."""

    status: int
    title: str
    count: int
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All names are escaped for display; all figures are the report's."""

    noise_rate: float
    noise_interval: tuple[float, float]
    rows: int
    judged: int
    issues: int
    expected_wrong: float
    classes: int
    bars: tuple[Bar, ...]
    matrix_labels: tuple[tuple[int, str], ...]
    matrix: tuple[tuple[Cell, ...], ...]
    class_noise: tuple[ClassNoise, ...]
    files: tuple[Files, ...]
    reasons: tuple[tuple[str, int], ...]  # why rows are not judged, and how many
    conflicts: int
    conflict_flag: int
    self_test: tuple[tuple[str, str], ...]
    made: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def summarise(rows: ReviewRows) -> Summary:
    """The whole report in figures."""
    meta = rows.meta
    shown = _most_confused(rows)
    warnings, notes = warnings_and_notes(meta.noise_rate, meta.notes)
    return Summary(
        noise_rate=meta.noise_rate,
        noise_interval=meta.noise_rate_interval,
        rows=len(rows),
        judged=int((~np.isnan(rows.score)).sum()),
        issues=int(rows.is_issue.sum()),
        expected_wrong=float(np.nansum(rows.chance)),
        classes=len(meta.class_names),
        bars=_bars(rows),
        matrix_labels=tuple((label, printable(rows.labels[label])) for label in shown),
        matrix=_matrix(rows, shown),
        class_noise=_class_noise(rows),
        files=tuple(_files(rows)),
        reasons=tuple((printable(reason), count) for reason, count in _reasons(rows)),
        conflicts=int((rows.group >= 0).sum()),
        conflict_flag=len(rows.flags) - 1,  # the last one, where there are any
        self_test=_self_test(meta.self_test),
        made=_made(rows),
        warnings=tuple(map(printable, warnings)),
        notes=tuple(map(printable, notes)),
    )


def _bars(rows: ReviewRows) -> tuple[Bar, ...]:
    edges = np.linspace(0, 1, BINS + 1)
    is_judged = ~np.isnan(rows.score)
    issues, _ = np.histogram(rows.score[is_judged & rows.is_issue], edges)
    others, _ = np.histogram(rows.score[is_judged & ~rows.is_issue], edges)
    # Square roots: most rows are trusted, and the few suspicious ones are what it is about.
    tallest = float(np.sqrt(max(1, (issues + others).max())))
    bars = []
    for k in range(BINS):
        total = float(np.sqrt(issues[k] + others[k])) / tallest * 100
        part = issues[k] / max(1, issues[k] + others[k])
        bars.append(
            Bar(
                low=float(round(edges[k], 4)),
                high=float(round(edges[k + 1], 4)),
                issues=int(issues[k]),
                others=int(others[k]),
                issue_height=round(total * part, 2),
                other_height=round(total * (1 - part), 2),
            )
        )
    return tuple(bars)


def _most_confused(rows: ReviewRows) -> list[int]:
    """The classes with the most issues, as given or suggested, in the classes' own order."""
    is_shown = rows.is_issue & (rows.given >= 0) & (rows.suggested >= 0)
    size = len(rows.labels)
    involved = np.bincount(rows.given[is_shown], minlength=size) + np.bincount(
        rows.suggested[is_shown], minlength=size
    )
    return sorted(np.argsort(-involved, kind="stable")[:MATRIX_SIDE].tolist())


def _matrix(rows: ReviewRows, shown: list[int]) -> tuple[tuple[Cell, ...], ...]:
    """(k, k) issues by given label (row) and suggested label (column)."""
    place = np.full(len(rows.labels) + 1, -1)  # the last one is for NO_LABEL
    place[shown] = np.arange(len(shown))
    given, suggested = place[rows.given], place[rows.suggested]
    inside = rows.is_issue & (given >= 0) & (suggested >= 0)
    counts = np.zeros((len(shown), len(shown)), np.int64)
    np.add.at(counts, (given[inside], suggested[inside]), 1)
    largest = max(1, int(counts.max(initial=0)))
    return tuple(
        tuple(
            Cell(
                given=given_label,
                suggested=label,
                count=int(counts[a, b]),
                heat=int(np.ceil(HEAT_STEPS * np.sqrt(counts[a, b] / largest))),
            )
            for b, label in enumerate(shown)
        )
        for a, given_label in enumerate(shown)
    )


def _class_noise(rows: ReviewRows) -> tuple[ClassNoise, ...]:
    size = len(rows.labels)
    is_given = rows.given >= 0
    counts = np.bincount(rows.given[is_given], minlength=size)
    issues = np.bincount(rows.given[is_given & rows.is_issue], minlength=size)
    is_judged = is_given & ~np.isnan(rows.chance)
    judged = np.bincount(rows.given[is_judged], minlength=size)
    wrong = np.bincount(rows.given[is_judged], weights=rows.chance[is_judged], minlength=size)
    noise = wrong / np.maximum(judged, 1)
    return tuple(
        ClassNoise(
            label=label,
            name=printable(rows.labels[label]),
            count=int(counts[label]),
            issues=int(issues[label]),
            noise=float(noise[label]),
        )
        for label in np.argsort(-noise, kind="stable").tolist()
        if counts[label]
    )[:MOST_CLASSES]


def _files(rows: ReviewRows) -> Iterator[Files]:
    duplicate = DUPLICATE_OF.rstrip(":")
    titles = {duplicate: "Exact copies", UNREADABLE: "Unreadable files", MISSING: "Missing files"}
    for status, title in titles.items():
        if status not in rows.statuses:
            continue
        code = rows.statuses.index(status)
        rows_of_code = np.flatnonzero(rows.status == code)
        named = rows_of_code[:MOST_FILES].tolist()
        names = (
            _copy_name(rows, row) if status == duplicate else _with_reason(rows, row)
            for row in named
        )
        yield Files(
            status=code,
            title=title,
            count=len(rows_of_code),
            names=tuple(printable(name) for name in names),
        )


def _reasons(rows: ReviewRows) -> list[tuple[str, int]]:
    """The most frequent first."""
    return Counter(filter(None, rows.reasons)).most_common(MOST_FILES)


def _with_reason(rows: ReviewRows, row: int) -> str:
    return f"{rows.images[row]}: {rows.reasons[row]}" if rows.reasons[row] else rows.images[row]


def _copy_name(rows: ReviewRows, row: int) -> str:
    return f"{rows.images[row]} = {rows.images[rows.first[row]]}"


def _self_test(figures: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    if not figures:
        return ()
    names = {
        "planted": "Labels flipped on purpose",
        "recall": "Found again",
        "recall_interval": "95 % interval",
        "suggestion_accuracy": "Former label suggested",
        "flagged_as_given": "Flagged before the flip",
        "precision": "Wrong among those flagged",
    }
    return tuple(
        (names.get(key, printable(key)), _share(value) if key != "planted" else _text(value))
        for key, value in figures.items()
        if value is not None
    )


def _share(value: Any) -> str:
    if isinstance(value, list):
        return " to ".join(_share(part) for part in value)
    is_share = isinstance(value, float) and 0 <= value <= 1
    return f"{value:.1%}".replace("%", " %") if is_share or value == 1 else _text(value)


def _made(rows: ReviewRows) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """How the report was made, by headings."""
    meta = rows.meta
    labels = meta.source.get("labels")
    run: list[tuple[str, Any]] = [
        ("Images", meta.image_root_given),
        ("Labels", labels),
        ("Device", meta.device),
        ("Seed", meta.seed),
        ("Checkpoint", meta.checkpoint),
    ]
    seconds = [(stage, f"{value:,.1f} s") for stage, value in meta.seconds.items()]
    parts: dict[str, list[tuple[str, Any]]] = {
        "Run": run,
        "Time": seconds,
        "Versions": list(meta.versions.items()),
    }
    for name, value in meta.config.items():
        if isinstance(value, Mapping):
            parts[f"Config: {name}"] = list(value.items())
        else:
            run.append((name.replace("_", " ").capitalize(), value))
    return tuple(
        (
            printable(heading),
            tuple((printable(k), _text(v)) for k, v in items if v is not None and v != []),
        )
        for heading, items in parts.items()
        if items
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:,}" if isinstance(value, int) and value >= 10_000 else f"{value:g}"
    if isinstance(value, list):
        return ", ".join(_text(part) for part in value)
    if isinstance(value, str) and (Path(value).is_absolute() or PureWindowsPath(value).drive):
        return printable(f"…/{PureWindowsPath(value).name}")  # pages are sent to others
    return printable(value)
