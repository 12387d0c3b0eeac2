"""Thumbnails: small pictures of a row for a browser, made on demand, kept within a bound."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labelclean.data.images import (
    DECODER_ERRORS,
    UnreadableImage,
    open_image,
    reason_of,
    to_8_bit,
    to_8_bit_shrunk,
    upright,
)
from labelclean.data.quiet import quiet
from labelclean.data.samples import ImageSource

SMALL = 224  # px, the longer side in a grid
SIDES = (SMALL, 448, 1024, 2048)  # px: a browser asks for the least that fills its place
FULL = 0  # stands for a side: every pixel of the image
LOSSLESS = 96  # px: images up to this side stay as they are, since JPEG would smear them
CACHE_BYTES = 96 * 2**20
JPEG_QUALITY = 86
FULL_QUALITY = 93  # who zooms in looks at single pixels


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An encoded image that any browser shows, with its media type."""

    data: bytes
    media_type: str


class Thumbnails:
    """Pictures of rows by row and size; the least recently used ones go when memory is full.

    Every image is decoded and encoded anew, so a browser never gets a user's file itself.
    """

    def __init__(self, images: ImageSource, cache_bytes: int = CACHE_BYTES) -> None:
        self._images = images
        self._limit = cache_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int], Picture] = OrderedDict()
        self._bytes = 0

    @property
    def kept_bytes(self) -> int:
        return self._bytes

    def get(self, row: int, side: int = SMALL) -> Picture:
        """The picture of a row, no side longer than `side` px. Raises UnreadableImage."""
        key = (row, side)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        try:
            encoded = self._images.read(row)
        except OSError as error:
            raise UnreadableImage(reason_of(error)) from error
        picture = make_picture(encoded, side)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = picture
                self._bytes += len(picture.data)
            while self._bytes > self._limit and self._kept:
                self._bytes -= len(self._kept.popitem(last=False)[1].data)
        return picture


def make_picture(encoded: bytes | NDArray[np.uint8], side: int) -> Picture:
    """The whole image, upright, on white where transparent; never enlarged.

    side  px, the longest that the longer side may be; FULL: as large as it is

    Raises UnreadableImage.
    """
    try:
        with quiet(), open_image(encoded) as image:
            if side != FULL:
                image.draft(None, (side, side))  # JPEG: decodes at a fraction of the size
            image.load()
            if side == FULL:
                whole = upright(to_8_bit(image), image)
                return _encode(whole, FULL_QUALITY, subsampling=0)
            shown = upright(to_8_bit_shrunk(image, 2 * side), image)
            shown.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
            return _encode(shown, JPEG_QUALITY, subsampling=2)
    except DECODER_ERRORS as error:
        raise UnreadableImage(reason_of(error)) from error


def _encode(image: Image.Image, quality: int, subsampling: int) -> Picture:
    out = io.BytesIO()
    if max(image.size) <= LOSSLESS:
        image.save(out, "PNG")
        return Picture(data=out.getvalue(), media_type="image/png")
    image.save(out, "JPEG", quality=quality, subsampling=subsampling)
    return Picture(data=out.getvalue(), media_type="image/jpeg")
