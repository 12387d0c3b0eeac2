"""Features from files: of the shards that `labelclean features` wrote, or a user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labelclean.data.feature_shards import RowFinder, origin_of, parts_of
from labelclean.data.large_arrays import ROWS_AT_ONCE, blocks_of, nan_array
from labelclean.errors import SourceError, printable

PATH_COLUMNS = ("image", "path", "file_name", "filename")
FEATURE_COLUMNS = ("features", "embedding", "embeddings", "feature")
LARGEST = 1_000.0  # half precision holds about 65,000: larger features are scaled


def read_features(
    path: Path, paths: tuple[str, ...], rows: NDArray[np.int64], folder: Path | None = None
) -> NDArray[np.float16]:
    """Features (n, f) of the images `paths`, on the disk where they are too large for memory.

    path    .npy (n, f) in the order of the images; or .parquet with a column of lists, or a folder
            of the shards that `labelclean features` wrote, matched by a column of paths if there is
            one
    rows    those that must have features; others are NaN
    folder  for what is too large for memory; None: that of temporary files

    Raises SourceError for another number of rows, other images, or what is no finite number.
    """
    place = printable(path)
    if path.suffix not in (".npy", ".parquet") and not path.is_dir():
        if not path.is_file():
            raise SourceError(f"--features {place}: no such file or folder")
        raise SourceError(f"--features {place}: give a .npy or .parquet file, or a folder of them")
    given = _npy(path) if path.suffix == ".npy" else _parquet(path)
    if given.width < 2 or not given.count:
        raise SourceError(
            f"--features {place}: is {(given.count, given.width)}, must be (rows, features)"
        )
    at = given.places(paths)
    if at is None and given.count != len(paths):
        raise SourceError(
            f"--features {place}: has {given.count:,} rows, the source {len(paths):,}; give one "
            "row for each image, in the same order"
        )
    # half precision holds about 65,000: larger features are scaled, which heads do not notice
    largest = 0.0
    if not given.is_half:
        largest = max(float(np.nanmax(np.abs(values), initial=0.0)) for _, values in given.blocks())
    scale = largest / LARGEST if LARGEST < largest < np.inf else 1.0
    features = nan_array((len(paths), given.width), folder)
    is_there = np.zeros(len(paths), dtype=np.bool_)
    for start, values in given.blocks():
        end = start + len(values)
        into = np.arange(start, end) if at is None else at[start:end]
        wanted = into >= 0
        features[into[wanted]] = values[wanted] / scale
        is_there[into[wanted]] = True
    missing = rows[~is_there[rows]]
    if len(missing):
        raise SourceError(
            f"--features {place}: has no features of {len(missing):,} of the {len(paths):,} "
            f"images, the first is {printable(paths[missing[0]])}"
        )
    bad = [
        rows[part][~np.isfinite(features[rows[part]]).all(axis=1)] for part in blocks_of(len(rows))
    ]
    if count := sum(map(len, bad)):
        first = int(np.concatenate(bad)[0])
        raise SourceError(
            f"--features {place}: {count:,} rows hold what is no finite number, the first is row "
            f"{first + 1} ({printable(paths[first])})"
        )
    return features


@dataclass(frozen=True, kw_only=True)
class _Given:
    """Features that are read block by block: the first row's place, and values (b, f).

    is_half  they are of half precision already
    places   the images' names -> row of each row here, -1 for none; None: these are in their order
    """

    count: int
    width: int
    is_half: bool
    blocks: Callable[[], Iterator[tuple[int, NDArray[Any]]]]
    places: Callable[[tuple[str, ...]], NDArray[np.int64] | None] = lambda _: None


def _npy(path: Path) -> _Given:
    place = printable(path)
    if not path.is_file():
        raise SourceError(f"--features {place}: no such file")
    try:
        values = np.load(path, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"--features {place}: no array of numpy ({error})") from None
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        raise SourceError(f"--features {place}: holds {values.dtype}, not numbers")
    if values.ndim != 2:
        raise SourceError(f"--features {place}: is {values.shape}, must be (rows, features)")
    is_half = values.dtype == np.float16

    def blocks() -> Iterator[tuple[int, NDArray[Any]]]:
        for part in blocks_of(len(values)):
            block = np.asarray(values[part])
            yield part.start, block if is_half else block.astype(np.float64)

    return _Given(count=len(values), width=values.shape[1], is_half=is_half, blocks=blocks)


def _parquet(path: Path) -> _Given:
    place = printable(path)
    files = parts_of(path)
    try:
        readers = [pq.ParquetFile(each) for each in files]
        count = sum(each.metadata.num_rows for each in readers)
        names = readers[0].schema_arrow.names
        column = next((name for name in FEATURE_COLUMNS if name in names), None)
        if column is None:
            raise SourceError(
                f"--features {place}: has no column {', '.join(FEATURE_COLUMNS)}; it has "
                f"{', '.join(map(printable, names[:8]))}"
            )
        kind = readers[0].schema_arrow.field(column).type
        if not (pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)):
            raise SourceError(f"--features {place}: column {column} holds no lists of numbers")
        lengths: set[int | None] = set()
        for reader in readers:
            for batch in reader.iter_batches(batch_size=ROWS_AT_ONCE, columns=[column]):
                lengths |= set(pc.list_value_length(batch.column(0)).unique().to_pylist())
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"--features {place}: cannot be read ({error})") from None
    is_ours = origin_of(files[0]) is not None
    known = sorted(each for each in lengths if each is not None)
    if len(known) > 1 or (None in lengths and not is_ours):
        raise SourceError(
            f"--features {place}: rows of different lengths ({known[:3]}); each image needs as "
            "many features"
        )
    named = next((name for name in PATH_COLUMNS if name in names), None)

    def blocks() -> Iterator[tuple[int, NDArray[Any]]]:
        start = 0
        for reader in readers:
            for batch in reader.iter_batches(batch_size=ROWS_AT_ONCE, columns=[column]):
                values = _values(batch.column(0), known[0] if known else 0)
                yield start, values
                start += len(values)

    def places(paths: tuple[str, ...]) -> NDArray[np.int64] | None:
        if named is None:
            return None
        find = RowFinder(paths)
        cells = (pq.read_table(each, columns=[named])[named].to_pylist() for each in files)
        return np.concatenate([find.rows(list(map(str, part))) for part in cells])

    return _Given(
        count=count,
        width=known[0] if known else 0,
        is_half=pa.types.is_float16(kind.value_type),
        blocks=blocks,
        places=places,
    )


def _values(lists: Any, width: int) -> NDArray[Any]:
    """The lists as (b, width); NaN for one that is null."""
    flat = lists.drop_null().flatten().to_numpy(zero_copy_only=False)
    kind = np.float16 if flat.dtype == np.float16 else np.float64
    values = np.full((len(lists), width), np.nan, dtype=kind)
    values[lists.is_valid().to_numpy(zero_copy_only=False)] = flat.reshape(-1, width)
    return values
