"""The figures of a report: probabilities, mixed-up pairs, classes, worst images, training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter
from numpy.typing import NDArray

from labelclean.report.figures import (
    ACCENT,
    FAINT,
    INK,
    MUTED,
    RIGHT,
    WRONG,
    new_figure,
    written,
)
from labelclean.report.matrices import NAME, NUMBERED, most_involved, name_classes, write_counts
from labelclean.report.report import Report

BINS = 50
MOST_CLASSES = 100  # in one figure: beyond, names cannot be read
FAR = 45  # classes beyond which the matrix needs its names at both edges
ACROSS = 8  # images in a row of the sheet
SHEET = ACROSS * 8
IMAGE, CELL, DOWN, HEAD = 1.2, 1.3, 1.72, 0.4  # inches: an image, its place, the headline


@dataclass(frozen=True, kw_only=True)
class Tile:
    """An image of the sheet: pixels (h, w, 3), and the row of the report that it belongs to."""

    pixels: NDArray[np.uint8]
    row: int


def plot_scores(report: Report) -> Figure | None:
    """How many images look how wrong; None where none is judged."""
    frame = report.frame[report.frame["issue_probability"].notna()]
    if frame.empty:
        return None
    is_issue = frame["is_label_issue"].to_numpy()
    probability = frame["issue_probability"].to_numpy()
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    edges = np.linspace(0, 1, BINS + 1)
    for chosen, colour, words in (
        (~is_issue, RIGHT, "look right"),
        (is_issue, WRONG, "look wrong"),
    ):
        label = f"{words}: {int(chosen.sum()):,} images"
        axes.hist(probability[chosen], bins=edges.tolist(), color=colour, label=label, rwidth=0.9)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("probability that the given label is wrong")
    axes.set_ylabel("images (logarithmic)")
    low, high = report.meta.noise_rate_interval
    rate = f"{report.meta.noise_rate:.1%} ({low:.1%} to {high:.1%})"
    axes.set_title(f"Estimated share of wrong labels: {rate}")
    axes.legend(loc="upper center")
    return figure


def plot_pairs(report: Report) -> Figure | None:
    """Issues by given and suggested label; None where there is none."""
    issues = report.frame[report.frame["is_label_issue"]]
    counts = pair_counts(
        issues["given_label"].tolist(), issues["suggested_label"].tolist(), report.meta.class_names
    )
    if not counts.any():
        return None
    names = report.meta.class_names
    kept = most_involved(counts, MOST_CLASSES)
    shown = counts[np.ix_(kept, kept)]
    side = max(4.5, min(0.42 * len(kept), max(6.3, 0.115 * len(kept))))
    figure = new_figure(side + 1.8, side + 1.2)
    axes = figure.subplots()
    _draw_matrix(figure, axes, shown)
    size = 9 if len(kept) <= NUMBERED else 7 if len(kept) <= FAR else 6
    name_classes(axes, [names[k] for k in kept], size)
    axes.set_xlabel("suggested label")
    axes.set_ylabel("given label")
    title = f"{int(counts.sum()):,} labels look wrong"
    if len(kept) < len(names):
        title += f": the {len(kept)} of {len(names):,} classes with the most ({shown.sum():,})"
    axes.set_title(title)
    return figure


def pair_counts(
    given: Sequence[str], suggested: Sequence[str], names: Sequence[str]
) -> NDArray[np.int64]:
    """Pairs (c, c), row: given, column: suggested; those of other names are left out."""
    index = {name: k for k, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    for one, other in zip(given, suggested, strict=True):
        if one in index and other in index and one != other:
            counts[index[one], index[other]] += 1
    return counts


def _draw_matrix(figure: Figure, axes: Axes, counts: NDArray[np.int64]) -> None:
    largest = int(counts.max())
    scale: Normalize = Normalize(0, largest)
    if len(counts) > NUMBERED and largest > 1:
        scale = LogNorm(1, largest)  # single ones must be seen beside hundreds
    image = axes.imshow(
        np.ma.masked_equal(counts, 0), cmap=_colours(), norm=scale, interpolation="nearest"
    )
    axes.spines[:].set_visible(True)
    axes.set_xticks(np.arange(len(counts) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(counts) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=FAINT, linewidth=0.5 if len(counts) <= 30 else 0.3)
    axes.tick_params(which="both", length=0)
    if len(counts) <= NUMBERED:
        write_counts(axes, counts, is_dark=counts > 0.6 * largest)
    else:
        bar = figure.colorbar(image, ax=axes, shrink=0.5, aspect=30, pad=0.01)
        round_numbers = [digit * 10**power for power in range(9) for digit in (1, 2, 5)]
        ticks = [number for number in round_numbers if number <= largest]
        bar.set_ticks(ticks, labels=[f"{number:,}" for number in ticks])
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
        bar.set_label("images (logarithmic)" if largest > 1 else "images")
        axes.tick_params(labeltop=len(counts) > FAR)


def _colours() -> LinearSegmentedColormap:
    """Without the palest: a single image must be seen on white."""
    shades = colormaps["YlOrBr"](np.linspace(0.18, 1, 256))
    return LinearSegmentedColormap.from_list("counts", shades)


def plot_classes(report: Report) -> Figure | None:
    """Expected share of wrong labels among the images of each label; None where none is judged."""
    frame = report.frame[report.frame["issue_probability"].notna()]
    if frame.empty:
        return None
    classes = class_noise(
        frame["given_label"].tolist(),
        frame["issue_probability"].tolist(),
        frame["is_label_issue"].tolist(),
    )
    worst = classes[:MOST_CLASSES]
    figure = new_figure(6.4, 1.3 + 0.21 * max(len(worst), 3))
    axes = figure.subplots()
    places = np.arange(len(worst))
    axes.barh(places, [each.noise for each in worst], color=WRONG, height=0.72)
    axes.axvline(report.meta.noise_rate, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    counts = [f"{each.issues:,} of {each.images:,}" for each in worst]
    for place, (each, words) in enumerate(zip(worst, counts, strict=True)):
        _note(axes, f"{each.noise:.1%}", each.noise, place)
        _note_beside(axes, words, place, max(map(len, counts)))
    _note_beside(axes, "look wrong", -0.85, max(map(len, counts)))
    axes.set_yticks(places, [written(each.name, 2 * NAME) for each in worst])
    axes.set_ylim(len(worst) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, min(1.0, max(worst[0].noise * 1.25, 0.01)))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="x")
    axes.set_xlabel("expected share of wrong labels (dashed: of all images)")
    title = "Wrong labels by class"
    if len(worst) < len(classes):
        title += f": the worst {len(worst)} of {len(classes):,}"
    axes.set_title(title)
    return figure


@dataclass(frozen=True, kw_only=True)
class ClassNoise:
    """Images with one label: expected share of wrong ones, how many, how many issues."""

    name: str
    noise: float
    images: int
    issues: int


def class_noise(
    given: Sequence[str], probability: Sequence[float], is_issue: Sequence[bool]
) -> list[ClassNoise]:
    """The classes, the one with the largest share of wrong labels first."""
    rows: dict[str, list[int]] = {}  # no groupby: pandas cannot where a name is no UTF-8
    for row, name in enumerate(given):
        rows.setdefault(name, []).append(row)
    shares = [
        ClassNoise(
            name=name,
            noise=sum(probability[row] for row in own) / len(own),
            images=len(own),
            issues=sum(is_issue[row] for row in own),
        )
        for name, own in rows.items()
    ]
    return sorted(shares, key=lambda each: (-each.noise, each.name))


def _note(axes: Axes, words: str, x: float, y: float) -> None:
    """Small words on white, right of a place in the data."""
    axes.annotate(
        words,
        (x, y),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )


def _note_beside(axes: Axes, words: str, y: float, letters: int) -> None:
    """Small words in a column of that many letters, right of the axes."""
    axes.annotate(
        words,
        (1, y),
        xytext=(10 + 4.8 * letters, 0),  # points; 4.8: a letter's width at this size
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=8,
    )


def plot_sheet(report: Report, tiles: Sequence[Tile]) -> Figure | None:
    """Images with their given and suggested labels; None for no image."""
    if not tiles:
        return None
    down = -(-len(tiles) // ACROSS)
    width, height = CELL * ACROSS, DOWN * down + HEAD
    figure = new_figure(width, height)
    figure.set_layout_engine("none")  # every place is known
    for at, tile in enumerate(tiles):
        left, top = CELL * (at % ACROSS), height - HEAD - DOWN * (at // ACROSS)
        axes = figure.add_axes(
            (left / width, (top - IMAGE) / height, IMAGE / width, IMAGE / height), frame_on=False
        )
        axes.set_axis_off()
        axes.set_anchor("S")
        is_small = max(tile.pixels.shape) < 100
        axes.imshow(tile.pixels, interpolation="nearest" if is_small else "auto")
        _caption(figure, report, tile.row, left + IMAGE / 2, top - IMAGE)
    words = "image" if len(tiles) == 1 else f"{len(tiles)} images"
    figure.text(
        0,
        1 - HEAD / 2 / height,
        f"The most suspicious {words}: given label → suggested label, probability of being wrong",
        va="center",
        fontsize=11,
        fontweight="bold",
    )
    return figure


def _caption(figure: Figure, report: Report, row: int, x: float, y: float) -> None:
    """Three lines; x, y in inches: the middle of the image's lower edge."""
    cells = report.frame.iloc[row]
    width, height = figure.get_size_inches()
    lines = (
        (written(cells["given_label"], NAME), WRONG, 7.5),
        # The mark keeps the arrow at the left of names that are read from the right.
        (f"\u200e→ {written(cells['suggested_label'], NAME - 2)}", INK, 7.5),
        (f"{cells['issue_probability']:.1%}", MUTED, 6.5),
    )
    for number, (words, colour, size) in enumerate(lines):
        at = (y - 0.03 - 0.135 * number) / height
        figure.text(x / width, at, words, color=colour, fontsize=size, ha="center", va="top")


