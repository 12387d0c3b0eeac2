"""What a network says of every row, and the embeddings that are kept of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from labelclean.data.batches import Batch
from labelclean.learning.models import Classifier, SideBySide, joined
from labelclean.learning.prediction_columns import EMBEDDED, predict


def _network(features: int, seed: int) -> Classifier:
    torch.manual_seed(seed)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(12, features))
    return Classifier(flat, features, 3)


def _batches() -> list[Batch]:
    images = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 0, 1])
    return [
        Batch(images[part], labels[part], part)
        for part in (torch.tensor([0, 1, 2]), torch.tensor([3, 4]))
    ]


def _embed(network: nn.Module, flip: bool) -> np.ndarray:
    embeddings = np.full((5, EMBEDDED), np.nan, dtype=np.float16)
    predict(
        network,
        _batches(),
        torch.tensor([0, 1, 2, 0, 1]),
        num_classes=3,
        dtype=torch.float32,
        flip=flip,
        embeddings=embeddings,
    )
    return embeddings


@pytest.mark.parametrize("flip", [False, True])
def test_embeddings_are_what_the_head_sees_averaged_with_the_mirror_image(flip: bool):
    network = _network(7, seed=1)
    found = _embed(network, flip)
    images = torch.cat([batch.images for batch in _batches()])
    expected = network.backbone(images)
    if flip:
        expected = (expected + network.backbone(images.flip(3))) / 2
    np.testing.assert_allclose(found[:, :7], expected.detach().numpy(), atol=2e-3)
    assert (found[:, 7:] == 0).all()


def test_long_embeddings_keep_their_angles_nearly():
    network = _network(3000, seed=1)
    found = torch.from_numpy(_embed(network, flip=False).astype(np.float32))
    images = torch.cat([batch.images for batch in _batches()])
    full = network.backbone(images).detach()
    cosine = torch.nn.functional.cosine_similarity
    for k in range(1, 5):
        assert abs(cosine(full[0], full[k], dim=0) - cosine(found[0], found[k], dim=0)) < 0.3


def test_two_networks_say_the_mean_of_their_probabilities():
    one, other = _network(4, seed=1), _network(4, seed=2)
    images = _batches()[0].images
    together = SideBySide([one, other])
    each = together.train()(images)
    assert each.shape == (2, 3, 3)
    mean = (one(images).softmax(dim=1) + other(images).softmax(dim=1)) / 2
    torch.testing.assert_close(joined(each.unbind()).softmax(dim=1), mean)
    torch.testing.assert_close(together.eval()(images).softmax(dim=1), mean)
