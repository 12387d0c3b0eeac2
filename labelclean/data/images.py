"""Decoding: an image in a format of photos becomes one uint8 square of the training size."""

from __future__ import annotations

import errno
import hashlib
import io
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from labelclean.data.quiet import quiet
from labelclean.data.samples import MISSING, UNREADABLE, ImageSource, SampleTable
from labelclean.errors import SourceError
from labelclean.opening import IMAGE_BYTES

# All that a photo or a scan can be in, by Pillow's names. Others start helper programs (EPS runs
# Ghostscript) or hold what is no picture. HEIF is there where a plugin was registered.
FORMATS = (
    "AVIF", "BMP", "DIB", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM",
    "PSD", "QOI", "SGI", "TGA", "TIFF", "WEBP",
)  # fmt: skip
SMALL = 64  # px: images up to this side are trained on as they are
LARGE = 16 << 20  # px: from here on an image is converted in strips
STRIP = 1 << 20  # px of a strip
HEADERS_READ = 256  # images whose size is looked at before a size is chosen

# What Pillow's readers are known to raise on damaged files: most parse by struct and indexing and
# let those errors out. Warning: where the caller has turned warnings into errors.
DECODER_ERRORS = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError,
    AttributeError, AssertionError, BufferError, RuntimeError, MemoryError, ImportError,
    struct.error, zlib.error, Warning, Image.DecompressionBombError,
)  # fmt: skip


class UnreadableImage(Exception):
    """No pixels can be had from this image; the text is the reason, for the report."""


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """The square that every image becomes.

    size    px, side of the result
    resize  px, the shorter side before the centre crop; equal to size: the crop loses only
            what sticks out of the central square
    values  black and white of images of more than 8 bits; None: of each its own
    is_squeezed  the whole image is resized, whatever its sides: nothing is cut off
    """

    size: int
    resize: int
    values: tuple[float, float] | None = None
    is_squeezed: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.resize:
            raise ValueError(f"size {self.size} must be in [1, resize {self.resize}]")

    def at(self, size: int) -> ImageSpec:
        """The same part of each image in a square of at most that size."""
        if size >= self.size:
            return self
        return replace(self, size=size, resize=round(size * self.resize / self.size))

    @property
    def row_bytes(self) -> int:
        return self.size * self.size * 3


