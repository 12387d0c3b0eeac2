"""Small sources of images for the tests of the cache."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labelclean.data.cache import Pixels, Streamed, load
from labelclean.data.images import ImageSpec
from labelclean.data.samples import (
    OK,
    ImageSource,
    SampleTable,
)

SPEC = ImageSpec(size=8, resize=8)
GB = 10**9


@dataclass(frozen=True)
class Files:
    folder: Path
    names: tuple[str, ...]

    def read(self, row: int) -> bytes:
        return (self.folder / self.names[row]).read_bytes()

    def fingerprint(self, row: int) -> str:
        try:
            found = os.stat(self.folder / self.names[row])
        except FileNotFoundError:
            return f"{self.names[row]}|"
        return f"{self.names[row]}|{found.st_size}|{found.st_mtime_ns}"


def table_of(images: ImageSource, paths: tuple[str, ...], root: Path | None = None) -> SampleTable:
    n = len(paths)
    return SampleTable(
        images=images,
        paths=paths,
        labels=np.zeros(n, np.int64),
        class_names=("a",),
        status=np.full(n, OK, dtype=object),
        held_out=np.zeros(n, bool),
        root=root,
    )


def write_images(folder: Path, count: int) -> tuple[NDArray[np.uint8], SampleTable]:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(count).integers(0, 256, (count, 8, 8, 3), np.uint8)
    names = tuple(f"{row:05}.png" for row in range(count))
    for name, image in zip(names, pixels, strict=True):
        Image.fromarray(image).save(folder / name)
    return pixels, table_of(Files(folder, names), names, folder)


def loaded(
    table: SampleTable,
    cache_dir: Path,
    *,
    limit: int = GB,
    workers: int | None = None,
    seen: list[tuple[int, int]] | None = None,
) -> Pixels | Streamed:
    report = seen if seen is not None else []
    return load(
        table,
        SPEC,
        cache_dir=cache_dir,
        limit_bytes=limit,
        workers=workers,
        on_progress=lambda done, total: report.append((done, total)),
    )


def cache_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix != ".lock")
