"""The quality of a report as plots: precision and recall, reliability, scores as paper Fig. 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter, StrMethodFormatter
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from labelclean.report import metrics
from labelclean.report.figures import (
    MUTED,
    RIGHT,
    WRONG,
    encode_png,
    new_figure,
    paper_style,
)
from labelclean.report.judged import JudgedRows
from labelclean.report.metrics import Flags, Floats
from labelclean.report.quality import Estimate, Quality

PRECISION_RECALL, HISTOGRAMS, RELIABILITY = NAMES = (
    "precision_recall.png",
    "score_histograms.png",
    "reliability.png",
)
Draw = Callable[[Figure, Floats, Flags, Quality], None]  # values, is_noisy
BINS = 50  # of the histograms


def quality_plots(rows: JudgedRows, quality: Quality) -> dict[str, bytes]:
    """PNG files by name, those that the report has the columns for and that have a meaning.

    quality  of these rows
    """
    score, probability, is_noisy = rows.label_score, rows.issue_probability, rows.is_noisy
    drawn: dict[str, bytes] = {}
    if not len(rows):
        return drawn
    with paper_style():
        if score is not None and is_noisy.any() and not is_noisy.all():
            drawn[PRECISION_RECALL] = _png(_draw_precision_recall, score, is_noisy, quality)
        if score is not None:
            drawn[HISTOGRAMS] = _png(_draw_score_histograms, score, is_noisy, quality)
        if probability is not None:
            drawn[RELIABILITY] = _png(_draw_reliability, probability, is_noisy, quality)
    return drawn


def _png(draw: Draw, values: Floats, is_noisy: Flags, quality: Quality) -> bytes:
    figure = new_figure(6.4, 5.2)
    draw(figure, values, is_noisy, quality)
    for axes in figure.axes:
        axes.grid()
    return encode_png(figure)


def _draw_precision_recall(
    figure: Figure, score: Floats, is_noisy: Flags, quality: Quality
) -> None:
    axes = figure.add_subplot()
    for positive, suspicion, colour, words, area in (
        (is_noisy, -score, WRONG, "wrong labels", quality.average_precision),
        (~is_noisy, score, RIGHT, "right labels", quality.average_precision_clean),
    ):
        precision, recall, _ = precision_recall_curve(positive, suspicion, drop_intermediate=True)
        label = f"{words} as positive: AP {_with_interval(area)}"
        axes.plot(recall, precision, color=colour, drawstyle="steps-post", lw=2, label=label)
        base = float(positive.mean())
        axes.axhline(base, color=colour, lw=1, ls=(0, (4, 3)), alpha=0.7)
    axes.plot([], [], color=MUTED, lw=1, ls=(0, (4, 3)), label="share of them: what chance gives")
    if quality.precision.value == quality.precision.value:
        axes.plot(
            quality.recall.value, quality.precision.value, "o", ms=9, mfc="white", mec=WRONG, mew=2,
            label=f"the verdict: F1 {_with_interval(quality.f1)}", zorder=5,
        )  # fmt: skip
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.03))
    axes.set_title(f"Ranking of {quality.rows:,} labels, {quality.wrong_labels:,} of them wrong")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=1)


def _draw_reliability(
    figure: Figure, probability: Floats, is_noisy: Flags, quality: Quality
) -> None:
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    bins = metrics.calibration_bins(probability, is_noisy)
    filled = bins.rows > 0
    counts, said, wrong = bins.rows[filled], bins.probability[filled], bins.noisy[filled]
    low, high = _wilson(wrong, counts)
    upper.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (4, 3)), label="perfectly calibrated")
    upper.errorbar(
        said, wrong, yerr=np.maximum([wrong - low, high - wrong], 0), fmt="o-", color=WRONG, lw=1.5,
        ms=5, ecolor=WRONG, elinewidth=1, capsize=2, label="labels, with 95 % interval",
    )  # fmt: skip
    upper.set(ylabel="share that is wrong", xlim=(0, 1), ylim=(-0.02, 1.02))
    upper.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    upper.set_title(
        f"Calibration error {_with_interval(quality.expected_calibration_error)}, "
        f"Brier score {quality.brier.value:.3f}"
    )
    edges = np.linspace(0, 1, metrics.NUM_BINS + 1)
    lower.bar(edges[:-1], bins.rows, np.diff(edges), align="edge", color=MUTED, ec="white")
    lower.set(xlabel="issue probability", ylabel="labels", yscale="log", ylim=(0.7, None))
    _count_along(lower.yaxis)
    lower.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    upper.legend(loc="upper left")


def _draw_score_histograms(
    figure: Figure, score: Floats, is_noisy: Flags, quality: Quality
) -> None:
    low, high = min(0.0, float(score.min())), max(1.0, float(score.max()))
    edges = np.linspace(low, high, BINS + 1)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes in (upper, lower):
        for values, colour, words in (
            (score[~is_noisy], RIGHT, "right labels"),
            (score[is_noisy], WRONG, "wrong labels"),
        ):
            label = f"{words} ({len(values):,})"
            axes.hist(values, edges, color=colour, alpha=0.55, label=label, histtype="stepfilled")
            axes.hist(values, edges, color=colour, lw=1.2, histtype="step")
    upper.set(ylabel="labels", xlim=(low, high))
    lower.set(xlabel="label score: low is suspicious", ylabel="labels, logarithmic", yscale="log")
    for axes in (upper, lower):
        _count_along(axes.yaxis)
    lower.set_ylim(bottom=0.7)
    upper.set_title(f"Scores of {quality.rows:,} labels, {quality.wrong_labels:,} of them wrong")
    upper.legend(loc="best")


def _count_along(axis: Axis) -> None:
    """Plain numbers, also where the scale, which is set before, is logarithmic."""
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axis.set_minor_formatter(NullFormatter())


def _with_interval(estimate: Estimate) -> str:
    text = f"{estimate.value:.3f}"
    return text if estimate.low is None else f"{text} ({estimate.low:.3f} to {estimate.high:.3f})"


def _wilson(share: Floats, count: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """95 % score interval of a share of count trials."""
    z = 1.959964
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return middle - half, middle + half
