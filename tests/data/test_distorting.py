"""distort: what it changes of an image, against torchvision, and what it never does."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from labelclean.data import distorting
from labelclean.data.distorting import distort

SIZE = 32
CHANGES = ("TURN", "ZOOM", "SLANT", "BRIGHTNESS", "CONTRAST", "SATURATION", "HIDDEN")


def _images(count: int, size: int = SIZE) -> torch.Tensor:
    smooth = torch.randn(count, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(smooth, (size, size), mode="bicubic")


def _distorted(images: torch.Tensor, seed: int = 0, own: slice = slice(None)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return distort(images[own], len(images), own, generator)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch):
    """Leaves the named change alone at work."""

    def leave(*names: str) -> None:
        for name in CHANGES:
            if name not in names:
                monkeypatch.setattr(distorting, name, 0.0)

    return leave


def test_nothing_changes_where_all_changes_are_zero(only):
    only()
    images = _images(4)
    torch.testing.assert_close(_distorted(images), images, rtol=1e-4, atol=1e-4)


def test_shape_and_type_stay_and_each_image_has_a_draw_of_its_own():
    images = _images(1).expand(8, -1, -1, -1).to(torch.bfloat16)
    found = _distorted(images)
    assert found.shape == images.shape and found.dtype == torch.bfloat16
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert all(not torch.equal(found[0], other) for other in found[1:])
    assert torch.equal(found, _distorted(images)) and not torch.equal(found, _distorted(images, 1))


def test_the_shares_of_a_team_together_are_what_one_process_draws():
    images = _images(7)
    shares = [_distorted(images, own=own) for own in (slice(0, 3), slice(3, 7))]
    assert torch.equal(torch.cat(shares), _distorted(images))


def test_turning_is_torchvisions_by_at_most_twenty_degrees_either_way(only):
    only("TURN")
    images, found = _images(40), _distorted(_images(40))
    inner = slice(8, 24)  # what no turn brings in from beyond the border
    angles = torch.arange(-25, 25.5, 0.5).tolist()
    best = []
    for image, turned in zip(images, found, strict=True):
        off = [
            float((tv.rotate(image, angle, InterpolationMode.BILINEAR) - turned)[
                :, inner, inner
            ].abs().max())
            for angle in angles
        ]  # fmt: skip
        best.append((min(off), angles[off.index(min(off))]))
    assert max(off for off, _ in best) < 0.1  # half a step of the angles
    assert max(angle for _, angle in best) <= 20 and min(angle for _, angle in best) >= -20
    assert max(angle for _, angle in best) > 10 and min(angle for _, angle in best) < -10


def test_colours_keep_their_hue(only):
    only("BRIGHTNESS", "CONTRAST", "SATURATION")
    images = _images(30)
    order, found = images.argsort(dim=1), _distorted(images)
    assert torch.equal(found.argsort(dim=1), order)
    grey = images.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    spread = _distorted(grey).std(dim=1)
    assert float(spread.max()) < 1e-4  # and grey stays grey


@pytest.mark.parametrize("size", [8, 32])
def test_a_square_of_half_the_side_is_hidden_less_what_lies_beyond_the_border(only, size: int):
    only("HIDDEN")
    hidden = (_distorted(torch.ones(200, 3, size, size)) == 0).all(dim=1)
    counts = hidden.sum(dim=(1, 2))
    assert int(counts.max()) == (size // 2) ** 2 and int(counts.min()) >= (size // 4 - 1) ** 2
    rows, columns = hidden.any(dim=2).sum(dim=1), hidden.any(dim=1).sum(dim=1)
    assert torch.equal(rows * columns, counts)  # so it is one rectangle
