"""Near duplicates: found where a person sees the same picture twice, and nowhere else."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from labelclean.data import demo, near_duplicates, shown_parts
from labelclean.data.near_duplicates import near_groups, perceptual_hashes


def _photos(count: int) -> np.ndarray:
    """Real pictures, 56 px: clothes from the demo."""
    pixels, _ = demo.demo_images()
    images = [Image.fromarray(image).convert("RGB").resize((56, 56)) for image in pixels[:count]]
    return np.stack([np.asarray(image) for image in images])


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def _embed(pixels: np.ndarray) -> np.ndarray:
    """Small grey pictures of one brightness: stand in for what a network makes of images."""
    small = [np.asarray(Image.fromarray(x).convert("L").resize((8, 8)), float) for x in pixels]
    flat = np.stack(small).reshape(len(pixels), -1)
    flat = (flat - flat.mean(axis=1, keepdims=True)) / flat.std(axis=1, keepdims=True)
    return flat.astype(np.float16)


def _groups(pixels: np.ndarray) -> np.ndarray:
    rows = np.arange(len(pixels))
    hashes = perceptual_hashes(lambda part: pixels[part], rows)
    return near_groups(hashes, _embed(pixels).__getitem__, pixels.__getitem__)


def _same_pixels(rows: np.ndarray) -> np.ndarray:
    return np.zeros((len(rows), 4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: _jpeg(image, 80),
        lambda image: ImageEnhance.Brightness(image).enhance(0.85),
        lambda image: image.resize((40, 40)).resize((56, 56)),
    ],
    ids=["compressed again", "darker", "scaled down"],
)
def test_a_changed_copy_is_found_and_other_pictures_are_not(change):
    pixels = _photos(60)
    copies = np.stack([np.asarray(change(Image.fromarray(image))) for image in pixels[:20]])
    first = _groups(np.concatenate([pixels, copies]))
    found = first[60:] == np.arange(20)
    assert found.mean() >= 0.8
    assert (first[:60] == np.arange(60)).all()


def test_pictures_that_only_the_hash_takes_for_the_same_are_not_near():
    hashes, embeddings = np.full(2, 7, np.uint64), np.ones((2, 3), np.float16)
    pixels = _photos(2)
    assert near_groups(hashes, embeddings.__getitem__, pixels.__getitem__).tolist() == [0, 1]
    assert near_groups(hashes, embeddings.__getitem__, lambda part: pixels[part * 0]).tolist() == [
        0,
        0,
    ]


def test_groups_are_those_of_all_pairs_compared_one_by_one():
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 2**63, 40, dtype=np.uint64)
    for k in range(0, 40, 4):  # chains: each differs from the one before in two bits
        for step in (1, 2):
            flips = np.uint64(1 << int(generator.integers(0, 30)) | 1 << (30 + step))
            hashes[k + step] = hashes[k + step - 1] ^ flips
    embeddings = np.ones((40, 4), dtype=np.float16)
    embeddings[5] = (1, -1, 1, -1)  # looks the same to the hash alone
    expected = list(range(40))
    for _ in range(40):
        for a in range(40):
            for b in range(40):
                near = (int(hashes[a]) ^ int(hashes[b])).bit_count() <= 3
                if near and 5 not in (a, b):
                    expected[a] = expected[b] = min(expected[a], expected[b])
    assert near_groups(hashes, embeddings.__getitem__, _same_pixels).tolist() == expected
    assert expected != list(range(40))


def test_many_equal_hashes_make_one_group_without_comparing_each_with_each():
    hashes = np.full(5_000, 7, dtype=np.uint64)
    assert (
        near_groups(hashes, np.ones((5_000, 2), np.float16).__getitem__, _same_pixels) == 0
    ).all()


def test_hashes_by_several_processes_are_those_of_one_and_few_chunks_are_read_ahead(monkeypatch):
    pixels = _photos(70)
    monkeypatch.setattr(near_duplicates, "FEW", 10)
    monkeypatch.setattr(near_duplicates, "CHUNK", 10)
    rows, asked, ahead = np.arange(70), 0, []

    def pixels_of(part: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += len(part)
        return pixels[part]

    done = 0

    def on_rows(count: int) -> None:
        nonlocal done
        ahead.append(asked - done)
        done += count

    found = perceptual_hashes(pixels_of, rows, 2, on_rows)
    assert found.tolist() == perceptual_hashes(lambda part: pixels[part], rows, 1).tolist()
    assert max(ahead) <= 30 and done == 70


def test_no_images_have_no_groups():
    none = np.empty(0, dtype=np.int64)
    assert len(perceptual_hashes(lambda part: np.empty((0, 8, 8, 3), np.uint8), none)) == 0
    assert len(near_groups(np.empty(0, np.uint64), np.empty((0, 4)).__getitem__, _same_pixels)) == 0


def _scenes(count: int, seed: int = 0) -> list[Image.Image]:
    """Pictures of 160 x 120 px with blobs of all sizes, each another."""
    generator = np.random.default_rng(seed)
    scenes = []
    for _ in range(count):
        pixels = np.zeros((120, 160, 3))
        for side in (3, 6, 12, 24, 48):
            small = generator.normal(0, 18, (side, side, 3))
            part = [Image.fromarray(small[..., k].astype(np.float32)) for k in range(3)]
            pixels += np.stack([np.asarray(x.resize((160, 120), 3)) for x in part], axis=-1)
        scenes.append(Image.fromarray((128 + pixels).clip(0, 255).astype(np.uint8)))
    return scenes


def _squares(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(image.resize((128, 128), 2)) for image in images])


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.crop((12, 8, 148, 110)),
        lambda image: image.resize((64, 48)),
        lambda image: _jpeg(image, 15),
        lambda image: _jpeg(image.crop((0, 0, 136, 102)).resize((90, 68)), 40),
        lambda image: ImageEnhance.Brightness(image).enhance(1.4),
    ],
    ids=["cropped", "small", "compressed", "all of these", "brighter"],
)
def test_a_photo_is_found_again_at_another_size_crop_or_compression(change):
    scenes = _scenes(30)
    first = _groups(_squares([*scenes, *(change(image) for image in scenes[:10])]))
    assert (first[30:] == np.arange(10)).all()
    assert (first[:30] == np.arange(30)).all()


def test_photos_in_the_same_frame_are_not_near():
    scenes = [image.resize((128, 96)) for image in _scenes(12)]
    framed = []
    for image in scenes:
        page = Image.new("RGB", (160, 120), "white")
        page.paste(image, (16, 12))
        framed.append(page)
    assert (_groups(_squares(framed)) == np.arange(12)).all()


def test_images_with_too_little_detail_or_too_many_are_not_compared_by_their_parts(monkeypatch):
    scenes = _scenes(8)
    pixels = _squares([*scenes, scenes[0].crop((12, 8, 148, 110))])
    assert _groups(pixels)[8] == 0
    assert _groups(pixels[:, ::2, ::2].copy())[8] == 8  # 64 px
    monkeypatch.setattr(shown_parts, "MOST_COMPARED", 5)
    assert _groups(pixels)[8] == 8


def test_rows_without_an_embedding_do_not_disturb_the_others():
    scenes = _scenes(8)
    pixels = _squares([*scenes, scenes[0].crop((12, 8, 148, 110))])
    embeddings = _embed(pixels)
    embeddings[3] = np.nan
    hashes = perceptual_hashes(pixels.__getitem__, np.arange(9))
    assert near_groups(hashes, embeddings.__getitem__, pixels.__getitem__)[8] == 0