def choose_spec(
    table: SampleTable,
    *,
    image_size: int | None,
    device_is_cpu: bool,
    is_pretrained: bool = False,
) -> ImageSpec:
    """Chooses the size from the headers of some hundred images, evenly spaced over the table.

    is_pretrained  larger images are for a pretrained network: 224 px, squeezed to a square, since
                   what the label names may be anywhere in a photo

    Sides up to 64 px stay: the common square, or else the largest side in steps of 4. Larger
    images are resized to 8/7 of the size and cropped (256 and 224, paper Sec. 6.1; 146 and 128 on
    a CPU), unless all are squares of just that size already. image_size replaces the size only.

    Raises SourceError if no image of the table can be opened.
    """
    sides = np.array(_header_sizes(table))
    largest = int(sides.max())
    is_one_square = bool((sides == largest).all())
    if image_size is not None:
        size = image_size
    elif largest <= SMALL:
        size = largest if is_one_square else -(-largest // 4) * 4
    else:
        size = 128 if device_is_cpu and not is_pretrained else 224
    if is_pretrained and largest > SMALL:
        return ImageSpec(size=size, resize=size, is_squeezed=True)
    is_whole = largest <= SMALL or (is_one_square and largest == size)
    return ImageSpec(size=size, resize=size if is_whole else round(size * 8 / 7))


def largest_side(table: SampleTable) -> int:
    """px of the largest side among some hundred images. Raises SourceError if none opens."""
    return int(np.array(_header_sizes(table)).max())


def _header_sizes(table: SampleTable) -> list[tuple[int, int]]:
    """Width and height of images spaced over the table, or of the first that opens at all."""
    rows = [row for row, status in enumerate(table.status) if status not in (MISSING, UNREADABLE)]
    spaced = rows[:: -(-len(rows) // HEADERS_READ) or 1]
    sizes: list[tuple[int, int]] = []
    problem = ""
    with quiet():
        for at, row in enumerate(spaced + rows):
            if sizes and at >= len(spaced):
                break
            try:
                with open_image(table.images.read(row)) as image:
                    sizes.append(image.size)
            except (OSError, UnreadableImage) as error:
                problem = problem or f"; the first, {table.paths[row]}: {reason_of(error)}"
    if not sizes:
        raise SourceError(f"none of the {len(table)} images can be read{problem}")
    return sizes


def decode(encoded: bytes | NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.uint8]:
    """The first frame, upright, on white where it is transparent, as (size, size, 3).

    encoded  a file in one of FORMATS, or pixels (h, w, 3)

    White, since it is the page that pictures with alpha are made for; dropping the alpha would
    show whatever colours lie hidden under it. JPEG files much larger than needed are shrunk while
    they are decoded, to no less than twice the size.

    Raises UnreadableImage.
    """
    image = open_image(encoded)
    if isinstance(encoded, np.ndarray):
        return square(image, spec)
    try:
        with image:
            image.draft(None, (2 * spec.resize, 2 * spec.resize))
            image.load()
            return square(
                upright(to_8_bit_shrunk(image, 2 * spec.resize, spec.values), image), spec
            )
    except DECODER_ERRORS as error:
        raise UnreadableImage(reason_of(error)) from error


def open_image(encoded: bytes | NDArray[np.uint8]) -> Image.Image:
    """The image of a file, of which only the header is read, or of pixels (h, w, 3).

    Raises UnreadableImage.
    """
    if isinstance(encoded, np.ndarray):
        return _from_array(encoded)
    if not encoded:
        raise UnreadableImage("the file is empty")
    if len(encoded) > IMAGE_BYTES:
        raise UnreadableImage(f"too large: {len(encoded):,} bytes, limit {IMAGE_BYTES:,}")
    return _opened(io.BytesIO(encoded))


def header_size(file: BinaryIO) -> tuple[int, int]:
    """Width and height in px of an image file, of which no more is read than they take.

    Raises UnreadableImage.
    """
    with _opened(file) as image:
        return image.size


def _opened(file: BinaryIO) -> Image.Image:
    try:
        image = Image.open(file, formats=_formats())
    except UnidentifiedImageError as error:
        raise UnreadableImage("not in an image format that photos have") from error
    except DECODER_ERRORS as error:
        raise UnreadableImage(reason_of(error)) from error
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:  # Pillow itself only warns
        raise UnreadableImage(f"too large: {image.width} x {image.height} px, limit {limit} px")
    if not (image.width and image.height):
        raise UnreadableImage("the image has no pixels")
    return image


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _from_array(pixels: NDArray[np.uint8]) -> Image.Image:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise UnreadableImage(f"not (h, w, 3) uint8 but {pixels.shape} {pixels.dtype}")
    return Image.fromarray(np.ascontiguousarray(pixels))


def to_8_bit(image: Image.Image, values: tuple[float, float] | None = None) -> Image.Image:
    """The same picture in mode L or RGB, on white where it is transparent.

    values  black and white of more than 8 bits
    """
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(to_8_bit_range(np.asarray(image), fixed=values))
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(
            (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        )
        return opaque.convert("RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")


def to_8_bit_shrunk(
    image: Image.Image, least: int, values: tuple[float, float] | None = None
) -> Image.Image:
    """to_8_bit, of a large image in strips and with its shorter side not much above `least` px.

    So that what is needed beside the decoded image does not grow with it.
    """
    factor = min(image.size) // max(1, least)
    if image.width * image.height <= LARGE or factor < 2:
        return to_8_bit(image, values)
    wide, high = image.width // factor * factor, image.height // factor * factor
    step = max(1, STRIP // image.width // factor) * factor
    is_ranged = image.mode.startswith(("I", "F"))
    limits = value_range(image, step) if is_ranged and values is None else None
    parts = []
    for top in range(0, high, step):
        strip = image.crop((0, top, wide, min(top + step, high)))
        if is_ranged:
            part = Image.fromarray(to_8_bit_range(np.asarray(strip), limits, values))
        else:
            strip.info = dict(image.info)  # with the transparent colour of palettes
            part = to_8_bit(strip)
        parts.append(part.reduce(factor))
    whole = Image.new(parts[0].mode, (wide // factor, sum(part.height for part in parts)))
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    return whole


def value_range(image: Image.Image, step: int) -> tuple[float, float] | None:
    """The least and the largest finite value, looked for strip by strip; None where none is."""
    ranges: list[tuple[float, float]] = []
    for top in range(0, image.height, step):
        values = np.asarray(image.crop((0, top, image.width, min(top + step, image.height))))
        values = values[np.isfinite(values)]
        if values.size:
            ranges.append((float(values.min()), float(values.max())))
    return (min(a for a, _ in ranges), max(b for _, b in ranges)) if ranges else None


def upright(image: Image.Image, original: Image.Image) -> Image.Image:
    """Turned as the EXIF data of the original says; damaged data does not spoil the pixels."""
    with suppress(*DECODER_ERRORS):
        turn = _TURNS.get(original.getexif().get(ExifTags.Base.Orientation, 1))
        return image if turn is None else image.transpose(turn)
    return image


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_8_bit_range(
    values: NDArray[np.generic],
    limits: tuple[float, float] | None = None,
    fixed: tuple[float, float] | None = None,
) -> NDArray[np.uint8]:
    """Scales to 0-255 by the range that the values are in; nothing that is finite is clipped.

    Integers: the fewest of 8, 12, 16 or 31 bits that hold the largest, so that 12-bit cameras and
    scanners are not nearly black and 16-bit photos keep their brightness. Floats: 0-1 or 0-255.
    With anything negative or beyond: from the least value to the largest. NaN becomes black.

    limits  least and largest value of the whole image, of which `values` are a part
    fixed   what becomes 0 and 255, whatever the values are
    """
    scaled = values.astype(np.float64)
    finite = scaled[np.isfinite(scaled)]
    if not finite.size:
        return np.zeros(values.shape, np.uint8)
    low, high = limits or (float(finite.min()), float(finite.max()))
    is_integer = np.issubdtype(values.dtype, np.integer)
    ceilings = [2.0**bits - 1 for bits in (8, 12, 16, 31)] if is_integer else [1.0, 255.0]
    if fixed is not None:
        low, high = fixed
    elif low >= 0 and high <= ceilings[-1]:
        low, high = 0.0, next(ceiling for ceiling in ceilings if high <= ceiling)
    scaled -= low
    scaled *= 255 / ((high - low) or 1.0)
    np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    return np.asarray(scaled.round().clip(0, 255), np.uint8)


def square(image: Image.Image, spec: ImageSpec) -> NDArray[np.uint8]:
    """Resizes the shorter side to spec.resize and crops the centre, in one antialiased step.

    image    mode L or RGB
    returns  (size, size, 3)

    Only the central square is resampled, so a long strip of an image costs no memory; of a spec
    that is squeezed, the whole image.
    """
    width, height = image.size
    side = min(width, height) * spec.size / spec.resize
    left, top = (width - side) / 2, (height - side) / 2
    if spec.is_squeezed:
        if image.size != (spec.size, spec.size):
            image = image.resize(
                (spec.size, spec.size), Image.Resampling.BILINEAR, reducing_gap=2.0
            )
    elif side == spec.size:
        image = image.crop((int(left), int(top), int(left) + spec.size, int(top) + spec.size))
    else:
        image = image.resize(
            (spec.size, spec.size),
            Image.Resampling.BILINEAR,  # with antialiasing, as torchvision's Resize
            box=(left, top, left + side, top + side),
            reducing_gap=2.0,
        )
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)


def reason_of(error: BaseException) -> str:
    """Why an image cannot be read, in one line for the report."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    return " ".join(str(error).split()) or type(error).__name__


# What became of a row. NO_ACCESS is an unreadable row that may read well the next time.
READ, GONE, DAMAGED, NO_ACCESS = range(4)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Input of a decoding process. path: the file of all pixels; None: only check."""

    images: ImageSource
    spec: ImageSpec
    path: Path | None


@dataclass(frozen=True, kw_only=True)
class Block:
    """Results of decoding the rows from start on.

    outcome  (k,) uint8, READ, GONE, DAMAGED or NO_ACCESS
    digest   (k, 2) uint64, of the content; 0 where not READ
    reasons  row and reason where not READ
    """

    start: int
    outcome: NDArray[np.uint8]
    digest: NDArray[np.uint64]
    reasons: tuple[tuple[int, str], ...] = ()


def decode_block(job: Job, start: int, wanted: NDArray[np.bool_]) -> Block:
    """Decodes the wanted rows from start on and writes them to their place in the file.

    Raises OSError where the file cannot be written, never for an image.
    """
    outcome = np.zeros(len(wanted), np.uint8)
    digest = np.zeros((len(wanted), 2), np.uint64)
    pixels = np.zeros((len(wanted), job.spec.size, job.spec.size, 3), np.uint8)
    reasons = []
    for at in np.flatnonzero(wanted):
        row = start + int(at)
        try:
            encoded = job.images.read(row)
        except OSError as error:
            outcome[at] = GONE if error.errno in (errno.ENOENT, errno.ENOTDIR) else NO_ACCESS
            reasons.append((row, reason_of(error)))
            continue
        try:
            pixels[at] = decode(encoded, job.spec)
        except UnreadableImage as error:
            outcome[at] = DAMAGED
            reasons.append((row, str(error)))
        else:
            digest[at] = content_digest(encoded)
    if job.path is not None:
        # By write, not through a mapping: a full disk is then an OSError and not a SIGBUS.
        with open(job.path, "r+b") as file:
            file.seek(start * job.spec.row_bytes)
            file.write(pixels.data)
    return Block(start=start, outcome=outcome, digest=digest, reasons=tuple(reasons))


def content_digest(encoded: bytes | NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(2,) uint64, equal for equal files or for equal pixels of one shape.

    Of the file and not of what the net sees: two different images can look alike when small or
    on white, and a duplicate must be certain.
    """
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(encoded, np.ndarray):
        digest.update(str(encoded.shape).encode())
        digest.update(np.ascontiguousarray(encoded).data)
    else:
        digest.update(encoded)
    return np.frombuffer(digest.digest(), np.uint64)
