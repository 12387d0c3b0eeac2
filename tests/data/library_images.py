"""Compares labelclean with Pillow alone on a folder of odd images; prints JSON.

A process of its own, so that its peak memory is that of the decoding.
"""

from __future__ import annotations

import json
import resource
import sys
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from labelclean.data.images import FORMATS, ImageSpec, UnreadableImage, decode
from labelclean.data.quiet import quiet


def by_pillow(path: Path) -> tuple[np.ndarray | None, int] | None:
    """Pixels of the central square on white, and its side; None where Pillow cannot read it.

    No pixels where a pixel has more than 8 bits: what is white there is not Pillow's to say.
    """
    try:
        with Image.open(path) as image:
            if image.format not in FORMATS:
                return None
            image.load()
            side = min(image.size)
            if image.mode.startswith(("I", "F")):
                return None, side
            try:
                turned = ImageOps.exif_transpose(image)
            except Exception:
                turned = image  # damaged EXIF data do not spoil the pixels
            if image.has_transparency_data:
                page = Image.new("RGBA", turned.size, "white")
                over = (turned.convert("LA") if turned.mode == "La" else turned).convert("RGBA")
                turned = Image.alpha_composite(page, over)
            elif turned.mode == "1":
                turned = turned.convert("L")
            plain = turned.convert("RGB")
    except Exception:
        return None
    left, top = (plain.width - side) // 2, (plain.height - side) // 2
    return np.asarray(plain.crop((left, top, left + side, top + side))), side


def main(folder: Path) -> None:
    warnings.simplefilter("ignore")
    counts = {"files": 0, "readable": 0, "compared": 0}
    differing: list[str] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with quiet():
            theirs = by_pillow(path)
            side = theirs[1] if theirs else 8
            try:
                ours = decode(path.read_bytes(), ImageSpec(size=side, resize=side))
            except UnreadableImage:
                ours = None
        counts["files"] += 1
        counts["readable"] += ours is not None
        if (theirs is None) != (ours is None):
            differing.append(f"{path.name}: readable by {'Pillow' if theirs else 'us'} alone")
        elif theirs and theirs[0] is not None and ours is not None:
            counts["compared"] += 1
            if not np.array_equal(theirs[0], ours):
                differing.append(f"{path.name}: other pixels")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**counts, "differing": differing, "peak_mb": round(peak)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
