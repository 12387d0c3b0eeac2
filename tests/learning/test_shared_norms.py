"""Batch norms over the images of all processes, in one process: as torch has them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from labelclean.learning import distributed
from labelclean.learning.shared_norms import shared_norms


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes, of which the other one has no image."""
    monkeypatch.setattr(distributed, "size", lambda: 2)
    monkeypatch.setattr(distributed, "summed", lambda values: values)


def outcome(norm: nn.Module, images: torch.Tensor, *, shared: bool) -> list[torch.Tensor]:
    """Output, gradients and buffers after two steps."""
    norm = norm.train()
    seen = []
    for step in range(2):
        leaf = (images + step).clone().requires_grad_()
        norm.zero_grad()
        if shared:
            with shared_norms():
                output = norm(leaf)
        else:
            output = norm(leaf)
        weights = torch.linspace(-1, 1, output.numel()).view(output.shape)
        (output.float().square() * weights).sum().backward()
        seen += [output.detach(), leaf.grad, *(p.grad.clone() for p in norm.parameters())]
    return [*seen, *norm.buffers()]


@pytest.mark.parametrize("shape", [(7, 5), (6, 5, 4, 3)])
@pytest.mark.parametrize("options", [{}, {"affine": False}, {"momentum": None}, {"eps": 0.1}])
def test_it_is_torchs_batch_norm(two: None, shape: tuple[int, ...], options: dict[str, object]):
    kind = nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    images = 3 + 2 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = outcome(kind(5, **options), images, shared=False)
    found = outcome(kind(5, **options), images, shared=True)
    for ours, torchs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-4, atol=1e-4)


def test_in_evaluation_nothing_changes(two: None):
    norm = nn.BatchNorm2d(3).eval()
    norm.running_mean += 1
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with shared_norms():
        found = norm(images)
    torch.testing.assert_close(found, norm(images), rtol=0, atol=0)


def test_images_of_low_precision_stay_so(two: None):
    norm = nn.BatchNorm2d(3)
    images = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    leaf = images.requires_grad_()
    with shared_norms():
        found = norm(leaf)
    found.float().square().sum().backward()
    assert (found.dtype, leaf.grad.dtype, norm.weight.grad.dtype) == (
        torch.bfloat16,
        torch.bfloat16,
        torch.float32,
    )
    torch.testing.assert_close(found.float().mean((0, 2, 3)), torch.zeros(3), atol=0.02, rtol=0)
