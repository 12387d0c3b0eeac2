"""The embedded network against timm's of the same name."""

from __future__ import annotations

import pytest
import torch

from labelclean.learning import models
from labelclean.learning.lite0 import SEEN, TOP, WIDTH, Lite0


@pytest.mark.parametrize("side", [97, 128])  # odd sides are padded unevenly
def test_it_is_the_network_of_timm(side: int):
    timm = pytest.importorskip("timm")
    ours = Lite0().eval()
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
    assert top.shape == (2, TOP) and found.shape == (2, WIDTH)


def test_it_is_an_architecture_like_the_others():
    model = models.build("efficientnet-lite0", 3, 16, enlarged=32)
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, 3)
