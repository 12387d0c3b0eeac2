"""Batches: what is drawn, in which order, and that it can begin anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from labelclean.data.batches import Batches

CPU = torch.device("cpu")


@dataclass
class Stored:
    pixels: np.ndarray | None
    source: np.ndarray

    def rows(self, index: np.ndarray) -> np.ndarray:
        return self.source[index]


def _pixels(count: int = 50, size: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def _batches(pixels: np.ndarray, streams: bool = False, **options: Any) -> Batches:
    settings: dict[str, Any] = {
        "device": CPU,
        "dtype": torch.float32,
        "batch_size": 8,
        "shift": 2,
        "flip": True,
        "seed": 3,
        "resident_bytes": 0,
        **options,
    }
    labels = np.arange(len(pixels), dtype=np.int64) % 5
    stored = Stored(None if streams else pixels, pixels)
    return Batches(stored, labels, np.arange(0, len(pixels), 2), **settings)


def test_every_training_row_comes_once_an_epoch_with_its_label():
    seen = list(_batches(_pixels()).epoch(0))
    index = torch.cat([batch.index for batch in seen])
    assert sorted(index.tolist()) == list(range(0, 50, 2))
    assert torch.cat([batch.labels for batch in seen]).tolist() == (index % 5).tolist()
    assert {len(batch.index) for batch in seen} == {6, 7}  # 25 rows dealt to 4 steps


def test_epochs_differ_and_seeds_differ():
    batches = _batches(_pixels())
    orders = [
        torch.cat([b.index for b in source.epoch(epoch)]).tolist()
        for source, epoch in ((batches, 0), (batches, 1), (_batches(_pixels(), seed=4), 0))
    ]
    assert orders[0] != orders[1] and orders[0] != orders[2]


@pytest.mark.parametrize("streams", [False, True])
def test_an_epoch_that_begins_in_the_middle_gives_the_same_batches(streams: bool):
    pixels = _pixels()
    whole = list(_batches(pixels).epoch(2))
    rest = list(_batches(pixels, streams).epoch(2, first_step=2))
    assert len(rest) == 2
    for first, second in zip(whole[2:], rest, strict=True):
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.index, second.index)


def test_a_distorted_view_is_of_the_same_images_and_changes_nothing_of_the_plain_one():
    pixels = _pixels(size=16)
    for streams in (False, True):
        batches = _batches(pixels, streams, distorts=True)
        for plain, both in zip(_batches(pixels).epoch(1), batches.epoch(1), strict=True):
            assert plain.distorted is None and both.distorted is not None
            assert torch.equal(plain.images, both.images)
            assert both.distorted.shape == both.images.shape
            assert not torch.equal(both.distorted, both.images)
    again = list(batches.epoch(1, first_step=2))
    assert torch.equal(again[-1].distorted, both.distorted)
    assert all(batch.distorted is None for batch in batches.in_order(np.arange(5)))


def test_images_in_order_are_normalised_and_not_augmented():
    pixels = _pixels()
    train = pixels[0::2].reshape(-1, 3).astype(np.float64)
    expected = (pixels - train.mean(axis=0)) / train.std(axis=0)
    found = torch.cat([b.images for b in _batches(pixels).in_order(np.arange(50))])
    np.testing.assert_allclose(found.permute(0, 2, 3, 1).numpy(), expected, rtol=1e-4, atol=1e-4)


def _moved(image: np.ndarray, dy: int, dx: int, flip: bool) -> np.ndarray:
    """Translation with mirrored borders in plain loops."""
    size = len(image)

    def mirrored(k: int) -> int:
        return -k if k < 0 else 2 * (size - 1) - k if k >= size else k

    out = np.empty_like(image)
    for y in range(size):
        for x in range(size):
            source = x if not flip else size - 1 - x
            out[y, x] = image[mirrored(y + dy), mirrored(source + dx)]
    return out


def test_augmentation_is_a_mirrored_translation_and_half_of_the_images_flip():
    pixels = _pixels(400)
    batches = _batches(pixels)
    moves = {
        (dy, dx, flip): np.stack([_moved(image, dy, dx, flip) for image in pixels])
        for dy in range(-2, 3)
        for dx in range(-2, 3)
        for flip in (False, True)
    }
    found: list[tuple[int, int, bool]] = []
    for batch in batches.epoch(0):
        images = batch.images.permute(0, 2, 3, 1).numpy() * batches._scale.numpy() ** -1
        images = np.rint(images + batches._mean.numpy()).astype(np.uint8)
        for image, row in zip(images, batch.index.tolist(), strict=True):
            found += [
                move for move, all_images in moves.items() if (all_images[row] == image).all()
            ]
    assert len(found) == 200
    assert len(set(found)) > 40
    assert 70 < sum(flip for _, _, flip in found) < 130


@pytest.mark.parametrize("shift", [7, 8, 32])
def test_small_images_are_moved_by_no_more_than_can_be_mirrored(shift: int):
    pixels = _pixels(40, size=8)
    there = {tuple(pixel) for pixel in pixels.reshape(-1, 3).tolist()}
    batches = _batches(pixels, shift=shift)
    for batch in batches.epoch(0):
        images = batch.images.permute(0, 2, 3, 1).numpy() * batches._scale.numpy() ** -1
        moved = np.rint(images + batches._mean.numpy()).astype(np.uint8)
        for image, row in zip(moved, batch.index.tolist(), strict=True):
            own = {tuple(pixel) for pixel in pixels[row].reshape(-1, 3).tolist()}
            assert {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()} <= own
    assert len(there) > 1000


def test_without_flips_no_image_is_mirrored():
    pixels = _pixels()
    batches = _batches(pixels, flip=False, shift=0)
    for batch in batches.epoch(0):
        whole = torch.from_numpy(pixels[batch.index.numpy()]).float()
        expected = (whole - batches._mean) * batches._scale
        torch.testing.assert_close(batch.images.permute(0, 2, 3, 1), expected)


def test_images_of_one_grey_level_stay_finite():
    pixels = np.full((10, 4, 4, 3), 128, np.uint8)
    for batch in _batches(pixels).epoch(0):
        assert torch.isfinite(batch.images).all()
