"""The tables of a grid: method × noise, mean and spread over the seeds, beside the paper's."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from labelclean.benchmark.published import NAMES, published_accuracy
from labelclean.benchmark.results import Row, Setting

NOISE_ORDER = ("symm", "asymm", "instance", "mapping", "human")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A column of results.csv, shown in percent; more is better.

    is_published  the paper has figures of it
    """

    name: str
    title: str
    is_published: bool = False


METRICS = (
    Metric(name="average_precision", title="Average precision of the wrong labels, %"),
    Metric(
        name="test_accuracy",
        title="Test accuracy of the network that judges the labels, %",
        is_published=True,
    ),
    Metric(
        name="classified_accuracy",
        title="Test accuracy after training on what the verdicts left, %",
        is_published=True,
    ),
    Metric(name="f1", title="F1 of the verdicts, %"),
    Metric(name="suggestion_accuracy", title="Wrong labels whose true one is suggested, %"),
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Mean over the seeds, in percent; std is that of the sample, None for a single run.

    is_best    no other method's mean of this column, rounded as shown, is higher
    published  the paper's figure, of its own network and number of epochs
    """

    mean: float
    std: float | None
    seeds: int
    is_best: bool
    published: float | None

    @property
    def text(self) -> str:
        spread = "" if self.std is None else f" ± {self.std:.1f}"
        return f"{self.mean:.1f}{spread}"


@dataclass(frozen=True, kw_only=True)
class Line:
    """A method: cells by noise, None where no run of it has the figure.

    seconds         mean over its runs, None where no run knows
    published_name  what the paper calls it, None where it has no figure in these columns
    """

    method: str
    cells: tuple[Cell | None, ...]
    seconds: float | None
    published_name: str | None


@dataclass(frozen=True, kw_only=True)
class Table:
    metric: Metric
    noises: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All tables of one setting.

    seeds     the most that a cell has
    machines  with the torch version, each once
    failed    runs that have no figures
    """

    setting: Setting
    seeds: int
    machines: tuple[str, ...]
    tables: tuple[Table, ...]
    failed: tuple[Row, ...]


def compare(rows: Sequence[Row]) -> tuple[Comparison, ...]:
    """One Comparison for each setting among the rows, in the order of its first row."""
    settings = dict.fromkeys(row.setting for row in rows)
    return tuple(_comparison([row for row in rows if row.setting == one]) for one in settings)


def to_json(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """One object for each cell of each table."""
    return [
        {
            **vars(comparison.setting),
            "metric": table.metric.name,
            "method": line.method,
            "noise": noise,
            "mean": cell.mean,
            "std": cell.std,
            "seeds": cell.seeds,
            "is_best": cell.is_best,
            "published": cell.published,
        }
        for comparison in comparisons
        for table in comparison.tables
        for line in table.lines
        for noise, cell in zip(table.noises, line.cells, strict=True)
        if cell is not None
    ]


def _comparison(rows: list[Row]) -> Comparison:
    done = [row for row in rows if not row.error]
    tables = [_table(metric, done) for metric in METRICS]
    of_cells = [c.seeds for t in tables for line in t.lines for c in line.cells if c is not None]
    return Comparison(
        setting=rows[0].setting,
        seeds=max(of_cells, default=0),
        machines=tuple(dict.fromkeys(f"{row.machine}, torch {row.torch}" for row in done)),
        tables=tuple(table for table in tables if table.lines),
        failed=tuple(row for row in rows if row.error),
    )


def _table(metric: Metric, done: list[Row]) -> Table:
    known = [row for row in done if not math.isnan(getattr(row, metric.name))]
    noises = sorted({row.noise for row in known}, key=_noise_key)
    methods = sorted({row.method for row in known}, key=_method_key)
    values: dict[tuple[str, str], list[float]] = {}
    for row in known:
        value = 100 * getattr(row, metric.name)
        values.setdefault((row.method, row.noise), []).append(value)
    best = {
        noise: max(round(statistics.mean(v), 1) for (_, n), v in values.items() if n == noise)
        for noise in noises
    }

    def cell(method: str, noise: str) -> Cell | None:
        value = values.get((method, noise))
        if not value:
            return None
        mean = statistics.mean(value)
        return Cell(
            mean=mean,
            std=statistics.stdev(value) if len(value) > 1 else None,
            seeds=len(value),
            is_best=round(mean, 1) == best[noise],
            published=published_accuracy(known[0].data, method, noise)
            if metric.is_published
            else None,
        )

    def line(method: str) -> Line:
        cells = tuple(cell(method, noise) for noise in noises)
        times = [row.seconds for row in known if row.method == method and row.seconds >= 0]
        has_published = any(c is not None and c.published is not None for c in cells)
        return Line(
            method=method,
            cells=cells,
            seconds=statistics.mean(times) if times else None,
            published_name=NAMES.get(method) if has_published else None,
        )

    return Table(metric=metric, noises=tuple(noises), lines=tuple(map(line, methods)))


def _noise_key(noise: str) -> tuple[int, float, str]:
    kind, _, value = noise.partition(":")
    place = NOISE_ORDER.index(kind) if kind in NOISE_ORDER else len(NOISE_ORDER)
    try:
        return place, float(value), noise
    except ValueError:
        return place, 0.0, noise


def _method_key(method: str) -> tuple[int, str]:
    """As in the paper's tables, other methods before ours."""
    *others, ours = NAMES
    if method == ours:
        return len(others) + 1, method
    return (others.index(method) if method in others else len(others)), method
