"""What is left of a list, which pairs are sure, and the commands that come next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from review_data import report_of, row

from labelclean.review.ahead import look_ahead, sure_pair
from labelclean.review.next_steps import next_steps
from labelclean.review.pages import Query, ReviewRows


def rows_of(tmp_path, scores, given="cat", suggested="dog"):
    rows = [row(f"{k}.png", given, suggested, score) for k, score in enumerate(scores)]
    return ReviewRows(report_of(rows, tmp_path))


def test_beyond_a_list_the_expected_wrong_labels_are_the_sum_of_the_chances(tmp_path):
    scores = np.linspace(0.05, 0.95, 300)
    rows = rows_of(tmp_path, scores)
    actions = np.zeros(300, np.uint8)
    actions[[0, 1, 50, 299]] = 1
    listed = rows.match(Query(high=scores[9]), actions, ())
    ahead = look_ahead(rows, listed, actions)
    beyond = np.delete(np.arange(10, 300), [40, 289])
    assert (ahead.listed, ahead.undecided) == (10, 8)
    assert [batch.images for batch in ahead.batches] == [60, 240, 288]
    assert [batch.wrong for batch in ahead.batches] == pytest.approx(
        [(1 - scores[beyond[:count]]).sum() for count in (60, 240, 288)]
    )


def test_nothing_is_beyond_a_list_of_all_images(tmp_path):
    rows = rows_of(tmp_path, [0.1, 0.2])
    actions = np.array([1, 0], np.uint8)
    assert look_ahead(rows, np.array([0, 1]), actions).batches == ()


def test_a_pair_is_as_long_as_its_mean_keeps_the_precision(tmp_path):
    sure = np.array([0.6, 0.99, 0.9, 0.97, 0.7])
    rows = rows_of(tmp_path, 1 - sure)
    open_rows = np.zeros(5, np.uint8)
    for precision, expected in ((0.98, [1, 3]), (0.95, [1, 3, 2]), (0.5, [1, 3, 2, 4, 0]), (1, [])):
        pair = sure_pair(rows, 0, precision, open_rows, 100)
        assert pair.rows.tolist() == expected and pair.total == 5
        assert pair.precision == pytest.approx(sure[expected].mean() if expected else 0)


def test_decided_rows_and_other_pairs_are_in_no_pair(tmp_path):
    rows = ReviewRows(
        report_of(
            [
                row("a", "cat", "dog", 0.01),
                row("b", "cat", "dog", 0.02),
                row("c", "fox", "dog", 0.01),
                row("d", "cat", "dog", 0.01, issue=False),
                row("e", "cat", "dog", None, issue=True),
            ],
            tmp_path,
        )
    )
    pair = sure_pair(rows, 0, 0.9, np.array([1, 0, 0, 0, 0], np.uint8), 100)
    assert pair.rows.tolist() == [1]
    assert len(sure_pair(rows, 0, 0.9, np.zeros(5, np.uint8), 1).rows) == 1


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ({"source": "/data/photos", "labels": "/data/my labels.csv"}, "'my labels-clean.csv'"),
        ({"source": "/data/photos", "labels": None}, "photos-clean"),
        ({"source": "/data/v1.2"}, "v1.2-clean"),
        ({"source": "C:\\data\\list.parquet"}, "list-clean.parquet"),
        ({}, "labels-clean"),
    ],
)
def test_the_next_command_writes_in_the_labels_format_beside_nothing_of_the_user(source, out):
    steps = next_steps(Path("runs/report.csv"), source)
    assert [step.command for step in steps] == [
        f"labelclean apply runs/report.csv --out {out}",
        "labelclean train --report runs/report.csv",
        "labelclean review runs/report.csv",
    ]
