#!/usr/bin/env python3
"""Makes labelclean/data/demo: 400 Fashion-MNIST images a class, as one lossless PNG sheet each.

    python examples/make_demo_data.py [FOLDER]

FOLDER holds the IDX files of Fashion-MNIST, by default where Debian's package dataset-fashion-mnist
puts them. The same files give the same images; a class's images keep the data set's order.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from labelclean.data.demo import CLASSES, PER_CLASS, SHEETS, SIDE, sheet_name

SEED = 20210619
COLUMNS = 20


def read_idx(path: Path) -> np.ndarray:
    """The array of an IDX file of bytes: two zero bytes, type 8, rank, then each size."""
    data = gzip.decompress(path.read_bytes())
    rank = data[3]
    sizes = np.frombuffer(data, ">i4", rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(sizes)


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist")
    images = read_idx(folder / "train-images-idx3-ubyte.gz")
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz")
    SHEETS.mkdir(exist_ok=True)
    draw = np.random.Generator(np.random.PCG64(SEED)).random(len(labels))
    for label, name in enumerate(CLASSES):
        rows = np.flatnonzero(labels == label)
        chosen = np.sort(rows[np.argsort(draw[rows], kind="stable")[:PER_CLASS]])
        tiles = images[chosen].reshape(-1, COLUMNS, SIDE, SIDE)
        sheet = tiles.swapaxes(1, 2).reshape(-1, COLUMNS * SIDE)
        Image.fromarray(sheet).save(SHEETS / sheet_name(name), optimize=True)
    total = sum(path.stat().st_size for path in SHEETS.iterdir())
    print(f"{len(CLASSES) * PER_CLASS} images, {total:,} bytes in {SHEETS}")


if __name__ == "__main__":
    main()
