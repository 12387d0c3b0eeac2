"""distort: what it changes of an image, against torchvision, and what it never does."""

from __future__ import annotations

import math

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from labelclean.data import distorting
from labelclean.data.distorting import distort

SIZE = 32
CHANGES = ("TURN", "ZOOM", "SLANT", "BRIGHTNESS", "CONTRAST", "SATURATION", "HIDDEN")
HIDDEN = torch.tensor([10.0, 20.0, 30.0])


def _images(count: int, size: int = SIZE) -> torch.Tensor:
    """(count, size, size, 3) uint8, smooth."""
    rough = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(0)) * 255
    smooth = torch.nn.functional.interpolate(rough, (size, size), mode="bilinear")
    return smooth.to(torch.uint8).permute(0, 2, 3, 1)


def _distorted(images: torch.Tensor, seed: int = 0, own: slice = slice(None)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return distort(images[own], HIDDEN, len(images), own, generator)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch):
    """Leaves the named changes alone at work."""

    def leave(*names: str) -> None:
        for name in CHANGES:
            if name not in names:
                monkeypatch.setattr(distorting, name, 0.0)

    return leave


def test_nothing_changes_where_all_changes_are_zero(only):
    only()
    images = _images(4)
    torch.testing.assert_close(_distorted(images), images.float(), rtol=1e-3, atol=0.05)


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_alone_changes_images(only, name: str):
    only(name)
    images = _images(4)
    off = (_distorted(images) - images).abs().amax(dim=(1, 2, 3))
    assert float(off.min()) > 1


def test_each_image_has_a_draw_of_its_own_and_the_same_for_the_same_seed():
    images = _images(1).expand(8, -1, -1, -1)
    found = _distorted(images)
    assert found.shape == images.shape and found.is_contiguous()
    assert all(not torch.equal(found[0], other) for other in found[1:])
    assert torch.equal(found, _distorted(images)) and not torch.equal(found, _distorted(images, 1))


def test_the_shares_of_a_team_together_are_what_one_process_draws():
    images = _images(7)
    shares = [_distorted(images, own=own) for own in (slice(0, 3), slice(3, 7))]
    assert torch.equal(torch.cat(shares), _distorted(images))


INNER = slice(8, 24)  # what no map brings in from beyond the border
MAPS = {  # of each change: from its amount to torchvision's angle, scale and shear
    "TURN": (math.degrees(distorting.TURN), lambda turn: (turn, 1.0, 0.0)),
    "ZOOM": (distorting.ZOOM, lambda zoom: (0.0, math.exp(zoom), 0.0)),
    "SLANT": (distorting.SLANT, lambda slant: (0.0, 1.0, math.degrees(math.atan(slant)))),
}


@pytest.mark.parametrize("name", list(MAPS))
def test_maps_are_torchvisions_by_any_amount_up_to_the_most_either_way(only, name: str):
    only(name)
    most, to_torchvision = MAPS[name]
    images = _images(60).permute(0, 3, 1, 2).float()
    found = _distorted(_images(60)).permute(0, 3, 1, 2)
    amounts = [most * k / 20 for k in range(-25, 26)]
    drawn = []
    for image, changed in zip(images, found, strict=True):
        off = []
        for amount in amounts:
            angle, scale, shear = to_torchvision(amount)
            expected = tv.affine(
                image, angle, [0, 0], scale, [shear, 0], InterpolationMode.BILINEAR
            )
            off.append(float((expected - changed)[:, INNER, INNER].abs().mean()))
        assert min(off) < 1.5  # of 255 levels: the nearest amount is half a step away
        drawn.append(amounts[off.index(min(off))])
    assert max(drawn) <= most * 1.05 and min(drawn) >= -most * 1.05
    assert max(drawn) > 0.8 * most and min(drawn) < -0.8 * most


def test_beyond_the_border_the_image_is_mirrored(only):
    only("ZOOM")
    ramp = torch.arange(SIZE).expand(SIZE, SIZE)[None, :, :, None] * 5
    images = ramp.expand(40, -1, -1, 3).to(torch.uint8)
    found = _distorted(images)
    assert float(found.min()) > -1 and float(found.max()) < 5 * SIZE  # no black from outside
    left = found[:, SIZE // 2, :6, 0]
    is_smaller = (left[:, 0] > left[:, 3] + 1).any()  # some images show their edge twice
    assert bool(is_smaller)


def test_brightness_adds_the_same_to_all_of_an_image(only):
    only("BRIGHTNESS")
    images = _images(60)
    added = _distorted(images) - images
    each = added.mean(dim=(1, 2, 3))
    assert float((added - each[:, None, None, None]).abs().max()) < 0.1
    assert -25 <= float(each.min()) < -20 and 20 < float(each.max()) <= 25


@pytest.mark.parametrize(("name", "most"), [("CONTRAST", 0.4), ("SATURATION", 0.8)])
def test_contrast_and_saturation_are_torchvisions_up_to_the_most(only, name: str, most: float):
    only(name)
    images = _images(60).float()
    dims = (1, 2, 3) if name == "CONTRAST" else (3,)
    grey = images.mean(dim=dims, keepdim=True)
    found = _distorted(_images(60))
    factor = ((found - grey) * (images - grey)).sum(dim=(1, 2, 3)) / (images - grey).square().sum(
        dim=(1, 2, 3)
    )
    expected = grey + (images - grey) * factor[:, None, None, None]
    assert float((found - expected).abs().max()) < 0.5
    assert 1 - most <= float(factor.min()) < 1 - 0.8 * most
    assert 1 + 0.8 * most < float(factor.max()) <= 1 + most


def test_hues_stay_and_grey_stays_grey(only):
    only("BRIGHTNESS", "CONTRAST", "SATURATION")
    images = _images(60)
    before = images.float() - images.float().mean(dim=3, keepdim=True)
    after = _distorted(images)
    after = after - after.mean(dim=3, keepdim=True)
    far = (before.norm(dim=3) > 20) & (after.norm(dim=3) > 5)  # a hue is an angle about grey
    angle = torch.cosine_similarity(before, after, dim=3)[far]
    assert float(far.float().mean()) > 0.5 and float(angle.min()) > 0.999
    grey = images[..., :1].expand(-1, -1, -1, 3)
    assert float(_distorted(grey).std(dim=3).max()) < 1e-2


@pytest.mark.parametrize("size", [8, 32])
def test_a_square_of_half_the_side_is_hidden_less_what_lies_beyond_the_border(only, size: int):
    only("HIDDEN")
    images = torch.full((200, size, size, 3), 255, dtype=torch.uint8)
    hidden = (_distorted(images) - HIDDEN).abs().amax(dim=3) < 1e-3
    counts = hidden.sum(dim=(1, 2))
    assert int(counts.max()) == (size // 2) ** 2 and int(counts.min()) >= (size // 4 - 1) ** 2
    rows, columns = hidden.any(dim=2).sum(dim=1), hidden.any(dim=1).sum(dim=1)
    assert torch.equal(rows * columns, counts)  # so it is one rectangle
