"""SampleTable: what every source becomes, and the one thing that leaves the reading of sources."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

OK = "ok"
MISSING = "missing"  # a label whose image is not there
UNREADABLE = "unreadable"  # a file that no decoder accepts, empty or too large
UNLABELLED = "unlabelled"  # an image without a label
REPEATED = "repeated"  # a further row of the input for the image of an earlier row
DUPLICATE_OF = "duplicate_of:"  # followed by the path of the first image with the same content

NO_LABEL = -1


def has_image(status: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows (n,) whose status is not that of an image that is missing or unreadable.

    status  (n,) texts, object; as texts of one width, ten million of them can take gigabytes
    """
    return ~np.asarray((status == MISSING) | (status == UNREADABLE), dtype=np.bool_)


class ImageSource(Protocol):
    """Gives the encoded image of a row; picklable, so that other processes can read too."""

    def read(self, row: int) -> bytes | NDArray[np.uint8]:
        """The encoded file (bytes) of a row, or its pixels (h, w, 3). Raises OSError."""
        ...

    def fingerprint(self, row: int) -> str:
        """Changes whenever the row's content may have changed: name, size and mtime of a file."""
        ...


@dataclass(frozen=True, kw_only=True)
class ArrayImages:
    """Images that are pixels in memory.

    pixels  (m, h, w, 3) uint8
    rows    (n,) which of them row k is
    """

    pixels: NDArray[np.uint8]
    rows: NDArray[np.int64]

    def read(self, row: int) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = self.pixels[self.rows[row]]
        return image

    def fingerprint(self, row: int) -> str:
        return hashlib.blake2b(self.read(row).tobytes(), digest_size=16).hexdigest()


@dataclass(frozen=True, kw_only=True)
class SomeImages:
    """Some of the images of a source: row k is its row rows[k]."""

    images: ImageSource
    rows: NDArray[np.int64]

    def read(self, row: int) -> bytes | NDArray[np.uint8]:
        return self.images.read(int(self.rows[row]))

    def fingerprint(self, row: int) -> str:
        return self.images.fingerprint(int(self.rows[row]))


@dataclass(frozen=True, kw_only=True)
class Understood:
    """The format and columns that a source was taken for.

    splits   (n,) name of each row's split, None where it has none
    columns  what for -> the column's name, of tables
    left     columns that are not used
    """

    format: str
    why: str
    splits: tuple[str | None, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    left: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SampleTable:
    """One row for each image or label that the source names, in the source's order.

    images       reads row k, k in [0, n)
    paths        (n,) as given, forward slashes
    labels       (n,) int64, index into class_names, or NO_LABEL
    class_names  (c,) in the order of the indices
    status       (n,) str objects, the constants above
    held_out     (n,) bool: rows of a test or validation split, reported but not trained on
    truth        (n,) int64 like labels where the true labels are known, else None
    root         folder that the paths are relative to, absolute; None for rows inside an archive
    notes        one line each: what the user should know about how the source was read
    merged       further rows of the input that name an image again: place among all rows, path,
                 label ("" for none)
    understood   what the source was taken for; None for what no source was read for
    """

    images: ImageSource
    paths: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    status: NDArray[np.object_]
    held_out: NDArray[np.bool_]
    root: Path | None
    truth: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()
    merged: tuple[tuple[int, str, str], ...] = ()
    understood: Understood | None = None

    def __post_init__(self) -> None:
        sizes = {len(self.paths), len(self.labels), len(self.status), len(self.held_out)}
        if len(sizes) != 1:
            raise ValueError(f"columns of unequal length: {sorted(sizes)}")

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def recorded(self) -> dict[str, str | None]:
        """The facts about the source's reading that a report keeps."""
        about = self.understood
        if about is None:
            return {}
        columns: dict[str, str | None] = {f"{k} from": v for k, v in about.columns.items()}
        return {"format": about.format, "why": about.why, **columns}

    def with_status(self, status: NDArray[np.object_]) -> SampleTable:
        return replace(self, status=status)

    def take(self, rows: NDArray[np.int64]) -> SampleTable:
        """The table of these rows alone; it says nothing of how the source was read."""
        return SampleTable(
            images=SomeImages(images=self.images, rows=rows),
            paths=tuple(self.paths[row] for row in rows.tolist()),
            labels=self.labels[rows],
            class_names=self.class_names,
            status=self.status[rows],
            held_out=self.held_out[rows],
            root=self.root,
            truth=None if self.truth is None else self.truth[rows],
        )

    def with_labels(self, labels: NDArray[np.int64]) -> SampleTable:
        return replace(self, labels=labels)
