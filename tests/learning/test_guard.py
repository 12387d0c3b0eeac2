"""When predictions count as collapsed."""

from __future__ import annotations

import math

import pytest
import torch

from labelclean.learning.guard import ClassCounts, diversity


def _counts(probs: torch.Tensor) -> ClassCounts:
    counts = ClassCounts(probs.shape[1], torch.device("cpu"))
    counts.add(probs.log())
    return counts


def _sure_of(classes: torch.Tensor, num_classes: int, p: float = 0.95) -> torch.Tensor:
    probs = torch.full((len(classes), num_classes), (1 - p) / (num_classes - 1))
    return probs.scatter(1, classes[:, None], p)


def test_diversity_is_the_number_of_equally_used_classes():
    assert diversity(torch.full((7,), 1 / 7)) == pytest.approx(7)
    assert diversity(torch.tensor([0.5, 0.5, 0.0])) == pytest.approx(2)
    uneven = torch.tensor([0.9, 0.1])
    assert diversity(uneven) == pytest.approx(math.exp(-0.9 * math.log(0.9) - 0.1 * math.log(0.1)))


def test_one_class_for_all_images_is_a_collapse():
    counts = _counts(_sure_of(torch.zeros(100, dtype=torch.long), 10))
    assert counts.is_collapsed(torch.full((10,), 0.1))


def test_predictions_spread_like_the_labels_are_none():
    counts = _counts(_sure_of(torch.arange(100) % 10, 10))
    assert not counts.is_collapsed(torch.full((10,), 0.1))


def test_an_undecided_network_with_one_class_just_ahead_is_none():
    counts = _counts(_sure_of(torch.zeros(100, dtype=torch.long), 10, p=0.12))
    assert not counts.is_collapsed(torch.full((10,), 0.1))


def test_uneven_data_may_have_uneven_predictions():
    given = torch.tensor([0.9, 0.1])
    predicted = _sure_of((torch.arange(100) < 6).long(), 2)
    assert not _counts(predicted).is_collapsed(given)
