"""In which form apply writes: the one that the labels came in, or a new table of all images."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labelclean.apply.editing import plan_edits
from labelclean.apply.folder_labels import Placing, place_as_they_are, place_in_classes
from labelclean.apply.origin import Origin
from labelclean.apply.outcome import Outcome
from labelclean.apply.parquet_labels import rewrite_parquet
from labelclean.apply.relabelling import Edit, rewrite_text
from labelclean.apply.writing import (
    LINKS,
    Advance,
    Written,
    link_files,
    write_bytes,
    written_file,
)
from labelclean.data.noisy_files import csv_bytes
from labelclean.errors import ConfigError, ReportError, SourceError, printable
from labelclean.report.files import encode_json
from labelclean.tables.table import (
    ARROW,
    EXCEL,
    JSON,
    PARQUET,
    SUFFIXES,
    packed,
    read_bytes,
    table_ending,
)

_NEW_TABLES = (".csv", ".jsonl", ".parquet")
_NOT_WRITTEN = EXCEL + JSON + ARROW  # labels that came so are written as a new table


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A result that is ready to be written.

    make         writes it at a place, and says what it wrote
    unreported   rows or files that the report does not judge, kept as they were
    renamed      files that got another name
    notes        what the user should know of it
    reads        what filter is given to read it, the place of the result left out as None
    """

    make: Callable[[Path, Advance], Sequence[Written]]
    unreported: int = 0
    renamed: int = 0
    notes: tuple[str, ...] = ()
    reads: tuple[str | None, ...] = (None,)


def prepare(
    origin: Origin, outcome: Outcome, held_out: NDArray[np.bool_], out: Path, link: str | None
) -> Prepared:
    """The result for `out`, whose ending says whether that is a table or a folder.

    held_out  (n,) rows of a test or validation split
    link      one of LINKS for a folder of files; None: copy

    Raises ConfigError if the labels cannot be written in that form, SourceError or ReportError if
    they are not those of the report.
    """
    if link is not None and link not in LINKS:
        raise ConfigError(f"--link is {printable(link)}, must be {', '.join(LINKS)}")
    ending = table_ending(out)
    is_table = ending in SUFFIXES
    places = origin.places
    links_files = not is_table and bool(places.images)
    if link is not None and not links_files:
        raise ConfigError(
            f"--link is for a folder of images, and --out {printable(out)} is none: leave it out"
        )
    if links_files:
        return _folder(origin, outcome, link or LINKS[0])
    is_kept = bool(places.tables) and table_ending(places.tables[0]) not in _NOT_WRITTEN
    if is_kept and (not places.hold_images or ending in PARQUET):
        return _same_table(origin, outcome, out)
    if places.hold_images and not is_table and len(places.tables) > 1:
        return _shards(origin, outcome)
    return _new_table(origin, outcome, held_out, out)


def _same_table(origin: Origin, outcome: Outcome, out: Path) -> Prepared:
    first = origin.tables[0]
    if len(origin.tables) > 1:
        raise ConfigError(
            f"--out {printable(out)}: the labels came in {len(origin.tables)} tables: give a "
            "folder's name, without an ending"
        )
    if out.suffix.lower() != first.suffix.lower():
        raise ConfigError(
            f"--out {printable(out)}: the labels came as {printable(first.name)} and are written "
            f"in that format: give a name that ends in {first.suffix.lower()}"
        )
    planned = plan_edits(origin, outcome)
    (edit,) = planned.edits
    write, notes = _table_writer(edit, origin.reading.encoding)

    def make(place: Path, advance: Advance) -> Sequence[Written]:
        write(place, advance)
        return [written_file(place)]

    reads: tuple[str | None, ...] = (None,)
    if origin.root is not None:
        start = origin.root / origin.folder_of(first)
        is_beside = not origin.places.images and out.absolute().parent == start
        reads = (None,) if is_beside else (str(start), None)
    elif not origin.places.hold_images:
        reads = (origin.source, None)
    return Prepared(
        make=make,
        unreported=planned.unreported,
        notes=notes,
        reads=(*reads, *origin.options),
    )


