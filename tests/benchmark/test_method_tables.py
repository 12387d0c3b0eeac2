"""The tables of a grid: mean, spread, best; the paper's figures; and no name that breaks a page."""

from __future__ import annotations

import html.parser
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from labelclean.benchmark import method_tables, published, rendering
from labelclean.benchmark.results import Row

Make = Callable[..., Row]

# Typed from the paper's page, apart from the files: method, then symm 20 40 60 80, asymm 10 to 40.
TABLE_1 = {
    "cifar10": """
        CE           83.95 67.58 43.55 17.32 91.39 87.67 82.73 76.37
        Co-teaching  91.08 88.08 80.96 21.13 94.20 93.24 90.67 70.20
        JoCoR        91.84 88.15 59.20 20.72 93.13 91.19 89.01 83.61
        NFL+RCE      90.50 85.16 70.77 19.67 92.35 89.66 84.92 78.30
        NCE+RCE      90.36 84.57 74.09 26.71 91.89 90.13 85.80 78.49
        NLNL         94.23 92.43 88.32 -     94.57 93.35 91.80 89.86
        Ours         93.53 91.89 88.45 35.65 94.22 93.45 92.47 90.72""",
    "cifar100": """
        CE           57.32 45.64 24.30 8.06  65.12 62.12 52.77 44.55
        Co-teaching  69.56 62.81 51.12 10.25 72.52 67.46 61.50 52.86
        JoCoR        71.75 63.96 37.84 7.32  72.01 65.05 56.63 45.14
        NFL+RCE      58.70 42.76 24.77 10.57 63.70 56.45 46.96 37.52
        NCE+RCE      57.41 43.75 25.87 9.94  64.24 56.48 47.17 36.40
        NLNL         71.52 66.39 56.51 -     70.35 63.12 54.87 45.70
        Ours         70.94 68.11 61.26 17.55 72.03 69.95 68.12 59.51""",
}
NOISES = "symm:0.2 symm:0.4 symm:0.6 symm:0.8 asymm:0.1 asymm:0.2 asymm:0.3 asymm:0.4".split()
TABLE_2 = """
    CE 69.21, Forward 69.84, M-correction 71.00, LIMIT 71.39, Joint-Optim 72.16, MetaCleaner 72.5,
    MLNT 73.47, PENCIL 73.49, Ours 74.15"""


def test_the_papers_tables_are_what_is_printed():
    first, second = published.published_tables()
    found = {(row.data, row.method): dict(row.accuracy) for row in first.rows}
    expected = {}
    for data, text in TABLE_1.items():
        for line in text.split("\n")[1:]:
            method, *cells = line.split()
            pairs = zip(NOISES, cells, strict=True)
            expected[data, method] = {noise: float(cell) for noise, cell in pairs if cell != "-"}
    assert found == expected
    assert {row.model for row in first.rows} == {"ResNet34"}
    pairs = (entry.split() for entry in TABLE_2.split(","))
    assert {row.method: row.accuracy["real"] for row in second.rows} == {
        name: float(value) for name, value in pairs
    }
    for table in (first, second):
        assert table.page == 8 and "CVPR 2021" in table.source


def test_the_papers_figure_is_found_by_our_names():
    assert published.published_accuracy("cifar10", "jnpl", "asymm:0.4") == 90.72
    assert published.published_accuracy("cifar100", "co-teaching", "symm:0.2") == 69.56
    for nothing in (
        ("cifar10", "nlnl", "symm:0.8"),
        ("cifar10", "gce", "symm:0.2"),
        ("cifar10", "ce", "symm:0.3"),
        ("./images", "ce", "symm:0.2"),
    ):
        assert published.published_accuracy(*nothing) is None


