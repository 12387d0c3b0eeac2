"""Methods that are a loss: what they weigh and add up."""

from __future__ import annotations

import math

import pytest
import torch

from labelclean.config import TrainConfig
from labelclean.learning.methods import Outputs, StepContext, find, robust


def _step(name: str, classes: int) -> tuple[float, list[list[float]], list[int], list[float]]:
    """The loss of a method, with what it must follow from: probabilities, labels, weights."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(6, classes, generator=generator) * 2
    labels = torch.arange(6) % classes
    weights = torch.rand(classes, generator=generator) + 0.5
    context = StepContext(
        progress=0.5,
        step_share=0.01,
        config=TrainConfig(method=name, epochs=1),
        class_weights=weights,
        generator=generator,
        memory={},
    )
    batch = Outputs(each=(logits,), labels=labels, index=torch.arange(6))
    loss = find(name).step(batch, context).loss.item()
    return loss, logits.double().softmax(dim=1).tolist(), labels.tolist(), weights.tolist()


@pytest.mark.parametrize(("classes", "alpha", "beta"), [(4, 1.0, 1.0), (12, 10.0, 0.1)])
def test_nce_rce_adds_its_parts_with_the_weights_of_the_authors(classes, alpha, beta):
    loss, probs, labels, weights = _step("nce-rce", classes)
    by_hand = [
        weights[y] * (alpha * math.log(p[y]) / sum(map(math.log, p)) + beta * 4 * (1 - p[y]))
        for p, y in zip(probs, labels, strict=True)
    ]
    assert loss == pytest.approx(sum(by_hand) / 6, rel=1e-5)


@pytest.mark.parametrize(("classes", "alpha", "beta"), [(4, 1.0, 1.0), (12, 10.0, 0.1)])
def test_nfl_rce_adds_its_parts_with_the_weights_of_the_authors(classes, alpha, beta):
    loss, probs, labels, weights = _step("nfl-rce", classes)
    by_hand = []
    for p, y in zip(probs, labels, strict=True):
        focal = [-math.sqrt(1 - each) * math.log(each) for each in p]
        by_hand.append(weights[y] * (alpha * focal[y] / sum(focal) + beta * 4 * (1 - p[y])))
    assert loss == pytest.approx(sum(by_hand) / 6, rel=1e-5)


def test_gce_has_q_of_the_authors():
    loss, probs, labels, weights = _step("gce", 4)
    by_hand = [weights[y] * (1 - p[y] ** 0.7) / 0.7 for p, y in zip(probs, labels, strict=True)]
    assert loss == pytest.approx(sum(by_hand) / 6, rel=1e-5)


def test_cifar_10_and_cifar_100_have_their_own_weights():
    assert robust.active_passive_weights(10) == (1.0, 1.0)
    assert robust.active_passive_weights(100) == (10.0, 0.1)