def _shards(origin: Origin, outcome: Outcome) -> Prepared:
    planned = plan_edits(origin, outcome)
    root = Path(origin.source)

    def make(place: Path, advance: Advance) -> Sequence[Written]:
        written = []
        for edit in planned.edits:
            name = edit.table.path.relative_to(root).as_posix()
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            rewrite_parquet(edit, place / name, advance)
            written.append(written_file(place / name, name))
        return written

    return Prepared(make=make, unreported=planned.unreported, reads=(None, *origin.options))


def _folder(origin: Origin, outcome: Outcome, link: str) -> Prepared:
    if origin.root is None:
        raise ValueError(f"{origin.source}: files without a root")
    root = origin.root
    placing: Placing
    tables: list[tuple[str, Callable[[Path, Advance], None]]] = []
    unreported = 0
    notes: tuple[str, ...] = ()
    if origin.tables:
        placing = place_as_they_are(origin.places.images, outcome)
        planned = plan_edits(origin, outcome)
        unreported = planned.unreported
        for edit in planned.edits:
            write, more = _table_writer(edit, origin.reading.encoding)
            notes += more
            tables.append((edit.table.path.relative_to(root).as_posix(), write))
    else:
        level = origin.reading.class_level
        placing = place_in_classes(origin.places.images, outcome, str(root), level)
        unreported = placing.unreported

    def make(place: Path, advance: Advance) -> Sequence[Written]:
        place.mkdir()
        written = link_files(placing.moves, root, place, link, advance)
        for name, write in tables:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            write(place / name, advance)
            written.append(written_file(place / name, name))
        return written

    return Prepared(
        make=make,
        unreported=unreported,
        renamed=placing.renamed,
        notes=notes,
        reads=(None, *origin.options),
    )


def _table_writer(
    edit: Edit, encoding: str | None
) -> tuple[Callable[[Path, Advance], None], tuple[str, ...]]:
    path = edit.table.path
    if path.suffix.lower() in PARQUET:
        return lambda place, advance: rewrite_parquet(edit, place, advance), ()
    try:
        data, notes = rewrite_text(edit, read_bytes(path), encoding)
    except OSError as error:
        raise SourceError(f"{printable(path)}: cannot be read: {error.strerror}") from None

    def write(place: Path, advance: Advance) -> None:
        write_bytes(place, packed(data, path))

    return write, notes


def _new_table(
    origin: Origin, outcome: Outcome, held_out: NDArray[np.bool_], out: Path
) -> Prepared:
    """image,label of every row that stays, for images whose labels were in no table."""
    if out.suffix.lower() not in _NEW_TABLES:
        ways = ", ".join(_NEW_TABLES)
        is_folder = origin.places.class_folders or len(origin.tables) > 1
        also = ", or in nothing for a folder" if is_folder else ""
        raise ConfigError(
            f"--out {printable(out)}: labels of {printable(origin.source)} are written to a name "
            f"that ends in {ways}{also}"
        )
    rows = [k for k, left_out in enumerate(outcome.is_excluded.tolist()) if not left_out]
    columns = {
        "image": [outcome.images[k] for k in rows],
        "label": [outcome.labels[k] for k in rows],
    }
    if held_out.any():  # else filter would take them for rows to train on
        columns["split"] = ["test" if held_out[k] else "train" for k in rows]
    data = _encoded(columns, out)

    def make(place: Path, advance: Advance) -> Sequence[Written]:
        return [write_bytes(place, data)]

    # The columns are the new table's own, and its split is too where the images are files.
    options: list[str] = []
    for flag, value in zip(origin.options, origin.options[1:], strict=False):
        if flag in ("--split", "--root") and not origin.places.class_folders:
            options += [flag, value]
    return Prepared(make=make, reads=(str(origin.root or origin.source), None, *options))


def _encoded(columns: dict[str, list[str]], out: Path) -> bytes:
    rows: Iterable[tuple[str, ...]] = zip(*columns.values(), strict=True)
    ending = out.suffix.lower()
    if ending == ".csv":
        return csv_bytes(list(columns), rows)
    if ending == ".jsonl":
        lines = (encode_json(dict(zip(columns, row, strict=True))) for row in rows)
        return b"".join(line + b"\n" for line in lines)
    sink = io.BytesIO()
    try:
        pq.write_table(pa.table(columns), sink, compression="zstd")
    except UnicodeEncodeError as error:
        raise ReportError(f"'{printable(error.object)}': Parquet holds no broken UTF-8") from None
    return sink.getvalue()