@pytest.fixture
def rows(make_row: Make) -> list[Row]:
    """Three seeds of three methods under two noises; without gce's last seed, and a failed run."""
    rng = np.random.default_rng(0)
    found = [
        make_row(
            method=method,
            noise=noise,
            seed=seed,
            average_precision=float(rng.uniform(0.5, 0.95)),
            test_accuracy=float(rng.uniform(0.5, 0.95)),
            seconds=float(rng.uniform(1, 9)),
        )
        for method in ("jnpl", "gce", "ce")
        for noise in ("asymm:0.4", "symm:0.2")
        for seed in range(3)
        if (method, seed) != ("gce", 2)
    ]
    lost = make_row(method="gce", seed=2, average_precision=float("nan"), error="no way")
    return [*found, lost, make_row(epochs=40, average_precision=0.7, test_accuracy=0.6)]


def test_cells_are_the_mean_and_the_sample_deviation_over_the_seeds(rows: list[Row]):
    comparison, other = method_tables.compare(rows)
    frame = pd.DataFrame([vars(row) for row in rows])
    frame = frame[(frame["epochs"] == 20) & (frame["error"] == "")]
    for table, name in zip(comparison.tables, ("average_precision", "test_accuracy"), strict=True):
        assert table.metric.name == name
        assert table.noises == ("symm:0.2", "asymm:0.4")
        assert [line.method for line in table.lines] == ["ce", "gce", "jnpl"]
        expected = 100 * frame.groupby(["method", "noise"])[name].agg(["mean", "std"])
        for line in table.lines:
            seconds = frame[frame["method"] == line.method]["seconds"].mean()
            assert line.seconds == pytest.approx(seconds)
            for noise, cell in zip(table.noises, line.cells, strict=True):
                assert cell is not None
                wanted = expected.loc[(line.method, noise)]
                assert (cell.mean, cell.std) == pytest.approx((wanted["mean"], wanted["std"]))
                best = expected.xs(noise, level="noise")["mean"].max()
                assert cell.is_best == (cell.mean == pytest.approx(best))
    assert comparison.seeds == 3 and [row.error for row in comparison.failed] == ["no way"]
    assert other.setting.epochs == 40 and other.tables[0].lines[0].cells[0].text == "70.0"


def test_means_that_look_the_same_are_equally_good(make_row: Make):
    rows = [make_row(average_precision=0.91041), make_row(method="gce", average_precision=0.91039)]
    (comparison,) = method_tables.compare(rows)
    assert [line.cells[0].is_best for line in comparison.tables[0].lines] == [True, True]


def test_noises_and_methods_are_in_the_papers_order(make_row: Make):
    methods = ("jnpl", "nl-plus", "nlnl", "ce", "jocor")
    noises = ("human:f.txt", "asymm:0.1", "symm:0.4", "other", "symm:0.05")
    rows = [make_row(method=method, noise=noise) for method in methods for noise in noises]
    (comparison,) = method_tables.compare(rows)
    table = comparison.tables[0]
    assert [line.method for line in table.lines] == ["ce", "jocor", "nlnl", "nl-plus", "jnpl"]
    assert table.noises == ("symm:0.05", "symm:0.4", "asymm:0.1", "human:f.txt", "other")


def test_the_text_is_aligned_with_the_papers_figures_below_ours(make_row: Make):
    rows = [
        make_row(average_precision=0.9, test_accuracy=0.8, seconds=61.4),
        make_row(average_precision=0.92, test_accuracy=0.81, seconds=60.0, seed=1),
        make_row(method="gce", average_precision=0.8, test_accuracy=0.9, seconds=1234),
        make_row(method="gce", noise="symm:0.2", error="no way", average_precision=float("nan")),
    ]
    assert rendering.as_text(method_tables.compare(rows)) == (
        "cifar10, 5,000 images, quick, smallnet, 20 epochs\n"
        "\n"
        "Average precision of the wrong labels, %\n"
        "       symm:0.4   seconds\n"
        "ce   91.0 ± 1.4*       61\n"
        "gce        80.0     1,234\n"
        "\n"
        "Test accuracy of the network that judges the labels, %\n"
        "               symm:0.4   seconds\n"
        "ce           80.5 ± 0.7        61\n"
        "  paper: CE       67.58\n"
        "gce                90.0*    1,234\n"
        "\n"
        "Best of each noise: *; ± standard deviation over seeds. The paper's figures are of "
        "ResNet34, all training images and its own number of epochs; those of NLNL and Ours are "
        "after pseudo-labelling.\n"
        "\n"
        "failed: gce on symm:0.2, seed 0: no way"
    )


