"""The figures: their counts, names of any kind without a warning, and reports with nothing."""

from __future__ import annotations

import io
import sys
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from report_data import meta_of
from rich.cells import cell_len

from labelclean.report import plots
from labelclean.report.figures import encode_png, lacks_fonts, paper_style, shortened, written
from labelclean.report.report import COLUMNS, Report

HOSTILE = (
    "猫の名前がとても長い場合" * 3,
    "😀👨\u200d👩\u200d👧",
    "$x^2$ \\frac{1}{0}",
    "$",
    "a\nb\x1b[31m",
    "\u202eevil",
    "\udcff",
    "قطة",
    "_^{",
    "<script>",
)


def report_of(count=60, names=("cat", "cow", "dog"), training=(), issue_share=0.3, seed=0):
    rng = np.random.default_rng(seed)
    given = rng.integers(0, len(names), count)
    is_issue = np.arange(count) < issue_share * count
    suggested = np.where(is_issue, (given + 1 + rng.integers(0, 2, count)) % len(names), given)
    probability = np.where(is_issue, 0.9, 0.05) + rng.random(count) / 100
    meta = meta_of(class_names=names, training=training)
    cells = {
        "image": [f"{k}.png" for k in range(count)],
        "given_label": [names[k] for k in given],
        "suggested_label": [names[k] for k in suggested],
        "is_label_issue": is_issue.tolist(),
        "label_score": (1 - probability).tolist(),
        "issue_probability": probability.tolist(),
        "suggested_probability": probability.tolist(),
        "second_label": [names[0]] * count,
        "margin": probability.tolist(),
        "status": ["ok"] * count,
    }
    columns = {name: cells[name] for name in COLUMNS if name in cells}
    return Report.from_columns(columns, meta)


def tiles(count, shape=(12, 9, 3)):
    return [plots.Tile(pixels=np.full(shape, 90, np.uint8), row=row) for row in range(count)]


def size_of(figure):
    return Image.open(io.BytesIO(encode_png(figure))).size


def test_no_name_causes_a_warning_or_a_stop():  # warnings are errors here
    report = report_of(200, HOSTILE, training=({"epoch": 1, "loss": 0.5},))
    with paper_style():
        for figure in (
            plots.plot_scores(report),
            plots.plot_pairs(report),
            plots.plot_classes(report),
            plots.plot_sheet(report, tiles(20)),
            plots.plot_training(report),
        ):
            assert figure is not None
            assert min(size_of(figure)) > 200


def test_names_are_written_with_escapes_for_what_is_no_letter_of_any_font():
    assert written("naïve café", 20) == "naïve café"
    assert written("a\nb\x1b\udcff\u202e", 40) == r"a\nb\x1b\udcff\u202e"
    assert written("\U0010fffd", 20) == r"\U0010fffd"  # of private use
    assert written("\u0378", 20) == r"\u0378"  # assigned to nothing
    assert not lacks_fonts(["naïve", "a\n"])
    assert lacks_fonts(["cat", "\u0e83\U00012000"])  # cuneiform


def test_dollar_signs_are_letters_and_no_formula():
    report = report_of(names=("$a_1$", "b", "c"))
    with paper_style():
        figure = plots.plot_pairs(report)
        assert figure is not None
        label = figure.axes[0].get_xticklabels()[0]
        assert label.get_text() == "$a_1$" and not label.get_parse_math()


@pytest.mark.parametrize("most", [3, 8, 18])
@pytest.mark.parametrize("name", ["a" * 40, "猫" * 40, "ab猫" * 20, "short", "猫"])
def test_long_names_are_cut_in_the_middle_to_their_width(name, most):
    cut = shortened(name, most)
    assert cell_len(cut) <= most
    if cell_len(name) <= most:
        assert cut == name
    else:
        head, _, tail = cut.partition("…")
        assert name.startswith(head) and name.endswith(tail)
        assert cell_len(cut) >= most - 2


def test_the_matrix_holds_the_issues_by_given_and_suggested_label():
    report = report_of(300)
    issues = report.frame[report.frame["is_label_issue"]]
    pairs = Counter(zip(issues["given_label"], issues["suggested_label"], strict=True))
    with paper_style():
        figure = plots.plot_pairs(report)
    assert figure is not None
    drawn = np.ma.filled(figure.axes[0].get_images()[0].get_array(), 0)
    names = report.meta.class_names
    for y, given in enumerate(names):
        for x, suggested in enumerate(names):
            assert drawn[y, x] == pairs[given, suggested] * (given != suggested)
    texts = Counter(text.get_text() for text in figure.axes[0].texts)
    assert texts == Counter(str(pairs[pair]) for pair in pairs if pair[0] != pair[1])


