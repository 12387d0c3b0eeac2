"""The folder that inject-noise leaves: labels, truth, facts, and CIFAR's images if asked for."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from labelclean import disk
from labelclean.data.samples import ArrayImages
from labelclean.errors import OutputError, SourceError
from labelclean.text import csv_text

LABELS, TRUTH, META = "labels.csv", "truth.csv", "noise.json"
IMAGES, PARQUET = "images", "images.parquet"
_OWN = (LABELS, TRUTH, IMAGES, PARQUET, META)  # the facts last: they tell a finished folder
_GROUP = 1000  # images in a row group: what reading one image brings into memory

Advance = Callable[[float, float, str], None]


def check_folder(folder: Path, force: bool) -> None:
    """Raises OutputError if there is anything at that path that is not to be replaced."""
    with disk.errors_of(folder, "--out"):
        if not folder.is_dir() or not disk.entries(folder):
            return
    if not force:
        raise OutputError(
            f"--out {folder}: is not empty: choose another folder, or --force replaces earlier "
            "noise in it"
        )
    pictures = folder / IMAGES
    foreign = set(os.listdir(pictures)) - {"train", "test"} if pictures.is_dir() else set()
    if not (folder / META).is_file() or foreign or pictures.is_symlink():
        raise OutputError(
            f"--out {folder}: is not what inject-noise wrote, so --force does not replace it: "
            "choose another folder"
        )


def write_folder(
    folder: Path,
    files: Mapping[str, bytes],
    write_images: Callable[[Path], None] | None,
    force: bool,
) -> None:
    """All the files, and what write_images adds to the folder it is given, or nothing at all.

    Raises OutputError if the folder must not be replaced or cannot be written.
    """
    with disk.claim_folder(folder), disk.stage(folder) as stage:
        check_folder(folder, force)
        for name, data in files.items():
            disk.write_durably(stage.path / name, data)
        if write_images is not None:
            write_images(stage.path)
        stage.exchange(_OWN)


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A table in UTF-8. Raises SourceError for a name that is no Unicode."""
    try:
        return csv_text([header, *rows]).encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"{error.object!a}: is no Unicode: rename the image") from None


def json_bytes(facts: Mapping[str, object]) -> bytes:
    """One line for each fact, so that a matrix does not fill pages."""
    lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in facts.items())
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def write_png(folder: Path, names: Sequence[str], images: ArrayImages, advance: Advance) -> None:
    """images/ with a PNG file for each name."""
    for parent in {(folder / IMAGES / name).parent for name in names}:
        parent.mkdir(parents=True)
    for row, name in enumerate(names):
        (folder / IMAGES / name).write_bytes(_png(images, row))
        if row % _GROUP == 0:
            advance(row, len(names), f"{row:,} of {len(names):,}")


def write_parquet(
    folder: Path,
    names: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    images: ArrayImages,
    advance: Advance,
) -> None:
    """images.parquet with Hugging Face's struct of bytes and path, and the columns of text."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", image), *((name, pa.string()) for name in columns)])
    with pq.ParquetWriter(folder / PARQUET, schema) as writer:
        for start in range(0, len(names), _GROUP):
            rows = range(start, min(start + _GROUP, len(names)))
            cells = [{"bytes": _png(images, row), "path": names[row]} for row in rows]
            texts = [pa.array([column[row] for row in rows]) for column in columns.values()]
            writer.write_table(pa.table([pa.array(cells, image), *texts], schema=schema))
            advance(start, len(names), f"{start:,} of {len(names):,}")


def _png(images: ArrayImages, row: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(images.read(row)).save(out, "PNG", compress_level=1)
    return out.getvalue()
