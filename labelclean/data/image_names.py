"""Which file names are those of images: the endings of what Pillow opens here."""

from __future__ import annotations

import functools
import posixpath

from PIL import Image

_STUBS = {"BUFR", "GRIB", "HDF5", "MPEG"}  # Pillow knows their names, but cannot decode them


@functools.cache
def image_extensions() -> frozenset[str]:
    """The endings, lower case and with their dot, of the formats that Pillow opens here."""
    known = Image.registered_extensions()
    return frozenset(
        ext for ext, kind in known.items() if kind in Image.OPEN and kind not in _STUBS
    )


def is_image_name(path: str) -> bool:
    return posixpath.splitext(path)[1].lower() in image_extensions()
