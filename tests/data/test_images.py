from __future__ import annotations

import io
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from labelclean.data.images import (
    ImageSpec,
    UnreadableImage,
    choose_spec,
    content_digest,
    decode,
    to_8_bit,
    to_8_bit_range,
)
from labelclean.data.quiet import quiet
from labelclean.data.samples import MISSING, OK, SampleTable
from labelclean.errors import SourceError

SPEC = ImageSpec(size=16, resize=16)
MODES = {
    "1": "PNG", "L": "PNG", "LA": "PNG", "P": "GIF", "RGB": "PNG", "RGBA": "PNG", "I;16": "PNG",
    "CMYK": "JPEG", "YCbCr": "JPEG", "I": "TIFF", "F": "TIFF", "LAB": "TIFF", "PA": None,
    "HSV": None, "La": None, "RGBa": None, "RGBX": "TIFF",
}  # fmt: skip


@dataclass(frozen=True)
class EncodedImages:
    encoded: tuple[bytes | None, ...]

    def read(self, row: int) -> bytes:
        found = self.encoded[row]
        if found is None:
            raise FileNotFoundError(2, "No such file or directory")
        return found

    def fingerprint(self, row: int) -> str:
        return str(hash(self.encoded[row]))


def table_of(*encoded: bytes | None) -> SampleTable:
    n = len(encoded)
    return SampleTable(
        images=EncodedImages(encoded),
        paths=tuple(f"{row}.png" for row in range(n)),
        labels=np.zeros(n, np.int64),
        class_names=("a",),
        status=np.full(n, OK, dtype=object),
        held_out=np.zeros(n, bool),
        root=None,
    )


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def plain(width: int, height: int, colour: str = "red") -> bytes:
    return encode(Image.new("RGB", (width, height), colour))


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode in ("I;16", "I", "F"):
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        return Image.fromarray(np.asarray(image.convert("L")).astype(kind) * kind(257))
    if mode == "LAB":
        return Image.new("LAB", image.size, (60, 130, 120))
    via = {"La": "LA", "RGBa": "RGBA", "PA": "P"}.get(mode)
    return (image.convert(via) if via else image).convert(mode)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([mode for mode, kind in MODES.items() if kind]),
    st.integers(1, 70),
    st.integers(1, 70),
)
def test_every_mode_and_size_becomes_a_square_of_bytes(mode: str, width: int, height: int) -> None:
    encoded = encode(in_mode(noise(width, height), mode), MODES[mode] or "")
    pixels = decode(encoded, ImageSpec(size=21, resize=24))
    assert pixels.shape == (21, 21, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_an_image_of_the_right_size_is_not_resampled(mode: str) -> None:
    image = in_mode(noise(16, 16), mode)
    np.testing.assert_array_equal(decode(encode(image), SPEC), np.asarray(image.convert("RGB")))


def test_resizing_and_cropping_agree_with_the_two_steps_of_the_paper() -> None:
    gradient = np.linspace(0, 255, 300 * 400).reshape(300, 400).astype(np.uint8)
    image = Image.fromarray(gradient).convert("RGB")
    resized = image.resize((341, 256), Image.Resampling.BILINEAR)
    expected = np.asarray(resized.crop((58, 16, 282, 240)), np.int16)
    found = decode(encode(image), ImageSpec(size=224, resize=256)).astype(np.int16)
    assert np.abs(found - expected).max() <= 2


def test_an_image_whose_shorter_side_is_right_is_cropped_without_resampling() -> None:
    image = noise(41, 32)
    found = decode(encode(image), ImageSpec(size=28, resize=32))
    np.testing.assert_array_equal(found, np.asarray(image)[2:30, 6:34])


def test_downscaling_averages_instead_of_skipping_pixels() -> None:
    stripes = np.zeros((160, 160), np.uint8)
    stripes[:, ::2] = 255
    found = decode(encode(Image.fromarray(stripes)), SPEC)
    assert found[2:-2, 2:-2].min() > 115
    assert found[2:-2, 2:-2].max() < 140


def test_a_strip_of_one_pixel_width_costs_no_memory() -> None:
    found = decode(encode(Image.new("L", (1, 60_000), 9)), ImageSpec(size=224, resize=256))
    assert (found == 9).all()


def test_a_large_jpeg_is_shrunk_while_decoding_to_at_least_twice_the_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[int, int]] = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, *a, **k: seen.append(self.size) or resize(self, *a, **k)
    )
    image = noise(50, 40).resize((1000, 800), Image.Resampling.BICUBIC)
    found = decode(encode(image, "JPEG", quality=95), ImageSpec(size=50, resize=50))
    assert seen[-1] == (125, 100)
    expected = image.crop((100, 0, 900, 800)).resize((50, 50), Image.Resampling.BILINEAR)
    assert np.abs(found.astype(int) - np.asarray(expected)).mean() < 3


