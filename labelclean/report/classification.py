"""How good a classifier is on a test set: accuracy, classes, confusion, calibration."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text
from scipy.special import softmax
from scipy.stats import binomtest, ttest_1samp
from sklearn.metrics import confusion_matrix

from labelclean.errors import printable
from labelclean.report.metrics import expected_calibration_error

MOST_CLASSES = 20  # whose confusion is printed; beyond, the worst classes are
WIDTH = 120  # columns of the printed tables


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of `count` images with its 95 % interval (Wilson); NaN where there are none."""

    value: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, right: int, count: int) -> Share:
        if not count:
            return cls(value=math.nan, low=math.nan, high=math.nan, count=0)
        interval = binomtest(right, count).proportion_ci(method="wilson")
        low, high = float(interval.low), float(interval.high)
        return cls(value=right / count, low=low, high=high, count=count)

    def to_json(self) -> dict[str, Any]:
        if not self.count:
            return {"value": None, "interval": None, "images": 0}
        return {"value": self.value, "interval": [self.low, self.high], "images": self.count}


@dataclass(frozen=True, kw_only=True)
class Gain:
    """How much more accurate than another classifier on the same images, 95 % interval."""

    other: str
    other_accuracy: Share
    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        return {
            "over": self.other,
            "accuracy": self.other_accuracy.to_json(),
            "value": self.value,
            "interval": [self.low, self.high],
        }


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Results on a test set.

    per_class    (c,) the accuracy among the images of each class
    confusion    (c, c) rows: true class, columns: predicted
    calibration  expected calibration error of the largest probability
    temperature  what the logits were divided by, and the raw_calibration without that; None where
                 only the probabilities are known
    """

    class_names: tuple[str, ...]
    accuracy: Share
    per_class: tuple[Share, ...]
    confusion: NDArray[np.int64]
    calibration: float
    temperature: float | None = None
    raw_calibration: float | None = None
    gain: Gain | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "accuracy": self.accuracy.to_json(),
            "per_class": {
                name: each.to_json()
                for name, each in zip(self.class_names, self.per_class, strict=True)
            },
            "confusion": self.confusion.tolist(),
            "temperature": self.temperature,
            "calibration_error": self.calibration,
            "calibration_error_without_temperature": self.raw_calibration,
            "gain": None if self.gain is None else self.gain.to_json(),
        }


def measure(
    logits: NDArray[np.float32],
    truth: NDArray[np.int64],
    class_names: tuple[str, ...],
    temperature: float,
) -> Classification:
    """The figures of the logits (m, c), not yet divided by the temperature, of images (m,)."""
    figures = measure_predicted(
        logits.argmax(axis=1), _confidence(logits / temperature), truth, class_names
    )
    is_right = logits.argmax(axis=1) == truth
    raw = expected_calibration_error(_confidence(logits), is_right)
    return replace(figures, temperature=temperature, raw_calibration=raw)


def measure_predicted(
    predicted: NDArray[np.int64],
    confidence: NDArray[np.float64],
    truth: NDArray[np.int64],
    class_names: tuple[str, ...],
) -> Classification:
    """The figures of the predicted classes (m,) and their probabilities (m,)."""
    matrix = confusion_matrix(truth, predicted, labels=np.arange(len(class_names)))
    right = np.diagonal(matrix)
    return Classification(
        class_names=class_names,
        accuracy=Share.of(int(right.sum()), len(truth)),
        per_class=tuple(
            Share.of(int(hits), int(count))
            for hits, count in zip(right, matrix.sum(axis=1), strict=True)
        ),
        confusion=np.asarray(matrix, dtype=np.int64),
        calibration=expected_calibration_error(confidence, predicted == truth),
    )


def compare(
    logits: NDArray[np.float32],
    other_logits: NDArray[np.float32],
    truth: NDArray[np.int64],
    other: str,
) -> Gain:
    """The gain in accuracy over another classifier, image by image."""
    own, others = (each.argmax(axis=1) == truth for each in (logits, other_logits))
    difference = own.astype(np.float64) - others
    value = float(difference.mean())
    low = high = value
    if len(truth) > 1 and difference.std() > 0:
        interval = ttest_1samp(difference, 0.0).confidence_interval()
        low, high = float(interval.low), float(interval.high)
    accuracy = Share.of(int(others.sum()), len(truth))
    return Gain(other=other, other_accuracy=accuracy, value=value, low=low, high=high)


def _confidence(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The largest probability (m,)."""
    largest: NDArray[np.float64] = softmax(logits.astype(np.float64), axis=1).max(axis=1)
    return np.minimum(largest, 1.0)  # rounding


def figures_text(figures: Classification) -> str:
    """The figures for a terminal: accuracy, gain, calibration, classes, confusion."""
    accuracy = figures.accuracy
    lines = [
        f"accuracy        {accuracy.value:7.2%}  {_interval(accuracy.low, accuracy.high)}  "
        f"on {accuracy.count:,} test images"
    ]
    if (gain := figures.gain) is not None:
        lines.append(
            f"gain            {100 * gain.value:+6.2f}   {_points(gain.low, gain.high)}  points "
            f"over {gain.other} ({gain.other_accuracy.value:.2%})"
        )
    line = f"calibration     {figures.calibration:7.3f}  expected error of the probability"
    if figures.temperature is not None:
        line += f"; {figures.raw_calibration:.3f} without temperature {figures.temperature:.2f}"
    lines.append(line)
    return "\n".join([*lines, "", *_class_lines(figures)])


def _class_lines(figures: Classification) -> list[str]:
    """The worst classes first: accuracy and what they are taken for; the matrix where it fits."""
    worst = sorted(
        (k for k, each in enumerate(figures.per_class) if each.count),
        key=lambda k: figures.per_class[k].value,
    )[:MOST_CLASSES]
    table = Table(box=None, pad_edge=False)
    table.add_column("class", overflow="fold")
    for heading in ("images", "accuracy"):
        table.add_column(heading, justify="right")
    table.add_column("interval")
    table.add_column("most often taken for", overflow="fold")
    for k in worst:
        each, row = figures.per_class[k], figures.confusion[k].copy()
        row[k] = 0
        wrong = int(row.argmax())
        taken = f"{figures.class_names[wrong]} ({row[wrong]:,})" if row[wrong] else ""
        table.add_row(
            _name(figures.class_names[k]),
            f"{each.count:,}",
            f"{each.value:.1%}",
            _interval(each.low, each.high),
            _name(taken),
        )
    lines = ["By true class", *_rendered(table)]
    if len(figures.class_names) > MOST_CLASSES:
        return lines
    matrix = Table(box=None, pad_edge=False)
    matrix.add_column("", overflow="fold")
    for k in range(len(figures.class_names)):
        matrix.add_column(str(k), justify="right")
    for k, (name, row) in enumerate(zip(figures.class_names, figures.confusion, strict=True)):
        matrix.add_row(_name(f"{k} {name}"), *(f"{cell}" if cell else "." for cell in row))
    return [*lines, "", "Confusion: true class down, predicted across", *_rendered(matrix)]


def _rendered(table: Table) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=WIDTH, force_terminal=False, color_system=None).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def _name(text: str) -> Text:
    return Text(printable(text))


def _interval(low: float, high: float) -> str:
    return f"{low:.1%} to {high:.1%}"


def _points(low: float, high: float) -> str:
    return f"{100 * low:+.1f} to {100 * high:+.1f}"
