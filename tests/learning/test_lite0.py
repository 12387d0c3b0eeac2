"""The embedded network against timm's of the same name."""

from __future__ import annotations

import pytest
import torch

from labelclean.learning import backbones, models
from labelclean.learning.lite0 import SEEN, TOP, Lite0


@pytest.mark.parametrize("side", [97, 128])  # odd sides are padded unevenly
def test_it_is_the_network_of_timm(side: int):
    timm = pytest.importorskip("timm")
    ours = Lite0(has_depths=True).eval()
    theirs = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
    # the same tensors in the same order, under other names
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    middle = {}
    blocks = [block for stage in theirs.blocks for block in stage]
    for k in SEEN:
        blocks[k].conv_pwl.register_forward_pre_hook(
            lambda _, inputs, k=k: middle.update({k: inputs[0].mean(dim=(2, 3))})
        )
    with torch.no_grad():
        found = ours(images)
        top = theirs.eval()(images)
    expected = torch.cat([top, *(middle[k] for k in sorted(SEEN, reverse=True))], dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert top.shape == (2, TOP) and found.shape == (2, ours.width)


def test_what_learns_on_has_the_features_of_the_last_layer_alone():
    deep = backbones.load_backbone("efficientnet-lite0")
    last = deep.of_last_layer()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(last.network(images), deep.network(images)[:, : last.width])
    assert last.width == TOP < deep.width
    assert (last.architecture, last.of_last_layer()) == ("efficientnet-lite0", last)


def test_it_is_an_architecture_like_the_others():
    model = models.build("efficientnet-lite0", 3, 16, enlarged=32)
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, 3)
