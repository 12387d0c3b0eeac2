"""The whitening filters and the form of SmallNet."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from labelclean.learning.smallnet import EPSILON, NOTHING, SmallNet


@pytest.mark.parametrize(("size", "patch"), [(32, 2), (96, 4)])
def test_whitened_patches_have_no_correlation_and_known_variance(size, patch):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(40, 3, size // 4, size // 4, generator=generator)
    images = (
        F.interpolate(noise, size=size, mode="bilinear")
        * torch.tensor([1.0, 2.0, 0.5])[:, None, None]
    )
    net = SmallNet(size)
    net.whiten(images)
    patches = F.unfold(images, patch, stride=4).transpose(1, 2).reshape(-1, 3 * patch**2)
    variances = torch.linalg.eigvalsh(torch.cov(patches.T, correction=0)).flip(0)
    variances = variances[variances > NOTHING]  # smooth images lack some directions
    filters = net.whitening.weight.reshape(len(net.whitening.weight), -1)[: len(variances)]
    responses = (patches - patches.mean(dim=0)) @ filters.T
    covariance = responses.T @ responses / len(responses)
    expected = torch.diag(variances / (variances + EPSILON))
    torch.testing.assert_close(covariance, expected, rtol=1e-3, atol=1e-3)


def test_the_whitening_filters_are_not_trained():
    net = SmallNet(32)
    net(torch.randn(4, 3, 32, 32)).sum().backward()
    assert net.whitening.weight.grad is None
    assert net.whitening.bias.grad is not None


def test_its_convolutions_begin_as_the_identity():
    layer = SmallNet(32).layers[5]
    images = torch.randn(1, 32, 5, 5)
    torch.testing.assert_close(layer(images), images)


@pytest.mark.parametrize("size", [8, 16, 28, 32, 64, 96, 128, 224])
def test_it_takes_every_usual_size(size: int):
    net = SmallNet(size).eval()
    assert net(torch.zeros(2, 3, size, size)).shape == (2, 128)


def test_grey_images_leave_no_filter_without_a_response():
    generator = torch.Generator().manual_seed(0)
    grey = torch.randn(40, 1, 8, 8, generator=generator).expand(-1, 3, -1, -1)
    images = F.interpolate(grey, size=32, mode="bilinear")
    net = SmallNet(32)
    net.whiten(images)
    responses = net.whitening(images).transpose(0, 1).flatten(1)
    assert (responses.var(dim=1) > 0.5).all()
