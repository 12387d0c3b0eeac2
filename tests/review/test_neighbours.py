"""Neighbours: by plain cosine, only of rows that are judged right, never a copy of the image."""

from __future__ import annotations

import numpy as np
import pytest
from review_data import report_of, row, simple_review
from typer.testing import CliRunner

from labelclean.cli import app
from labelclean.review import neighbours
from labelclean.review.neighbours import Neighbours
from labelclean.review.pages import ReviewRows


def random_rows(tmp_path, count=60):
    rng = np.random.default_rng(0)
    labels = ("cat", "dog", "fox")
    rows = []
    for k in range(count):
        given, suggested = labels[k % 3], labels[int(rng.integers(3))]
        suggested = given if rng.random() < 0.6 else suggested
        rows.append(row(f"{k}.png", given, suggested, float(rng.random())))
    return ReviewRows(report_of(rows, tmp_path)), rng.normal(size=(count, 8)).astype(np.float16)


def slow_nearest(rows, vectors, of, label, count):
    found = []
    for k in range(len(rows)):
        if k == of or rows.given[k] != label or rows.is_issue[k] or np.isnan(vectors[k]).any():
            continue
        one, other = vectors[of].astype(float), vectors[k].astype(float)
        found.append((-(one @ other) / np.linalg.norm(one) / np.linalg.norm(other), k))
    return [k for _, k in sorted(found)[:count]]


@pytest.mark.parametrize("block", [8192, 3])
def test_the_nearest_are_those_of_plain_loops(tmp_path, monkeypatch, block):
    monkeypatch.setattr(neighbours, "BLOCK", block)
    rows, vectors = random_rows(tmp_path)
    vectors[5] = np.nan
    found = Neighbours(rows, vectors)
    for of in (0, 7, 31, 59):
        for label in range(3):
            nearest = found.nearest(of, label, 4)
            assert list(nearest.rows) == slow_nearest(rows, vectors, of, label, 4)
            assert list(nearest.similarity) == sorted(nearest.similarity, reverse=True)


def test_both_classes_are_shown_the_given_one_first(tmp_path):
    rows = ReviewRows(
        report_of(
            [row("a", "cat", "dog"), row("b", "cat", "cat", second="fox"), row("c", "", "dog")],
            tmp_path,
        )
    )
    beside = Neighbours(rows, np.eye(3)).beside
    assert [each.label for each in beside(0)] == [0, 1]
    assert [each.label for each in beside(1)] == [0, 2]  # judged right: the second best
    assert [each.label for each in beside(2)] == [1]  # no given label


def test_a_copy_of_the_image_is_no_neighbour(tmp_path):
    rows = ReviewRows(
        report_of(
            [
                row("a", "cat", "cat", 0.9),
                row("b", "cat", "cat", 0.9, status="duplicate_of:a"),
                row("c", "cat", "cat", 0.9),
            ],
            tmp_path,
        )
    )
    found = Neighbours(rows, np.ones((3, 2)))
    assert found.nearest(0, 0).rows == (2,)
    assert found.nearest(1, 0).rows == (2,)
    assert found.nearest(2, 0).rows == (0,)


def test_without_features_the_most_trusted_of_the_class_are_shown(tmp_path):
    scores = [0.2, 0.9, None, 0.7, 0.95]
    rows = ReviewRows(
        report_of([row(str(k), "cat", "cat", s) for k, s in enumerate(scores)], tmp_path)
    )
    nearest = Neighbours(rows).nearest(0, 0, 3)
    assert nearest.rows == (4, 1, 3)
    assert nearest.similarity is None


def test_rows_without_features_have_no_neighbours_and_are_none(tmp_path):
    rows = ReviewRows(report_of([row(str(k), "cat", "cat", 0.9) for k in range(4)], tmp_path))
    vectors = np.array([[1.0, 0], [np.nan, np.nan], [0, 0], [1, 1]])
    found = Neighbours(rows, vectors)
    assert found.nearest(0, 0).rows == (3,)
    assert found.nearest(1, 0).rows == ()
    assert found.nearest(2, 0).rows == ()


def test_features_of_other_rows_are_refused(tmp_path):
    rows = ReviewRows(report_of([row("a")], tmp_path))
    for shape in ((2, 4), (1,)):
        with pytest.raises(ValueError, match="embeddings are"):
            Neighbours(rows, np.zeros(shape))


@pytest.mark.parametrize("content", [b"", b"no array", np.zeros((3, 2)), np.zeros((12, 2), int)])
def test_a_damaged_file_of_features_is_one_line(tmp_path, content):
    report = simple_review(tmp_path)
    path = tmp_path / "report.run" / "embeddings.npy"
    path.parent.mkdir()
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    done = CliRunner().invoke(app, ["review", str(report), "--no-open"])
    assert done.exit_code == 2
    assert str(path) in done.stderr and "run filter again or delete it" in done.stderr
    assert len(done.stderr.splitlines()) == 1
