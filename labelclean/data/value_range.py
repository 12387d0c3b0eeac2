"""One range of brightness for all images of a data set that have more than 8 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labelclean.data.images import DECODER_ERRORS, UnreadableImage, open_image
from labelclean.data.quiet import quiet
from labelclean.data.samples import MISSING, UNREADABLE, SampleTable

LOOKED_AT = 256  # images, spaced over the table, whose mode is looked at
SAMPLED = 48  # of those with more than 8 bits, whose values are looked at
VALUES = 20_000  # of each
SHARE = 99.9  # % of the values that are not clipped
_FULL = (255.0, 4095.0, 65535.0)  # 8, 12 and 16 bits
_FILLED = 0.5  # of such a range, from which on it is taken for the images' own


def choose_values(
    table: SampleTable, bit_depth: int | None
) -> tuple[tuple[float, float] | None, str]:
    """The values that become black and white in all images of modes I and F, and a note.

    bit_depth  0 to 2^bits - 1 instead of what the images say

    By each image's own maximum, two images of a 12-bit camera came out 16 times as bright as each
    other, one with a value above 4095 and one without. Where at least half of 8, 12 or 16 bits is
    filled, those are the range; else the 99.9th percentile is, so that a few hot pixels do not
    make all images dark.
    """
    seen = _values(table)
    if seen is None:
        return None, ""
    values, count, is_integer = seen
    if bit_depth is not None:
        high = 2.0**bit_depth - 1
        return (0.0, high), f"--bit-depth {bit_depth}: 0 is black and {high:,.0f} white"
    low = min(0.0, float(np.percentile(values, 100 - SHARE)))
    top = float(np.percentile(values, SHARE))
    ceilings = _FULL if is_integer else (1.0, 255.0)
    high = next((full for full in ceilings if _FILLED * full <= top <= full), top)
    if not is_integer and top <= 1:
        high = 1.0
    if high <= low:
        high = low + 1
    return (low, high), (
        f"images of more than 8 bits: {low:,.6g} is black and {high:,.6g} white in all of them, by "
        f"{count:,} images; --bit-depth sets it"
    )


def _values(table: SampleTable) -> tuple[NDArray[np.float64], int, bool] | None:
    """Values of the images with more than 8 bits, from how many, and whether they are integers."""
    rows = [row for row, status in enumerate(table.status) if status not in (MISSING, UNREADABLE)]
    parts: list[NDArray[np.float64]] = []
    is_integer = True
    with quiet():
        for row in rows[:: -(-len(rows) // LOOKED_AT) or 1]:
            try:
                with open_image(table.images.read(row)) as image:
                    if not image.mode.startswith(("I", "F")):
                        continue
                    pixels = np.asarray(image)
            except (*DECODER_ERRORS, UnreadableImage):
                continue  # decoding will say so
            is_integer = is_integer and np.issubdtype(pixels.dtype, np.integer)
            flat = pixels.ravel()[:: -(-pixels.size // VALUES)].astype(np.float64)
            flat = flat[np.isfinite(flat)]
            if flat.size:
                parts.append(flat)
            if len(parts) == SAMPLED:
                break
    return (np.concatenate(parts), len(parts), is_integer) if parts else None
