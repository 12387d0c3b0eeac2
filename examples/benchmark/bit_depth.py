"""Prints how well wrong labels are found in the images of a 12-bit camera, beside 8 bits.

    python examples/benchmark/bit_depth.py                # the demo's images, from 0 to 2 seeds

Each image of the demo is written as 8-bit grey, and as 16-bit grey with a maximum between 3,500 and
4,700, as a camera's 12 bits with some gain are. `labelclean filter` reads both.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.metrics import average_precision_score

from labelclean import __version__, filter_dataset
from labelclean.config import PRESETS, FilterConfig
from labelclean.data.demo import CLASSES, demo_images


def write(folder: Path, images: np.ndarray, labels: np.ndarray, tops: np.ndarray | None) -> None:
    """images (n, h, w) uint8; tops (n,) the largest value of each, None for 8 bits."""
    (folder / "images").mkdir(parents=True)
    lines = ["image,label"]
    for k, image in enumerate(images):
        if tops is not None:
            image = (image.astype(np.float64) / max(1, image.max()) * tops[k]).astype(np.uint16)
        Image.fromarray(image).save(folder / "images" / f"{k:04d}.png")
        lines.append(f"{k:04d}.png,{CLASSES[labels[k]]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    pixels, truth = demo_images()
    print(f"labelclean {__version__}, {args.count} images of the demo, 20 % wrong labels")
    print("seed  bits  AP of wrong labels  noise rate")
    for seed in range(args.seeds):
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(pixels), args.count, replace=False)
        images = pixels[rows] if pixels.ndim == 3 else pixels[rows][..., 0]
        wrong = rng.random(args.count) < 0.2
        labels = np.where(wrong, (truth[rows] + rng.integers(1, 10, args.count)) % 10, truth[rows])
        tops = rng.integers(3500, 4701, args.count)
        for bits in (8, 12):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                write(folder, images, labels, None if bits == 8 else tops)
                train = replace(PRESETS["quick"], seed=seed)
                report = filter_dataset(
                    folder / "images", folder / "labels.csv", config=FilterConfig(train=train)
                )
            score = report.to_frame()["label_score"].to_numpy()
            precision = average_precision_score(wrong, -score)
            print(f"{seed:4d}  {bits:4d}  {precision:18.3f}  {report.meta.noise_rate:10.3f}")


if __name__ == "__main__":
    main()