def test_markdown_has_the_best_in_bold_and_the_paper_beside(rows: list[Row]):
    text = rendering.as_markdown(method_tables.compare(rows))
    best = {
        noise: max(
            (float(np.mean([r.average_precision for r in rows if (r.method, r.noise, r.epochs)
                            == (m, noise, 20) and not r.error])), m)
            for m in ("ce", "gce", "jnpl")
        )[1]
        for noise in ("symm:0.2", "asymm:0.4")
    }  # fmt: skip
    part = text.split("### Average precision")[1].split("###")[0]
    lines = [line.split("|")[1:-1] for line in part.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in lines[0]] == ["method", "symm:0.2", "asymm:0.4", "seconds"]
    for cells in lines[2:]:
        method = cells[0].strip()
        for noise, cell in zip(("symm:0.2", "asymm:0.4"), cells[1:3], strict=True):
            assert ("**" in cell) == (best[noise] == method)
            assert re.fullmatch(r"(\*\*)?\d\d\.\d ± \d+\.\d(\*\*)?", cell.strip())
    accuracy = text.split("### Test accuracy")[1].split("###")[0]
    assert "(paper 93.53)" in accuracy and "(paper 76.37)" in accuracy
    assert "no way" in text and "| cifar100 | ResNet34 | NLNL | 71.52 " in text


class _Seen(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_names_and_runs_none_of_them(make_row: Make):
    evil = "<script>alert(1)</script>|\u202e`*\n\udcff"
    ours = make_row(
        data=evil, noise=f"human:{evil}", method=evil, arch=evil, machine=evil, preset=evil
    )
    failed = make_row(data=evil, noise=evil, method=evil, arch=evil, preset=evil, error=evil)
    comparisons = method_tables.compare([ours, failed])
    seen = _Seen()
    page = rendering.as_page(comparisons)
    seen.feed(page)
    assert "script" not in seen.tags and "<script>alert(1)</script>|\\u202e" in seen.text
    for text in (page, rendering.as_markdown(comparisons), rendering.as_text(comparisons)):
        assert "\u202e" not in text and "\udcff" not in text
    markdown = rendering.as_markdown(comparisons)
    assert "<script" not in markdown
    of_ours = [line for line in markdown.splitlines() if "90.0" in line and "**90" in line]
    assert len(re.findall(r"(?<!\\)\|", of_ours[0])) == 4  # a name makes no new column


def test_the_page_has_every_figure_of_the_tables(rows: list[Row]):
    comparisons = method_tables.compare(rows)
    seen = _Seen()
    seen.feed(rendering.as_page(comparisons))
    for comparison in comparisons:
        for table in comparison.tables:
            for line in table.lines:
                assert all(cell is None or cell.text in seen.text for cell in line.cells)
    assert "93.53" in seen.text and "PENCIL" in seen.text and "no way" in seen.text


def test_the_json_has_one_object_a_cell(rows: list[Row]):
    found = json.loads(json.dumps(method_tables.to_json(method_tables.compare(rows))))
    assert len(found) == 2 * 3 * 2 + 2
    (one,) = (
        cell for cell in found if (cell["metric"], cell["method"], cell["noise"], cell["epochs"])
        == ("test_accuracy", "jnpl", "symm:0.2", 20)
    )  # fmt: skip
    values = [r.test_accuracy for r in rows if (r.method, r.noise) == ("jnpl", "symm:0.2")]
    assert one["mean"] == pytest.approx(100 * np.mean(values))
    assert one["published"] == 93.53 and one["seeds"] == 3
