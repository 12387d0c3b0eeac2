"""Identical images with different labels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelclean.data.duplicates import conflicting, find_duplicates
from labelclean.judging.conflicts import resolve


def test_a_duplicate_points_at_the_first_row_of_the_same_content():
    digest = np.array([[1, 2], [3, 4], [1, 2], [0, 0], [0, 0], [3, 4], [1, 3]], np.uint64)
    has_image = np.array([1, 1, 1, 0, 0, 1, 1], bool)
    assert find_duplicates(digest, has_image).tolist() == [0, 1, 0, 3, 4, 1, 6]


def test_only_duplicates_with_different_labels_are_in_conflict():
    first = np.array([0, 0, 2, 2, 4, 4, 6])
    labels = np.array([1, 1, 1, 2, 1, -1, 0])
    assert conflicting(first, labels).tolist() == [0, 0, 1, 1, 0, 0, 0]


def _by_enumeration(right: list[float]) -> list[float]:
    """P(label k is wrong | at most one is right), over all combinations of right and wrong."""
    total, alone = 0.0, [0.0] * len(right)
    for combination in itertools.product((0, 1), repeat=len(right)):
        if sum(combination) > 1:
            continue
        weight = 1.0
        for p, is_right in zip(right, combination, strict=True):
            weight *= p if is_right else 1 - p
        total += weight
        for k, is_right in enumerate(combination):
            alone[k] += weight * is_right
    return [1 - p / total for p in alone]


@given(st.lists(st.floats(0.001, 0.999), min_size=2, max_size=4))
def test_conflicts_are_resolved_as_by_enumeration_of_all_cases(right: list[float]):
    issue = 1 - np.array(right)
    found = resolve(issue, np.zeros(len(right), np.int64), np.arange(len(right)))
    np.testing.assert_allclose(found, _by_enumeration(right), rtol=1e-6, atol=1e-9)
    assert (found >= 0.5 - 1e-9).sum() >= len(right) - 1


def test_rows_without_a_conflict_keep_their_probability():
    issue = np.array([0.2, 0.7, np.nan, 0.1, 0.1])
    first = np.array([0, 1, 2, 3, 3])
    found = resolve(issue, first, np.array([0, 1, 0, 2, 2]))
    np.testing.assert_array_equal(found, issue)


def test_of_two_conflicting_labels_the_more_doubtful_one_is_an_issue():
    found = resolve(np.array([0.02, 0.04]), np.array([0, 0]), np.array([0, 1]))
    assert found[0] < 0.5 < found[1]
    assert found[0] == pytest.approx(1 - 49 / (1 + 49 + 24))
