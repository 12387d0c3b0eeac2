"""The transform of a trained model: the same pixels as the training saw."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from labelclean.data.images import ImageSpec, decode
from labelclean.data.transform import Transform

MEAN, STD = (100.0, 110.0, 120.0), (50.0, 60.0, 70.0)


def _transform(size: int = 8, resize: int = 9) -> Transform:
    return Transform(spec=ImageSpec(size=size, resize=resize), mean=MEAN, std=STD)


def _picture(mode: str) -> Image.Image:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 30, 4)).astype(np.uint8)
    return Image.fromarray(pixels, "RGBA").convert(mode)


@pytest.mark.filterwarnings("ignore:.*mode.*parameter:DeprecationWarning")
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "LA"])
def test_a_picture_becomes_what_its_file_is_decoded_to_normalised(mode: str):
    image = _picture(mode)
    file = io.BytesIO()
    image.save(file, "PNG")
    transform = _transform()
    pixels = decode(file.getvalue(), transform.spec)
    expected = (pixels.astype(np.float64) - MEAN) / STD
    found = transform(image)
    assert found.dtype == torch.float32 and found.shape == (3, 8, 8)
    np.testing.assert_allclose(found.numpy(), expected.transpose(2, 0, 1), atol=1e-5)


def test_a_picture_on_its_side_is_turned_upright():
    image = Image.new("RGB", (8, 8))
    image.paste((255, 0, 0), (0, 0, 8, 4))  # the upper half
    exif = image.getexif()
    exif[274] = 6  # to be turned by 90 degrees, so that the upper half comes to the right
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    turned = _transform(8, 8)(Image.open(file))
    assert (turned[0, :, 6] > turned[0, :, 1]).all()


def test_the_users_picture_stays_as_it_was():
    image = _picture("RGB")
    before = image.tobytes(), image.size
    _transform()(image)
    assert (image.tobytes(), image.size) == before