CURVES = (
    ("loss", "loss", ACCENT),
    ("disagreement", "disagree with\ntheir label", WRONG),
    ("lr", "learning rate", MUTED),
)


def plot_training(report: Report) -> Figure | None:
    """Loss, disagreement and learning rate by epoch; None where the report holds none of them."""
    curves = [
        (*curve(report.meta.training, key), words, colour, key) for key, words, colour in CURVES
    ]
    curves = [each for each in curves if len(each[0])]
    if not curves:
        return None
    figure = new_figure(6.4, 0.8 + 1.5 * len(curves))
    panels = figure.subplots(len(curves), 1, sharex=True, squeeze=False)
    for axes, (epochs, values, words, colour, key) in zip(panels.flat, curves, strict=True):
        axes.plot(
            epochs, values, color=colour, linewidth=1.4, marker="o" if len(epochs) < 40 else "",
            markersize=3,
        )  # fmt: skip
        axes.set_ylabel(words)
        axes.grid()
        axes.margins(x=0.02)
        if key == "disagreement":
            axes.yaxis.set_major_formatter(PercentFormatter(1))
        if key != "loss":
            axes.set_ylim(0, max(values.max() * 1.08, 1e-9))
    panels.flat[-1].set_xlabel("epoch")
    panels.flat[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels.flat[0].set_title("Training")
    figure.align_ylabels()
    return figure


def curve(
    training: Sequence[Mapping[str, object]], key: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Epochs and values (e,) of those epochs that have a finite value."""
    points = [(_number(epoch.get("epoch")), _number(epoch.get(key))) for epoch in training]
    points_array = np.array(points, dtype=np.float64).reshape(-1, 2)
    points_array = points_array[np.isfinite(points_array).all(axis=1)]
    return points_array[:, 0], points_array[:, 1]


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else np.nan
