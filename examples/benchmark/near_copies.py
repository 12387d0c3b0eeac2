"""Prints how many changed copies of photos are found, each under another label, and what else is.

    python examples/benchmark/near_copies.py --images CLASS_FOLDERS       # photos of 96 px and more
    python examples/benchmark/near_copies.py --made-up 1000000            # seconds, memory

Of 60 photos a copy is put into the folder of another class: a crop (80 to 95 % of each side), at
40 % of the size, as JPEG of quality 20, a quarter brighter, or a crop as such a JPEG. `labelclean
filter` looks at all; a copy is found where the report has it in one group with its original. With
--exact N more than N images are searched by cells, as very many are; with --features `filter` has
the files of `labelclean features` alone and opens no image. --made-up: no images but
random embeddings and grey values of so many: the search for the nearest, and the comparison that
all of them have.
"""

from __future__ import annotations

import argparse
import io
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from labelclean import __version__, filter_dataset
from labelclean.data import looks, neighbours, shown_parts
from labelclean.data.image_names import is_image_name
from labelclean.workflows.featurising import write_source_features

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    share = rng.uniform(0.8, 0.95)
    width, height = int(image.width * share), int(image.height * share)
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def small(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.resize((max(8, image.width * 2 // 5), max(8, image.height * 2 // 5)))


def jpeg(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=20)
    return Image.open(out).convert("RGB")


def bright(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.25)


def crop_as_jpeg(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return jpeg(crop(image, rng), rng)


CHANGES: tuple[Change, ...] = (crop, small, jpeg, bright, crop_as_jpeg)


def time_search(count: int) -> None:
    """Prints how long the search among so many made-up images takes."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((1_000, 128), dtype=np.float32)
    embeddings = np.empty((count, 128), np.float16)
    grey = np.empty((count, looks.SIDE, looks.SIDE), np.uint8)
    for begin in range(0, count, 16_384):
        part = slice(begin, min(count, begin + 16_384))
        noise = rng.standard_normal((part.stop - begin, 128), dtype=np.float32)
        embeddings[part] = centres[rng.integers(0, len(centres), len(noise))] + noise
        grey[part] = rng.integers(0, 256, (len(noise), *grey.shape[1:]), dtype=np.uint8)
    began = time.perf_counter()
    one, other = neighbours.nearest_pairs(count, embeddings.__getitem__, shown_parts.NEIGHBOURS)
    searched = time.perf_counter()
    shown_parts.correlations(grey.__getitem__, shown_parts.FIRST_STAGES[0][0], (one, other))
    ended = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count:,} made-up images: nearest {searched - began:.0f} s, {len(one):,} pairs compared "
        f"{ended - searched:.0f} s, {memory:,.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=Path)
    parser.add_argument("--copies", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--exact", type=int, default=neighbours.EXACT, metavar="N")
    parser.add_argument("--features", action="store_true")
    parser.add_argument("--made-up", type=int, metavar="N")
    args = parser.parse_args()
    if args.made_up:
        time_search(args.made_up)
        return
    if args.images is None:
        parser.error("give --images or --made-up")
    neighbours.EXACT = args.exact
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "images"
        shutil.copytree(args.images, folder)
        files = sorted(p for p in folder.rglob("*") if p.is_file() and is_image_name(p.name))
        classes = sorted({path.parent for path in files})
        copies: dict[str, tuple[str, str]] = {}  # copy -> original, kind
        for k, row in enumerate(rng.choice(len(files), args.copies, replace=False).tolist()):
            change = CHANGES[k % len(CHANGES)]
            others = [place for place in classes if place != files[row].parent]
            target = others[int(rng.integers(len(others)))] / f"copy{k:03d}.png"
            change(Image.open(files[row]).convert("RGB"), rng).save(target)
            copies[target.relative_to(folder).as_posix()] = (
                files[row].relative_to(folder).as_posix(),
                change.__name__,
            )
        if args.features:
            write_source_features(folder, out=Path(name) / "features")
            shutil.rmtree(folder)
            folder = Path(name) / "features"
        report = filter_dataset(folder)
    frame = report.to_frame()
    first = {
        image: near or image
        for image, near in zip(frame["image"], frame["near_duplicate_of"], strict=True)
    }
    print(
        f"labelclean {__version__}, {len(files):,} photos of {args.images.name}, seed {args.seed}"
        f"{', searched by cells' if len(frame) > args.exact else ''}"
        f"{', from features alone' if args.features else ''}"
    )
    for change in CHANGES:
        pairs = [(copy, of) for copy, (of, kind) in copies.items() if kind == change.__name__]
        found = sum(first[copy] == first[of] for copy, of in pairs)
        print(f"{change.__name__:14s} {found:3d} of {len(pairs)} found")
    linked = [image for image, near in first.items() if image != near and image not in copies]
    others = [image for image in linked if image not in {of for of, _ in copies.values()}]
    print(f"other photos   {len(others):3d} of {len(files):,} are held for near copies")
    seconds = sum(v for stage, v in report.meta.seconds.items() if stage.startswith("near dup"))
    print(f"near duplicates took {seconds:.1f} s")


if __name__ == "__main__":
    main()
