"""Near duplicates: found where a person sees the same picture twice, and nowhere else."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from labelclean.data import demo, near_duplicates
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