def test_transparent_pixels_are_white_whatever_is_hidden_under_them() -> None:
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, 8:] = (10, 20, 30, 255)
    pixels[:, :8, :3] = 77
    found = decode(encode(Image.fromarray(pixels)), SPEC)
    assert (found[:, :8] == 255).all()
    assert (found[:, 8:] == (10, 20, 30)).all()


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_is_white(mode: str) -> None:
    image = Image.new("RGB", (16, 16), "black")
    image.paste("red", (0, 0, 8, 16))
    image = image.convert(mode)
    transparent = image.getpixel((12, 3))
    found = decode(encode(image, transparency=transparent), SPEC)
    assert (found[:, 8:] == 255).all()
    assert not (found[:, :8] == 255).all()


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA", "HSV"])
def test_modes_that_no_file_has_are_converted(mode: str) -> None:
    assert to_8_bit(in_mode(noise(5, 4), mode)).mode in ("L", "RGB")


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    image = Image.new("RGB", (16, 16), (200, 30, 40)).convert("CMYK")
    assert np.abs(decode(encode(image, "JPEG"), SPEC).astype(int) - (200, 30, 40)).max() < 6


def test_a_16_bit_photo_equals_its_8_bit_version() -> None:
    grey = np.asarray(noise(16, 16).convert("L"))
    wide = Image.fromarray(grey.astype(np.uint16) * 257)
    np.testing.assert_array_equal(decode(encode(wide), SPEC)[:, :, 0], grey)


@pytest.mark.parametrize(
    "values, expected",
    [
        (np.array([0, 128, 255], np.int32), [0, 128, 255]),
        (np.array([0, 4095], np.uint16), [0, 255]),
        (np.array([0, 2048, 65535], np.uint16), [0, 8, 255]),
        (np.array([-1000, 0, 1000], np.int32), [0, 128, 255]),
        (np.array([0.0, 0.5, 1.0], np.float32), [0, 128, 255]),
        (np.array([0.0, 128.0, 255.0], np.float32), [0, 128, 255]),
        (np.array([-3e38, 3e38], np.float32), [0, 255]),
        (np.array([np.nan, np.inf, -np.inf, 1.0], np.float32), [0, 255, 0, 255]),
        (np.array([np.nan], np.float32), [0]),
        (np.array([7.5, 7.5], np.float32) - 10, [0, 0]),
    ],
)
def test_wide_values_are_scaled_by_their_range(values: np.ndarray, expected: list[int]) -> None:
    assert to_8_bit_range(values).tolist() == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 65535), min_size=2, max_size=20))
def test_scaling_to_8_bits_keeps_the_order_of_the_values(values: list[int]) -> None:
    scaled = to_8_bit_range(np.array(sorted(values), np.uint16)).astype(int)
    assert (np.diff(scaled) >= 0).all()
    assert scaled.max() < 255 or max(values) > 253  # only the top of a range is white


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(orientation: int) -> None:
    upright = np.zeros((16, 16), np.uint8)
    upright[2:5, 1:12] = 200
    turned = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright, 1), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = encode(Image.fromarray(np.ascontiguousarray(turned)), exif=exif)
    np.testing.assert_array_equal(decode(encoded, SPEC)[:, :, 0], upright)


