"""Images of more than 8 bits: one range of brightness for a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelclean.data.images import ImageSpec, decode
from labelclean.data.samples import SampleTable
from labelclean.data.value_range import choose_values
from labelclean.sources import SourceOptions, read_images


def write(folder: Path, *maxima: float, dtype: str = "uint16", low: float = 0) -> SampleTable:
    """Squares that rise from `low` to each of the maxima."""
    folder.mkdir(exist_ok=True)
    for k, top in enumerate(maxima):
        pixels = np.linspace(low, top, 64 * 64).reshape(64, 64).astype(dtype)
        Image.fromarray(pixels).save(folder / f"{k:03d}.tif")
    return read_images(folder, SourceOptions())


@pytest.mark.parametrize(
    ("maxima", "expected"),
    [
        ((4095, 4000, 3500), (0, 4095)),  # a 12-bit camera
        ((65535, 60000), (0, 65535)),
        ((40000, 30), (0, 65535)),
        ((255, 200, 130), (0, 255)),  # 8 bits in 16
        ((1, 0.5), (0, 1)),
        ((255.0, 12.5), (0, 255)),
    ],
)
def test_the_range_is_that_of_8_12_or_16_bits_where_they_are_filled(tmp_path, maxima, expected):
    dtype = "float32" if any(isinstance(top, float) for top in maxima) or 1 in maxima else "uint16"
    values, note = choose_values(write(tmp_path / "i", *maxima, dtype=dtype), None)
    assert values == pytest.approx(expected)
    assert f"{expected[1]:,} white" in note.replace(".0 ", " ")


def test_maxima_on_both_sides_of_12_bits_give_one_range_by_their_percentile(tmp_path):
    tops = range(3500, 4700, 100)
    values, _ = choose_values(write(tmp_path / "i", *tops), None)
    assert values is not None and 4095 < values[1] < 4700


def test_two_images_keep_their_difference_in_brightness(tmp_path):
    table = write(tmp_path / "i", *[4090, 4100] * 10)
    values, _ = choose_values(table, None)
    spec = ImageSpec(size=64, resize=64, values=values)
    one, other = (decode((tmp_path / f"i/{k:03d}.tif").read_bytes(), spec) for k in (0, 1))
    assert np.abs(one.astype(int) - other.astype(int)).max() <= 1
    each = ImageSpec(size=64, resize=64)
    one, other = (decode((tmp_path / f"i/{k:03d}.tif").read_bytes(), each) for k in (0, 1))
    assert one.mean() > 10 * other.mean()


def test_a_bit_depth_that_is_named_is_taken(tmp_path):
    values, note = choose_values(write(tmp_path / "i", 900, 700), 10)
    assert values == (0, 1023) and note == "--bit-depth 10: 0 is black and 1,023 white"


def test_images_of_8_bits_have_no_range(tmp_path):
    assert choose_values(write(tmp_path / "i", 255, 200, dtype="uint8"), None) == (None, "")


def test_negative_values_are_not_clipped_to_black(tmp_path):
    values, _ = choose_values(write(tmp_path / "i", 100.0, low=-100.0, dtype="float32"), None)
    assert values is not None and values[0] == pytest.approx(-100, abs=1)


def test_a_hot_pixel_does_not_make_all_images_dark(tmp_path):
    table = write(tmp_path / "i", *[1000] * 8)
    pixels = np.asarray(Image.open(tmp_path / "i/000.tif")).copy()
    pixels[0, 0] = 65535
    Image.fromarray(pixels).save(tmp_path / "i/000.tif")
    values, _ = choose_values(table, None)
    assert values is not None and values[1] == pytest.approx(1000, rel=0.01)
