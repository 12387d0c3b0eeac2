"""Batches: from stored pixels to augmented float tensors, resident on the device or streaming."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelclean.data.distorting import distort

STATISTICS_SAMPLE = 5_000  # images that mean and deviation of the colours are taken from
AHEAD = 2  # batches read before they are asked for


class PixelRows(Protocol):
    """The interface that the cache and the reader of streamed images share."""

    @property
    def pixels(self) -> NDArray[np.uint8] | None:
        """(n, size, size, 3), perhaps memory-mapped; None where images are decoded on demand."""
        ...

    def rows(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(len(index), size, size, 3)."""
        ...


@dataclass(frozen=True)
class Batch:
    """A step's images, labels and rows; where processes share a step, only a share of the images.

    images     (b, 3, h, w) normalised
    labels     (b,) int64
    index      (b,) int64: row of the source
    distorted  (b, 3, h, w) the same images seen otherwise, where that is asked for
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    distorted: Tensor | None = None


def step_generator(seed: int, epoch: int, step: int, device: torch.device) -> torch.Generator:
    """Randomness of one step, the same wherever a run starts again."""
    state = np.random.SeedSequence((seed, epoch, step)).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state) >> 1)


def dealt_rows(
    rows: NDArray[np.int64], steps: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """The rows of each step of an epoch, shuffled and dealt evenly."""
    return np.array_split(np.random.default_rng((seed, epoch)).permutation(rows), steps)


class Batches:
    """Gives the same batches for the same seed, epoch and step, wherever a run starts again."""

    def __init__(
        self,
        pixels: PixelRows,
        labels: NDArray[np.int64],
        train_rows: NDArray[np.int64],
        *,
        device: torch.device,
        dtype: torch.dtype,
        batch_size: int,
        shift: int,
        flip: bool,
        seed: int,
        resident_bytes: int,
        own: Callable[[int], slice] = slice,
        distorts: bool = False,
        colours: tuple[Sequence[float], Sequence[float]] | None = None,
    ) -> None:
        """Places the pixels on the device if they take at most resident_bytes there.

        labels      (n,)  int64, given labels of all rows of the source
        train_rows  (t,)  int64, the rows to train on
        shift             px of the random translation, at most the image's side less one
        flip              whether half of the images are mirrored
        own               batch size -> the slice of this process; default: everything
        distorts          whether an epoch gives a second, distorted view of each image
        colours           mean and deviation to normalise by; None: those of the training images
        """
        self.labels = torch.from_numpy(labels).to(device)
        self.train_rows = train_rows
        self.batch_size = batch_size
        self._pixels = pixels
        self._device, self._dtype = device, dtype
        self.flip, self.own, self._distorts = flip, own, distorts
        self._seed = seed
        self._resident: Tensor | None = None
        stored = pixels.pixels
        if stored is not None and (device.type == "cpu" or stored.nbytes <= resident_bytes):
            self._resident = torch.from_numpy(stored).to(device)
        sample = train_rows[:: max(1, len(train_rows) // STATISTICS_SAMPLE)]
        sampled = pixels.rows(sample)
        self._shift = min(shift, sampled.shape[1] - 1)  # farther there is nothing to mirror
        mean, std = colours or _colours_of(sampled)
        self._mean = torch.tensor(mean, device=device, dtype=dtype)
        self._scale = torch.tensor([1 / x for x in std], device=device, dtype=dtype)

    @property
    def colours(self) -> tuple[list[float], list[float]]:
        """Mean and deviation of the three colours, 0 to 255, that images are normalised by."""
        return self._mean.float().tolist(), (1 / self._scale.float()).tolist()

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.train_rows) // self.batch_size)

    def generator(self, epoch: int, step: int) -> torch.Generator:
        """Randomness of one step; the same after a resumption, without any stored state."""
        return step_generator(self._seed, epoch, step, self._device)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Shuffled, augmented batches; every training row once an epoch."""
        parts = self.shuffled(epoch)[first_step:]
        for step, (index, images) in enumerate(self._read(parts), start=first_step):
            count, generator = len(index), self.generator(epoch, step)
            moved = self._normalise(self._augment(images, count, generator))
            distorted = None
            if self._distorts:
                again = self._augment(images, count, generator)
                again = distort(again, self._mean, count, self.own(count), generator)
                distorted = self._normalise(again)
            yield Batch(moved, self.labels[index], index, distorted)

    def in_order(self, rows: NDArray[np.int64]) -> Iterator[Batch]:
        """The given rows as they are, in their order, in batches four times as large."""
        for index, images in self._read(self.dealt(rows)):
            yield Batch(self._normalise(images), self.labels[index], index)

    def sample(self, count: int) -> Tensor:
        """The first training images (at most count, 3, h, w), as they are, normalised."""
        rows = self._pixels.rows(self.train_rows[:count])
        return self._normalise(torch.from_numpy(rows).to(self._device))

    def shuffled(self, epoch: int) -> list[NDArray[np.int64]]:
        """The rows of each step, dealt evenly, so that no batch is too small for batch norm."""
        return dealt_rows(self.train_rows, self.steps_per_epoch, self._seed, epoch)

    def dealt(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        count = max(1, -(-len(rows) // (4 * self.batch_size)))
        return np.array_split(rows, count)

    def _read(self, parts: list[NDArray[np.int64]]) -> Iterator[tuple[Tensor, Tensor]]:
        if self._resident is not None:
            for part in parts:
                index = torch.from_numpy(part).to(self._device)
                yield index, self._resident.index_select(0, index[self.own(len(index))])
            return
        with ThreadPoolExecutor(1) as reader:  # one reader keeps the order; decoding is parallel
            waiting: list[Future[NDArray[np.uint8]]] = []
            owned = [part[self.own(len(part))] for part in parts]
            for k, part in enumerate(parts):
                while len(waiting) < AHEAD and k + len(waiting) < len(parts):
                    waiting.append(reader.submit(self._pixels.rows, owned[k + len(waiting)]))
                images = torch.from_numpy(waiting.pop(0).result())
                index = torch.from_numpy(part)
                if self._device.type == "cuda":
                    images, index = images.pin_memory(), index.pin_memory()
                yield (
                    index.to(self._device, non_blocking=True),
                    images.to(self._device, non_blocking=True),
                )

    def _augment(self, images: Tensor, of: int, generator: torch.Generator) -> Tensor:
        """Translates by up to `shift` px, borders mirrored, and mirrors half of the images.

        Drawn for all images of the step, `of`: an image moves the same whoever gets it.
        """
        count, size = images.shape[:2]
        own = self.own(of)
        device = images.device
        places = torch.arange(size, device=device)
        moves = torch.randint(
            -self._shift, self._shift + 1, (2, of, 1), device=device, generator=generator
        )[:, own]
        rows, columns = _mirror(places + moves[0], size), _mirror(places + moves[1], size)
        if self.flip:
            flipped = torch.rand((of, 1), device=device, generator=generator)[own] < 0.5
            columns = torch.where(flipped, columns.flip(1), columns)
        start = torch.arange(count, device=device)[:, None] * size
        flat = ((start + rows)[:, :, None] * size + columns[:, None, :]).reshape(-1)
        # one index_select of 3-byte pixels: half the time of indexing by three tensors
        return images.reshape(-1, 3).index_select(0, flat).view(images.shape)

    def _normalise(self, images: Tensor) -> Tensor:
        scaled = images.to(self._dtype).sub_(self._mean).mul_(self._scale)
        return scaled.permute(0, 3, 1, 2)  # channels last in memory, as stored


def _colours_of(pixels: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Mean and deviation of the three colours of pixels (m, s, s, 3)."""
    colours = pixels.reshape(-1, 3)
    # images of one grey level have no deviation: at least one level keeps it finite
    return colours.mean(axis=0).tolist(), np.maximum(colours.std(axis=0), 1.0).tolist()


def _mirror(places: Tensor, size: int) -> Tensor:
    """Reflects places outside [0, size) into it, without repeating the border."""
    return (size - 1) - ((size - 1) - places.abs()).abs()
