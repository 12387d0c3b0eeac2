"""The drawings of the paper's Figures 2 to 6: arrays in, matplotlib figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from labelclean.report.figures import INK, MUTED, new_figure, written

Floats = NDArray[np.float64]
CLEAN, NOISY = "#2f6fb3", "#e07b26"  # blue and orange, as in the paper
GRID = 400  # points of a gradient map along each side
MOST_POINTS = 4_000  # of a scatter: more hide each other
BINS = 25
N_MAX = (0, 1, 2, 3)
# apart for the colour-blind, in this order; then again with another line
COLOURS = ("#d1495b", "#2f6690", "#edae49", "#3a7d44", "#8e6c8a", "#222222")
LINES = ("-", "--", ":")
NAME = 24  # columns of a name


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Predictions of a network on some rows.

    title
    p_given   (n,)  p_y
    p_other   (n,)  p of the largest other class, p_ȳmax
    is_noisy  (n,)
    """

    title: str
    p_given: Floats
    p_other: Floats
    is_noisy: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line with its spread: x, mean, std (k,)."""

    name: str
    x: Floats
    mean: Floats
    std: Floats


def gradient_size(p_given: Floats, p_other: Floats, *, is_plus: bool) -> Floats:
    """|∂L/∂f_y| of NL (paper Eq. 3) or NL+ (Eq. 6) where ȳ is the largest other class.

    p_other p_given / (1 - p_other), or p_other p_given; shapes broadcast. NaN where the two
    exceed 1 together.
    """
    possible = p_given + p_other <= 1 + 1e-12
    weight = np.ones_like(p_other) if is_plus else 1 / np.maximum(1 - p_other, 1e-12)
    size: Floats = np.where(possible, np.minimum(p_other * p_given * weight, 1.0), np.nan)
    return size


def pl_plus_gradient_size(p_predicted: Floats, n_max: int) -> Floats:
    """|∂L/∂f_ŷ| of PL+, paper Eq. 8: 1 - p^(2^(N+1)). N = -1 is cross-entropy."""
    size: Floats = 1 - p_predicted ** (2 ** (n_max + 1))
    return size


def draw_pl_plus() -> Figure:
    """Figure 3 (c): the gradient of PL+ for N = 0 to 3, beside that of cross-entropy."""
    figure = new_figure(4.6, 3.4)
    axes = figure.subplots()
    p = np.linspace(0, 1, GRID)
    axes.plot(p, pl_plus_gradient_size(p, -1), color=MUTED, linestyle="--", label="cross-entropy")
    for n_max, shade in zip(N_MAX, np.linspace(0.35, 1, len(N_MAX)), strict=True):
        size = pl_plus_gradient_size(p, n_max)
        axes.plot(p, size, color=CLEAN, alpha=float(shade), label=f"PL+, N = {n_max}")
    axes.set(xlim=(0, 1), ylim=(0, 1.05))
    axes.set_xlabel(r"$p_{\hat{y}}$", parse_math=True)
    axes.set_ylabel(r"$|\partial L\,/\,\partial f_{\hat{y}}|$", parse_math=True)
    axes.grid()
    axes.legend(loc="lower left")
    return figure


def draw_gradient_maps() -> Figure:
    """Figure 2 (a) and (e): the gradient of NL and of NL+ over (p_y, p_ȳmax)."""
    figure = new_figure(7.4, 3.4)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, is_plus in zip(panels, (False, True), strict=True):
        _map(axes, is_plus=is_plus, strength=1.0)
        _probability_axes(axes)
        axes.set_title("NL+ (Eq. 6)" if is_plus else "NL (Eq. 3)")
    _bar(figure, list(panels))
    return figure


def draw_clouds(rows: Sequence[tuple[bool, Sequence[Cloud | None]]]) -> Figure:
    """Figure 2: for each row a gradient map, and the training data after that loss.

    rows  (whether the loss is NL+, clouds of the columns; None: no such run)
    """
    columns = 1 + max(len(clouds) for _, clouds in rows)
    figure = new_figure(2.1 * columns + 0.4, 2.55 * len(rows))
    panels = figure.subplots(len(rows), columns, squeeze=False)
    for (is_plus, clouds), line in zip(rows, panels, strict=True):
        _map(line[0], is_plus=is_plus, strength=1.0)
        _probability_axes(line[0])
        line[0].set_title("gradient of NL+" if is_plus else "gradient of NL")
        for axes, cloud in zip(line[1:], clouds, strict=True):
            if cloud is None:
                axes.set_axis_off()
                continue
            _scatter(axes, cloud)
            _probability_axes(axes)
            axes.set_ylabel("")
            axes.set_title(written(cloud.title, NAME))
    _bar(figure, [panels[-1][0]], location="bottom")
    _clean_and_noisy(figure)
    return figure


def draw_class(clouds: Sequence[tuple[bool, Cloud]], class_name: str) -> Figure:
    """Figure 6: the rows given one label on the gradient map, and the histogram of p_y below.

    clouds  (whether the map is that of NL+, cloud) of each method
    """
    figure = new_figure(2.6 * len(clouds) + 0.6, 5.0)
    panels = figure.subplots(2, len(clouds), squeeze=False, height_ratios=(1.25, 1))
    highest = 0.0
    for (is_plus, cloud), upper, lower in zip(clouds, *panels, strict=True):
        _map(upper, is_plus=is_plus, strength=0.6)
        _scatter(upper, cloud)
        _probability_axes(upper)
        upper.set_title(written(cloud.title, NAME))
        highest = max(highest, _histogram(lower, cloud))
        if upper is not panels[0][0]:
            upper.set_ylabel("")
    for lower in panels[1]:
        lower.set_ylim(0, 1.05 * max(highest, 1))
    panels[1][0].set_ylabel(f"images labelled {written(class_name, NAME)}")
    _clean_and_noisy(figure)
    return figure


def draw_curves(
    curves: Sequence[Curve], *, y_label: str, title: str, level: float | None, level_name: str
) -> Figure:
    """Figure 4: one line for each method over the epochs; a dashed line at a level."""
    figure = new_figure(6.2, 3.6)
    axes = figure.subplots()
    if level is not None:
        axes.axhline(level, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), label=level_name)
    for number, curve in enumerate(curves):
        _line(axes, curve, number, marker="")
    axes.set_xlabel("epoch")
    axes.set_ylabel(y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_title(title)
    axes.grid()
    axes.margins(x=0.02)
    axes.legend(loc="lower right")
    return figure


def draw_over_noise(panels: Mapping[str, Mapping[str, Sequence[Curve]]]) -> Figure:
    """Figure 5: average precision over the noise rate.

    panels  title of a row -> title of a column -> a line for each method
    """
    columns = max(len(line) for line in panels.values())
    figure = new_figure(3.3 * columns + 1.6, 2.7 * len(panels))
    grid = figure.subplots(len(panels), columns, squeeze=False, sharey="row")
    names = list(
        dict.fromkeys(
            curve.name for line in panels.values() for curves in line.values() for curve in curves
        )
    )
    for (row, line), all_axes in zip(panels.items(), grid, strict=True):
        for (column, curves), axes in zip(line.items(), all_axes, strict=True):
            for curve in curves:
                _line(axes, curve, names.index(curve.name), marker="o")
            axes.set_title(column)
            rates = sorted({float(rate) for curve in curves for rate in curve.x})
            axes.set_xticks(rates, [f"{rate:.0%}" for rate in rates])
            axes.set_xlabel("noise rate")
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.grid()
        all_axes[0].set_ylabel(row)
    handles = {
        written(str(line.get_label()), NAME): line
        for axes in grid.flat
        for line in axes.get_lines()
    }
    shown = [written(name, NAME) for name in names]
    figure.legend([handles[name] for name in shown], shown, loc="outside right center")
    return figure


def _map(axes: Axes, *, is_plus: bool, strength: float) -> None:
    places = np.linspace(0, 1, GRID)
    size = gradient_size(places[None, :], places[:, None], is_plus=is_plus)
    axes.imshow(
        size,
        origin="lower",
        extent=(0, 1, 0, 1),
        cmap="YlOrBr",
        vmin=0,
        vmax=1,
        alpha=strength,
        interpolation="bilinear",
    )


def _bar(figure: Figure, axes: list[Axes], location: str = "right") -> None:
    bar = figure.colorbar(axes[0].images[0], ax=axes, location=location, shrink=0.9, aspect=25)
    bar.set_label(r"$|\partial L\,/\,\partial f_y|$", parse_math=True)


def _probability_axes(axes: Axes) -> None:
    axes.plot([0, 1], [1, 0], color=MUTED, linewidth=0.7)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xticks((0, 0.5, 1), ("0", "0.5", "1"))
    axes.set_yticks((0, 0.5, 1), ("0", "0.5", "1"))
    axes.set_xlabel(r"$p_y$", parse_math=True)
    axes.set_ylabel(r"$p_{\bar{y}\,\mathrm{max}}$", parse_math=True)


def _scatter(axes: Axes, cloud: Cloud) -> None:
    """Points in random order, so that neither colour covers the other."""
    order = np.random.default_rng(0).permutation(len(cloud.p_given))[:MOST_POINTS]
    colours = np.where(cloud.is_noisy[order], NOISY, CLEAN)
    axes.scatter(
        cloud.p_given[order],
        cloud.p_other[order],
        s=2.5,
        c=colours.tolist(),
        alpha=0.45,
        linewidths=0,
        rasterized=True,
        clip_on=False,  # whole points in the corners, where most of them are
    )


def _histogram(axes: Axes, cloud: Cloud) -> float:
    """Returns the highest count."""
    edges = np.linspace(0, 1, BINS + 1)
    highest = 0.0
    for chosen, colour in ((~cloud.is_noisy, CLEAN), (cloud.is_noisy, NOISY)):
        counts, _ = np.histogram(cloud.p_given[chosen], edges)
        axes.bar(edges[:-1], counts, width=0.93 / BINS, align="edge", color=colour, alpha=0.6)
        highest = max(highest, float(counts.max()))
    axes.set_xlim(0, 1)
    axes.set_xlabel(r"$p_y$", parse_math=True)
    axes.grid(axis="y")
    return highest


def _clean_and_noisy(figure: Figure) -> None:
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=5, linestyle="", label=words)
        for colour, words in ((CLEAN, "given label right"), (NOISY, "given label wrong"))
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, labelcolor=INK)


def _line(axes: Axes, curve: Curve, number: int, *, marker: str) -> None:
    colour = COLOURS[number % len(COLOURS)]
    line = LINES[number // len(COLOURS) % len(LINES)]
    label = written(curve.name, NAME)
    (drawn,) = axes.plot(curve.x, curve.mean, line, color=colour, linewidth=1.5, label=label)
    drawn.set(marker=marker, markersize=3.5)
    if np.any(curve.std > 0):
        low, high = curve.mean - curve.std, curve.mean + curve.std
        axes.fill_between(curve.x, low, high, color=colour, alpha=0.15, linewidth=0)
