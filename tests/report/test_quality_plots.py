"""The plots: which there are, what they show, whole or not at all."""

from __future__ import annotations

import io
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from labelclean.report import quality_plots as plots
from labelclean.report.judged import judged_rows
from labelclean.report.quality import evaluate


def rows_of(n=300, **changed):
    rng = np.random.default_rng(0)
    noisy = rng.random(n) < 0.3
    score = np.where(noisy, rng.beta(1, 3, n), rng.beta(3, 1, n))
    columns = {
        "given_label": np.where(noisy, "b", "a"),
        "is_label_issue": score < 0.4,
        "label_score": score,
        "issue_probability": 1 - score,
    }
    frame = pd.DataFrame({k: v for k, v in (columns | changed).items() if v is not None})
    return judged_rows(frame, ["a"] * n)


@pytest.fixture
def figures(monkeypatch) -> list[Figure]:
    """The figures as they are drawn."""
    drawn = []
    save = Figure.savefig

    def remembered(self: Figure, *args, **options):
        drawn.append(self)
        return save(self, *args, **options)

    monkeypatch.setattr(Figure, "savefig", remembered)
    return drawn


def draw(rows):
    return plots.quality_plots(rows, evaluate(rows, bootstrap=3))


def test_three_images_that_are_no_blank_paper_and_the_same_each_time():
    first, second = draw(rows_of()), draw(rows_of())
    assert set(first) == set(plots.NAMES) and first == second
    for data in first.values():
        image = Image.open(io.BytesIO(data)).convert("L")
        assert min(image.size) > 700
        assert np.asarray(image).std() > 10


def test_the_curves_have_the_areas_of_both_average_precisions(figures):
    rows = rows_of()
    quality = evaluate(rows)
    plots.quality_plots(rows, quality)
    axes = figures[0].axes[0]
    curves = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    areas = []
    for line in curves:
        recall, precision = (np.asarray(x) for x in line.get_data())
        assert recall[0] == 1 and recall[-1] == 0  # from the last row to the first
        areas.append(float(-(np.diff(recall) * precision[:-1]).sum()))
    expected = [quality.average_precision.value, quality.average_precision_clean.value]
    assert areas == pytest.approx(expected, abs=0.01)
    (point,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert [float(x[0]) for x in point.get_data()] == pytest.approx(
        [quality.recall.value, quality.precision.value]
    )


def test_the_histograms_count_right_and_wrong_labels_apart(figures):
    rows = rows_of()
    draw(rows)
    upper = figures[1].axes[0]
    words = [text.get_text() for text in upper.get_legend().get_texts()]
    wrong = int(rows.is_noisy.sum())
    assert words == [f"right labels ({300 - wrong})", f"wrong labels ({wrong})"]
    blue, _, orange, _ = upper.patches
    for patch, score in (
        (blue, rows.label_score[~rows.is_noisy]),
        (orange, rows.label_score[rows.is_noisy]),
    ):
        heights = patch.get_xy()[1 : 2 * plots.BINS : 2, 1]
        np.testing.assert_array_equal(heights, np.histogram(score, plots.BINS, (0, 1))[0])


def test_no_number_is_left_as_mathematics(figures):
    for data in (rows_of(40), rows_of(300)):
        draw(data)
    for axes in (axes for figure in figures for axes in figure.axes):
        for axis in (axes.xaxis, axes.yaxis):
            assert not any("$" in text.get_text() for text in axis.get_ticklabels(which="both"))


def test_the_diagram_shows_the_share_of_wrong_labels_in_each_bin(figures):
    rows = rows_of()
    draw(rows)
    upper, lower = figures[2].axes
    said, found = (np.asarray(x) for x in upper.containers[0].lines[0].get_data())
    bins = np.minimum((rows.issue_probability * 15).astype(int), 14)
    present = np.unique(bins)
    shares = [rows.is_noisy[bins == k].mean() for k in present]
    np.testing.assert_allclose(found, shares)
    np.testing.assert_allclose(said, [rows.issue_probability[bins == k].mean() for k in present])
    assert sum(bar.get_height() for bar in lower.patches) == 300


def test_only_what_the_report_has_is_drawn():
    assert set(draw(rows_of(issue_probability=None))) == {plots.PRECISION_RECALL, plots.HISTOGRAMS}
    assert set(draw(rows_of(label_score=None))) == {plots.RELIABILITY}
    assert set(draw(rows_of(is_label_issue=None))) == set(plots.NAMES)
    assert set(draw(rows_of(given_label="a"))) == {plots.HISTOGRAMS, plots.RELIABILITY}
    assert set(draw(rows_of(given_label="b"))) == {plots.HISTOGRAMS, plots.RELIABILITY}
    assert draw(rows_of(label_score=np.nan)) == {}


def test_scores_beyond_0_to_1_are_all_in_the_histograms(figures):
    rows = rows_of(label_score=np.linspace(-8, 5, 300))
    draw(rows)
    assert figures[1].axes[0].get_xlim() == (-8, 5)


def test_settings_of_the_caller_stay_and_no_window_is_opened():
    def settings():  # looking up the backend would itself load pyplot
        return {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}

    before = settings()
    draw(rows_of())
    assert settings() == before
    assert "matplotlib.pyplot" not in sys.modules
