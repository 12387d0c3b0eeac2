"""Small pictures of some rows as pixels, for contact sheets and terminals."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labelclean.data.images import UnreadableImage
from labelclean.data.samples import ImageSource
from labelclean.review.thumbnails import make_picture

Pixels = NDArray[np.uint8]


def read_thumbnail(images: ImageSource, row: int, side: int) -> Pixels | None:
    """The whole image (h, w, 3), no side longer than `side` px; None: it cannot be read."""
    try:
        picture = make_picture(images.read(row), side)
    except (OSError, UnreadableImage):
        return None
    with Image.open(io.BytesIO(picture.data)) as image:
        return np.asarray(image.convert("RGB"))


def read_thumbnails(images: ImageSource, rows: Iterable[int], side: int) -> dict[int, Pixels]:
    """Row to picture, of those rows that can be read."""
    pictures = {row: read_thumbnail(images, row, side) for row in rows}
    return {row: pixels for row, pixels in pictures.items() if pixels is not None}
