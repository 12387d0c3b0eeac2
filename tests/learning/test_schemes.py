"""The schemes: what their targets are at which context, against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from labelclean.config import TrainConfig
from labelclean.learning import schemes
from labelclean.learning.methods import Method, Outputs, StepContext
from labelclean.learning.soft_labels import SoftLabels

N, C = 6, 4


def _context(method: Method, memory: dict[str, torch.Tensor], progress: float = 0.0) -> StepContext:
    return StepContext(
        progress=progress,
        step_share=0.01,
        config=TrainConfig(epochs=1),
        class_weights=torch.ones(C),
        generator=torch.Generator(),
        memory=memory,
    )


def _outputs(index: list[int], seed: int = 0) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(index), C, generator=generator).requires_grad_()
    rows = torch.tensor(index)
    return Outputs(each=(logits,), labels=torch.zeros(len(index), dtype=torch.int64), index=rows)


def _soft(seed: int = 1) -> torch.Tensor:
    return torch.randn(N, C, generator=torch.Generator().manual_seed(seed)).softmax(dim=1)


def test_of_one_hot_targets_soft_cross_entropy_is_cross_entropy():
    batch, labels = _outputs([0, 1, 2]), torch.tensor([3, 0, 1])
    found = schemes.soft_cross_entropy(batch.logits, F.one_hot(labels, C).float())
    torch.testing.assert_close(found, F.cross_entropy(batch.logits, labels, reduction="none"))


def test_soft_cross_entropy_is_the_sum_over_the_classes():
    batch, targets = _outputs([0, 1, 2]), _soft()[:3]
    found = schemes.soft_cross_entropy(batch.logits, targets).detach()
    for k in range(3):
        p = batch.logits[k].softmax(dim=0).tolist()
        expected = -sum(float(targets[k, j]) * math.log(p[j]) for j in range(C))
        assert float(found[k]) == pytest.approx(expected, rel=1e-5)


def test_rows_without_weight_have_no_part_in_the_loss():
    weights = torch.tensor([1.0, 0, 2, 0, 0, 0])
    method = schemes.on_targets(_soft(), weights)
    batch = _outputs([0, 1, 2])
    loss = method.step(batch, _context(method, method.memory(N, C))).loss
    each = schemes.soft_cross_entropy(batch.logits, _soft()[:3])
    torch.testing.assert_close(loss, (each[0] + 2 * each[2]) / 3)
    loss.backward()
    assert not batch.logits.grad[1].any() and batch.logits.grad[0].any()


def test_a_batch_that_weighs_nothing_is_no_division_by_zero():
    method = schemes.on_targets(_soft(), torch.zeros(N))
    batch = _outputs([3, 4])
    loss = method.step(batch, _context(method, method.memory(N, C))).loss
    loss.backward()
    assert float(loss.detach()) == 0 and torch.isfinite(batch.logits.grad).all()


def test_outputs_are_collected_from_the_share_on_that_is_asked_for():
    labels = SoftLabels.certain(np.zeros(N, dtype=np.int64))
    method = schemes.collecting(labels, torch.ones(N), first=0.75)
    memory = method.memory(N, C)
    for progress in (0.0, 0.5, 0.749):
        method.step(_outputs([0, 1]), _context(method, memory, progress))
    assert not memory["said"].any()
    one, two = _outputs([0, 4], seed=2), _outputs([4, 5], seed=3)
    method.step(one, _context(method, memory, 0.75))
    method.step(two, _context(method, memory, 0.9))
    expected = torch.zeros(N, C)
    for batch in (one, two):
        for row, logits in zip(batch.index.tolist(), batch.logits.detach(), strict=True):
            expected[row] += logits.softmax(dim=0)
    torch.testing.assert_close(memory["said"], expected)


def test_inverse_frequency_weights_are_most_over_own_count_of_the_arg_max():
    targets = F.one_hot(torch.tensor([0, 0, 0, 1, 1, 2]), C).float() * 0.6 + 0.1
    used = torch.tensor([True, True, True, True, True, False])
    found = schemes.inverse_frequency(targets, used)
    assert found.tolist() == pytest.approx([1, 1, 1, 1.5, 1.5, 0])


def test_on_soft_labels_is_on_the_targets_that_they_spell_out():
    labels = SoftLabels(
        first=torch.tensor([0, 1, -1, 3, 2, -1]),
        p_first=torch.tensor([0.7, 0.2, 0.0, 1.0, 0.5, 0.0]),
        second=torch.tensor([2, 3, 1, -1, -1, -1]),
        p_second=torch.tensor([0.2, 0.8, 0.4, 0.0, 0.0, 0.0]),
    )
    spelt_out = torch.tensor(
        [
            [0.7, 0.05, 0.2, 0.05],
            [0, 0.2, 0, 0.8],
            [0.2, 0.4, 0.2, 0.2],
            [0, 0, 0, 1],
            [0.5 / 3, 0.5 / 3, 0.5, 0.5 / 3],
            [0.25, 0.25, 0.25, 0.25],
        ]
    )
    torch.testing.assert_close(labels.rows(torch.arange(N), C), spelt_out)
    assert labels.best.tolist() == [0, 3, 1, 3, 2, -1]
    weights = torch.tensor([1.0, 2, 3, 1, 0, 1])
    batch, method = _outputs([4, 2, 1, 0]), schemes.on_labels(labels, weights)
    dense = schemes.on_targets(spelt_out, weights)
    found = method.step(batch, _context(method, method.memory(N, C))).loss
    expected = dense.step(batch, _context(dense, dense.memory(N, C))).loss
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("progress", "own"),
    [(0.0, 0.0), (0.29, 0.0), (0.4, schemes.OWN / 2), (0.5, schemes.OWN), (0.9, schemes.OWN)],
)
def test_both_views_learn_what_the_label_and_the_network_say_of_the_plain_image(
    progress: float, own: float
):
    labels = SoftLabels(
        first=torch.tensor([0, 1, 2]),
        p_first=torch.tensor([0.7, 0.2, 1.0]),  # of the last one a person has said so
        second=torch.tensor([2, 3, -1]),
        p_second=torch.tensor([0.2, 0.5, 0.0]),
    )
    generator = torch.Generator().manual_seed(5)
    plain, distorted = (3 * torch.randn(3, C, generator=generator) for _ in range(2))
    plain[2, 0] = 200.0  # it is sure of another class
    expected = 0.0
    gradients = [torch.zeros(3, C), torch.zeros(3, C)]
    for row in range(3):
        t = labels.rows(torch.tensor([row]), C)[0].tolist()
        q = plain[row].double().softmax(dim=0).tolist()
        both = [t[k] * q[k] for k in range(C)]
        total = sum(both)
        target = [(1 - own) * t[k] + own * (both[k] / total if total else t[k]) for k in range(C)]
        for logits, gradient in zip((plain, distorted), gradients, strict=True):
            p = logits[row].double().log_softmax(dim=0).tolist()
            expected -= sum(target[k] * p[k] for k in range(C)) / 6
            gradient[row] = torch.tensor([(math.exp(p[k]) - target[k]) / 6 for k in range(C)])
    method = schemes.consistent(labels)
    assert method.views == 2
    batch = Outputs(
        each=(plain.requires_grad_(), distorted.requires_grad_()),
        labels=torch.zeros(3, dtype=torch.int64),
        index=torch.arange(3),
    )
    loss = method.step(batch, _context(method, method.memory(3, C), progress)).loss
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)
    loss.backward()
    # the targets are no way for the gradient
    torch.testing.assert_close(plain.grad, gradients[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(distorted.grad, gradients[1], atol=1e-5, rtol=1e-4)


def test_soft_labels_take_memory_for_the_rows_and_not_for_the_classes():
    method = schemes.on_labels(SoftLabels.certain(np.zeros(N, dtype=np.int64)))
    assert {tensor.shape for tensor in method.memory(N, 1000).values()} == {(N,)}


def test_every_fit_starts_from_the_targets_as_they_were_given():
    targets = _soft()
    method = schemes.on_targets(targets, torch.ones(N))
    method.memory(N, C)["targets"].zero_()
    torch.testing.assert_close(method.memory(N, C)["targets"], targets)