def test_damaged_exif_data_does_not_spoil_the_image() -> None:
    encoded = encode(noise(16, 16), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    with quiet():  # Pillow warns, as an error here
        assert decode(encoded, SPEC).std() > 10


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "lime")]
    for kind in ("GIF", "WEBP", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        encoded = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert (decode(encoded, SPEC) == (255, 0, 0)).all(), kind


def test_unreadable_files_say_why() -> None:
    jpeg = encode(noise(64, 64), "JPEG")
    cases = {
        b"": "the file is empty",
        b"<html>not found</html>": "not in an image format that photos have",
        jpeg[: len(jpeg) // 2]: "truncated",
        encode(noise(64, 64))[:2000]: "truncated",
    }
    for encoded, reason in cases.items():
        with pytest.raises(UnreadableImage, match=reason):
            decode(encoded, SPEC)


@pytest.mark.parametrize("action", ["error", "ignore"])
@pytest.mark.parametrize("limit", [100, 200])
def test_images_beyond_pillows_limit_are_unreadable(
    limit: int, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = plain(16, 16)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        with pytest.raises(UnreadableImage, match=r"too large|exceeds limit"):
            decode(encoded, SPEC)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 256)
    assert decode(encoded, SPEC).shape == (16, 16, 3)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM", "ICO", "TGA", "PCX"]),
    st.randoms(use_true_random=False),
)
def test_damaged_files_never_raise_anything_else(kind: str, random: object) -> None:
    encoded = bytearray(encode(noise(20, 18), kind))
    for _ in range(random.randint(1, 12)):
        encoded[random.randrange(min(len(encoded), 400))] = random.randrange(256)
    try:
        pixels = decode(bytes(encoded), SPEC)
    except UnreadableImage as error:
        assert str(error)
        assert "\n" not in str(error)
    else:
        assert pixels.shape == (16, 16, 3)


def test_pixels_in_memory_are_taken_as_they_are() -> None:
    pixels = np.asarray(noise(16, 16))
    np.testing.assert_array_equal(decode(pixels, SPEC), pixels)
    with pytest.raises(UnreadableImage, match="uint8"):
        decode(pixels[:, :, 0], SPEC)


def test_the_digest_is_equal_for_equal_content_only() -> None:
    wide, high = np.zeros((2, 3, 3), np.uint8), np.zeros((3, 2, 3), np.uint8)
    assert (content_digest(b"a") == content_digest(b"a")).all()
    assert (content_digest(b"a") != content_digest(b"b")).any()
    assert (content_digest(wide) != content_digest(high)).any()


@pytest.mark.parametrize(
    "sides, image_size, on_cpu, size, resize",
    [
        ([(28, 28), (28, 28)], None, True, 28, 28),
        ([(30, 30)], None, False, 30, 30),
        ([(30, 20), (25, 29)], None, True, 32, 32),
        ([(64, 64), (61, 3)], None, True, 64, 64),
        ([(48, 32)], None, True, 48, 48),
        ([(500, 375), (20, 20)], None, False, 224, 256),
        ([(500, 375)], None, True, 128, 146),
        ([(128, 128)], None, True, 128, 128),
        ([(128, 128)], None, False, 224, 256),
        ([(128, 128), (128, 127)], None, True, 128, 146),
        ([(224, 224)], None, False, 224, 224),
        ([(500, 375)], 96, True, 96, 110),
        ([(28, 28)], 32, True, 32, 32),
    ],
)
def test_the_size_follows_from_the_images(
    sides: list[tuple[int, int]], image_size: int | None, on_cpu: bool, size: int, resize: int
) -> None:
    table = table_of(b"damaged", *(plain(*side) for side in sides), None)
    spec = choose_spec(table, image_size=image_size, device_is_cpu=on_cpu)
    assert spec == ImageSpec(size=size, resize=resize)


def test_the_size_is_found_when_only_one_image_among_many_opens() -> None:
    encoded: list[bytes | None] = [None] * 1000
    encoded[777] = plain(20, 20)
    assert choose_spec(table_of(*encoded), image_size=None, device_is_cpu=True).size == 20


def test_no_readable_image_at_all_is_said_with_the_first_reason() -> None:
    table = table_of(b"", b"damaged", None)
    with pytest.raises(SourceError) as caught:
        choose_spec(table, image_size=None, device_is_cpu=True)
    assert str(caught.value) == (
        "none of the 3 images can be read; the first, 0.png: the file is empty"
    )
    missing = table.with_status(np.full(3, MISSING, dtype=object))
    with pytest.raises(SourceError, match="none of the 3 images can be read$"):
        choose_spec(missing, image_size=None, device_is_cpu=True)


def test_decoding_processes_need_no_torch() -> None:
    root = Path(__file__).parents[2]
    command = "import sys, labelclean.data.cache; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], cwd=root).returncode == 0
