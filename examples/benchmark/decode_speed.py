"""Prints how fast the pixel cache is built, beside what Pillow alone does on the same cores.

    python examples/benchmark/decode_speed.py                      # generated photos
    python examples/benchmark/decode_speed.py --images DIR         # your own
    python examples/benchmark/decode_speed.py --tiny 100000        # peak memory instead

Pillow alone: the same opening, draft, resize and crop, in as many processes, started beforehand,
and the pixels thrown away. The cache: everything `labelclean filter` does, so with the start of
the processes, content hashes, status, writing and fsync.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import loky
import numpy as np
from PIL import Image

from labelclean.data.cache import Pixels, load
from labelclean.data.images import ImageSpec
from labelclean.data.samples import OK, SampleTable


@dataclass(frozen=True)
class Files:
    folder: str
    names: tuple[str, ...]

    def read(self, row: int) -> bytes:
        with open(os.path.join(self.folder, self.names[row]), "rb") as file:
            return file.read()

    def fingerprint(self, row: int) -> str:
        found = os.stat(os.path.join(self.folder, self.names[row]))
        return f"{self.names[row]}|{found.st_size}|{found.st_mtime_ns}"


def table_of(folder: Path) -> SampleTable:
    names = tuple(sorted(entry.name for entry in os.scandir(folder)))
    n = len(names)
    return SampleTable(
        images=Files(str(folder), names),
        paths=names,
        labels=np.zeros(n, np.int64),
        class_names=("a",),
        status=np.full(n, OK, dtype=object),
        held_out=np.zeros(n, bool),
        root=folder,
    )


def write_photos(folder: Path, count: int, width: int, height: int) -> None:
    """JPEG files of about the size of photos: coarse structure and some grain."""
    random = np.random.default_rng(0)
    for row in range(count):
        coarse = random.integers(0, 256, (height // 25, width // 25, 3), np.uint8)
        photo = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        grain = random.normal(0, 8, (height, width, 1))
        pixels = (np.asarray(photo) + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{row:06}.jpg", quality=90)


def write_tiny(folder: Path, count: int) -> None:
    random = np.random.default_rng(0)
    for row in range(count):
        pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{row:08}.bmp")


def pillow_alone(paths: list[str], size: int, resize: int) -> int:
    total = 0
    for path in paths:
        with Image.open(path) as image:
            image.draft(None, (2 * resize, 2 * resize))
            picture = image.convert("RGB")
        width, height = picture.size
        side = min(width, height) * size / resize
        left, top = (width - side) / 2, (height - side) / 2
        if side != size:
            box = (left, top, left + side, top + side)
            picture = picture.resize(
                (size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0
            )
        total += np.asarray(picture).nbytes
    return total


def pillow_rate(paths: list[str], spec: ImageSpec, workers: int) -> float:
    parts = [paths[start : start + 32] for start in range(0, len(paths), 32)]
    with loky.ProcessPoolExecutor(workers) as pool:
        warm = [pool.submit(pillow_alone, paths[:2], spec.size, spec.resize) for _ in range(16)]
        for future in warm:
            future.result()
        begin = time.perf_counter()
        for future in [pool.submit(pillow_alone, part, spec.size, spec.resize) for part in parts]:
            future.result()
        return len(paths) / (time.perf_counter() - begin)


def cache_rate(table: SampleTable, spec: ImageSpec, workers: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        found = load(
            table,
            spec,
            cache_dir=Path(folder),
            limit_bytes=1 << 40,
            workers=workers,
            on_progress=lambda done, total: None,
        )
        seconds = time.perf_counter() - begin
    if not isinstance(found, Pixels):
        raise SystemExit(f"no cache could be built: {found.why}")
    return len(table) / seconds


def compare(folder: Path, spec: ImageSpec, workers: int, repeats: int) -> None:
    table = table_of(folder)
    paths = [str(folder / name) for name in table.paths]
    pairs = [
        (pillow_rate(paths, spec, workers), cache_rate(table, spec, workers))
        for _ in range(repeats)
    ]
    pillow, ours = np.median(pairs, axis=0)
    ratios = [cached / alone for alone, cached in pairs]  # of neighbours: other load is alike
    print(f"{len(table)} images to {spec.size} px, {workers} processes, median of {repeats}")
    print(f"Pillow alone   {pillow:8.0f} images/s")
    print(f"pixel cache    {ours:8.0f} images/s")
    print(f"ratio          {np.median(ratios):8.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")


def peak_memory(count: int, workers: int) -> float:
    """Bytes, of a new process that builds the cache of that many images of 8 px."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        write_tiny(Path(folder), count)
        command = [sys.executable, __file__, "--measure", folder, cache, str(workers)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def measure(folder: str, cache: str, workers: int) -> None:
    table = table_of(Path(folder))
    load(
        table,
        ImageSpec(size=8, resize=8),
        cache_dir=Path(cache),
        limit_bytes=1 << 40,
        workers=workers,
        on_progress=lambda done, total: None,
    )
    unit = 1 if sys.platform == "darwin" else 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def main() -> None:
    parser = argparse.ArgumentParser(description="The rate of decoding into the pixel cache.")
    parser.add_argument("--images", type=Path, help="folder of images, instead of generated photos")
    parser.add_argument("--count", type=int, default=2000, help="photos to generate")
    parser.add_argument("--width", type=int, default=500)
    parser.add_argument("--height", type=int, default=375)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--resize", type=int, default=256)
    parser.add_argument("--workers", type=int, default=loky.cpu_count())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tiny", type=int, metavar="N", help="peak memory for N tiny images")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure[0], given.measure[1], int(given.measure[2]))
    elif given.tiny:
        few = max(1, given.tiny // 10)
        small, large = peak_memory(few, given.workers), peak_memory(given.tiny, given.workers)
        print(f"{few:9} images: peak {small / 1e6:.0f} MB")
        print(f"{given.tiny:9} images: peak {large / 1e6:.0f} MB")
        print(f"{(large - small) / (given.tiny - few):.0f} bytes an image, file names included")
    else:
        spec = ImageSpec(size=given.size, resize=given.resize)
        if given.images:
            compare(given.images, spec, given.workers, given.repeats)
        else:
            with tempfile.TemporaryDirectory() as folder:
                write_photos(Path(folder), given.count, given.width, given.height)
                compare(Path(folder), spec, given.workers, given.repeats)


if __name__ == "__main__":
    main()