def test_a_pair_of_one_label_or_of_unknown_labels_is_none():
    counts = plots.pair_counts(["a", "a", "x", "a"], ["a", "b", "a", "x"], ["a", "b"])
    assert counts.tolist() == [[0, 1], [0, 0]]


def test_a_matrix_of_a_hundred_classes_names_them_all_and_grows():
    few, many = report_of(600), report_of(3000, tuple(f"class {k}" for k in range(100)))
    with paper_style():
        small, large = plots.plot_pairs(few), plots.plot_pairs(many)
        assert small is not None and large is not None
        labels = [label.get_text() for label in large.axes[0].get_yticklabels()]
        assert labels == list(many.meta.class_names)
        assert min(large.get_size_inches()) > 1.7 * max(small.get_size_inches())


def test_of_more_classes_than_can_be_named_those_with_most_issues_are_shown():
    counts = np.zeros((5, 5), dtype=np.int64)
    counts[4, 1] = 7
    counts[2, 0] = 3
    assert plots.most_involved(counts, 3).tolist() == [0, 1, 4]
    report = report_of(4000, tuple(f"class {k}" for k in range(150)))
    with paper_style():
        figure = plots.plot_pairs(report)
    assert figure is not None
    assert len(figure.axes[0].get_yticklabels()) == 100
    assert "the 100 of 150 classes with the most" in figure.axes[0].get_title("left")


def test_every_class_has_its_expected_share_and_its_counts_the_worst_first():
    report = report_of(90)
    frame = report.frame
    with paper_style():
        figure = plots.plot_classes(report)
    assert figure is not None
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    means = {name: frame[frame["given_label"] == name]["issue_probability"] for name in names}
    assert names == sorted(names, key=lambda name: -means[name].mean())
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([means[name].mean() for name in names])
    texts = [text.get_text() for text in axes.texts]
    for name in names:
        flagged = frame[(frame["given_label"] == name) & frame["is_label_issue"]]
        assert f"{len(flagged)} of {len(means[name])}" in texts


def test_the_histogram_counts_every_judged_image_once():
    report = report_of(77)
    with paper_style():
        figure = plots.plot_scores(report)
    assert figure is not None
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 77


def test_the_sheet_shows_given_and_suggested_label_under_each_image():
    report = report_of(names=("x" * 60, "y", "z"))
    with paper_style():
        figure = plots.plot_sheet(report, tiles(11))
        assert figure is not None
        assert len(figure.axes) == 11
        texts = [text.get_text().removeprefix("\u200e") for text in figure.texts]
        for row in range(11):
            cells = report.frame.iloc[row]
            assert written(cells["given_label"], plots.NAME) in texts
            assert f"→ {written(cells['suggested_label'], plots.NAME - 2)}" in texts
        assert max(map(len, texts[:-1])) <= plots.NAME
        two_rows = size_of(figure)
        one = plots.plot_sheet(report, tiles(1, (300, 200, 3)))
        assert one is not None and size_of(one)[1] < two_rows[1]


def test_the_curves_skip_what_is_no_finite_number():
    training = (
        {"epoch": 1, "loss": 2.0, "lr": "high"},
        {"epoch": 2, "loss": None},
        {"epoch": 3, "loss": 1.0},
    )
    epochs, values = plots.curve(report_of(training=training).meta.training, "loss")
    assert (epochs.tolist(), values.tolist()) == ([1, 3], [2, 1])
    with paper_style():
        figure = plots.plot_training(report_of(training=training))
    assert figure is not None and len(figure.axes) == 1  # no disagreement, no learning rate


def test_what_is_not_there_is_not_drawn():
    nothing = report_of(0)
    calm = report_of(20, issue_share=0)
    with paper_style():
        assert plots.plot_scores(nothing) is plots.plot_classes(nothing) is None
        assert plots.plot_pairs(calm) is plots.plot_sheet(calm, []) is None
        assert plots.plot_training(calm) is None


def test_the_users_own_style_changes_nothing_and_stays():
    import matplotlib

    report = report_of()
    drawn = []
    for size, colour in ((9.0, "white"), (31.0, "red")):
        with matplotlib.rc_context({"font.size": size, "axes.facecolor": colour}):
            with paper_style():
                figure = plots.plot_scores(report)
                assert figure is not None
                drawn.append(encode_png(figure))
            assert matplotlib.rcParams["font.size"] == size
    assert drawn[0] == drawn[1]
    assert "matplotlib.pyplot" not in sys.modules
