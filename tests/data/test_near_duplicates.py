"""Near duplicates: found where a person sees the same picture twice, and nowhere else."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from labelclean.data import demo, looks, neighbours, shown_parts
from labelclean.data.looks import Looks, looks_of
from labelclean.data.near_duplicates import near_groups


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
    seen = looks_of(lambda part: pixels[part], rows, size=pixels.shape[1])
    return near_groups(seen, _embed(pixels).__getitem__, pixels.__getitem__)


def _hashed(hashes: np.ndarray) -> Looks:
    grey = np.zeros((len(hashes), looks.SIDE, looks.SIDE), np.uint8)
    return Looks(grey=grey, hashes=hashes, is_detailed=False)


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
    seen, embeddings = _hashed(np.full(2, 7, np.uint64)), np.ones((2, 3), np.float16)
    pixels = _photos(2)
    assert near_groups(seen, embeddings.__getitem__, pixels.__getitem__).tolist() == [0, 1]
    first = near_groups(seen, embeddings.__getitem__, lambda part: pixels[part * 0])
    assert first.tolist() == [0, 0]


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
    seen = _hashed(hashes)
    assert near_groups(seen, embeddings.__getitem__, _same_pixels).tolist() == expected
    assert expected != list(range(40))


def test_many_equal_hashes_make_one_group_without_comparing_each_with_each():
    seen = _hashed(np.full(5_000, 7, dtype=np.uint64))
    embeddings = np.ones((5_000, 2), np.float16)
    assert (near_groups(seen, embeddings.__getitem__, _same_pixels) == 0).all()


def test_looks_by_several_processes_are_those_of_one_and_few_chunks_are_read_ahead(monkeypatch):
    pixels = _squares(_scenes(70))
    monkeypatch.setattr(looks, "FEW", 10)
    monkeypatch.setattr(looks, "CHUNK", 10)
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

    found = looks_of(pixels_of, rows, size=128, workers=2, on_rows=on_rows)
    alone = looks_of(pixels.__getitem__, rows, size=128, workers=1)
    np.testing.assert_array_equal(found.hashes, alone.hashes)
    np.testing.assert_array_equal(found.grey, alone.grey)
    assert max(ahead) <= 30 and done == 70


def test_no_images_have_no_groups():
    none = np.empty(0, dtype=np.int64)
    seen = looks_of(lambda part: np.empty((0, 8, 8, 3), np.uint8), none, size=8)
    assert len(seen.hashes) == 0
    assert len(near_groups(seen, np.empty((0, 4)).__getitem__, _same_pixels)) == 0


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


def test_images_with_too_little_detail_are_not_compared_by_their_parts():
    scenes = _scenes(8)
    pixels = _squares([*scenes, scenes[0].crop((12, 8, 148, 110))])
    assert _groups(pixels)[8] == 0
    assert _groups(pixels[:, ::2, ::2].copy())[8] == 8  # 64 px


def test_copies_are_found_without_opening_an_image():
    scenes = _scenes(40)
    pixels = _squares([*scenes, *(image.crop((8, 6, 152, 114)) for image in scenes[:20])])
    seen = looks_of(pixels.__getitem__, np.arange(60), size=128)
    first = near_groups(seen, _embed(pixels).__getitem__, None)
    assert (first[40:] == np.arange(20)).mean() >= 0.9
    assert (first[:40] == np.arange(40)).all()


def test_copies_among_many_images_are_found_by_cells_and_blocks(monkeypatch):
    scenes = _scenes(80)
    copies = [image.crop((12, 8, 148, 110)) for image in scenes[:20]]
    pixels = _squares([*scenes, *copies])
    exact = _groups(pixels)
    monkeypatch.setattr(neighbours, "EXACT", 10)
    monkeypatch.setattr(shown_parts, "PAIRS_AT_ONCE", 64)
    monkeypatch.setattr(shown_parts, "CHUNK", 7)
    found = _groups(pixels)
    assert (exact[80:] == np.arange(20)).all()
    assert (found[80:] == np.arange(20)).mean() >= 0.9
    assert (found[:80] == np.arange(80)).all()


def test_rows_without_an_embedding_do_not_disturb_the_others():
    scenes = _scenes(8)
    pixels = _squares([*scenes, scenes[0].crop((12, 8, 148, 110))])
    embeddings = _embed(pixels)
    embeddings[3] = np.nan
    seen = looks_of(pixels.__getitem__, np.arange(9), size=128)
    assert near_groups(seen, embeddings.__getitem__, pixels.__getitem__)[8] == 0
