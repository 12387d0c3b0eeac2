"""Files of features: what `labelclean features` writes, a shard each, and what a user has."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labelclean.data.large_arrays import ROWS_AT_ONCE, blocks_of, nan_array
from labelclean.data.samples import MISSING, UNREADABLE
from labelclean.errors import ConfigError, SourceError, printable

PATH_COLUMNS = ("image", "path", "file_name", "filename")
FEATURE_COLUMNS = ("features", "embedding", "embeddings", "feature")
LARGEST = 1_000.0  # half precision holds about 65,000: larger features are scaled
_META = b"labelclean"
_NAME = re.compile(r"features-(\d+)-of-(\d+)\.parquet")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One of `count` parts of a source's rows, numbered from 1."""

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ConfigError(f"--shard is {self.number}/{self.count}, must be 1/N to N/N")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """ "3/64". Raises ConfigError."""
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        if match is None:
            raise ConfigError(f"--shard is {printable(text)}, must be such as 3/64")
        return cls(number=int(match[1]), count=int(match[2]))

    @property
    def name(self) -> str:
        width = len(str(self.count))
        return f"features-{self.number:0{width}}-of-{self.count:0{width}}.parquet"

    def rows(self, total: int) -> NDArray[np.int64]:
        """Its rows of so many: neighbours, so that an archive is read by few."""
        return np.array_split(np.arange(total), self.count)[self.number - 1]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Facts on what a file of features was made of; equal in all shards of one source.

    backbone  name and digest of the network; rows: of the whole source
    """

    backbone: str
    digest: str
    image: str
    rows: int
    shards: int


def write_features(
    path: Path,
    origin: Origin,
    paths: list[str],
    status: list[str],
    reasons: list[str],
    features: NDArray[np.float16],
) -> None:
    """A Parquet file of the rows; features (m, f) are null where they are NaN.

    Raises SourceError for names that are no Unicode, OSError from the disk.
    """
    width = features.shape[1]
    kind = pa.list_(pa.float16(), width)
    schema = pa.schema(
        [
            ("image", pa.string()),
            ("status", pa.string()),
            ("reason", pa.string()),
            ("features", kind),
        ],
        metadata={_META: json.dumps(asdict(origin)).encode()},
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in blocks_of(len(paths)):
            seen = np.ascontiguousarray(features[part])
            gone = pa.array(np.isnan(seen[:, 0]))
            flat = pa.array(seen.reshape(-1))
            try:
                names = pa.array(paths[part], pa.string())
            except UnicodeEncodeError as error:
                raise SourceError(
                    f"Parquet holds no broken UTF-8 such as the name '{printable(error.object)}': "
                    "rename the file, or leave it out by --ignore"
                ) from None
            columns = [names, pa.array(status[part]), pa.array(reasons[part])]
            lists = pa.FixedSizeListArray.from_arrays(flat, width, mask=gone)
            writer.write_table(pa.table([*columns, lists], schema=schema))


def parts_of(path: Path) -> list[Path]:
    """The files that --features names: one, or all shards of a folder.

    Raises SourceError if there is none, or a shard is missing.
    """
    place = printable(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SourceError(f"--features {place}: no such file or folder")
    shards: dict[int, dict[int, Path]] = {}
    for each in path.iterdir():
        if match := _NAME.fullmatch(each.name):
            shards.setdefault(int(match[2]), {})[int(match[1])] = each
    if not shards:
        raise SourceError(f"--features {place}: holds no features-1-of-N.parquet")
    if len(shards) > 1:
        counts = " and ".join(map(str, sorted(shards)))
        raise SourceError(f"--features {place}: holds shards of {counts}; keep one of them")
    ((count, parts),) = shards.items()
    missing = sorted(set(range(1, count + 1)) - set(parts))
    if missing:
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise SourceError(
            f"--features {place}: shard {missing[0]} of {count}{more} is missing; run labelclean "
            f"features --shard {missing[0]}/{count}"
        )
    files = [parts[number] for number in sorted(parts)]
    first = origin_of(files[0])
    for each in files[1:]:
        if origin_of(each) != first:
            raise SourceError(
                f"--features {place}: {printable(each.name)} is of another network or source than "
                f"{printable(files[0].name)}"
            )
    return files


def origin_of(path: Path) -> Origin | None:
    """The facts in the file, if `labelclean features` wrote it."""
    try:
        found = (pq.read_schema(path).metadata or {}).get(_META)
        return None if found is None else Origin(**json.loads(found))
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise SourceError(f"--features {printable(path)}: cannot be read ({error})") from None


def unseen(path: Path) -> dict[str, tuple[str, str]]:
    """Image -> status and reason of those that `labelclean features` could not read."""
    if path.suffix == ".npy":
        return {}
    unread: dict[str, tuple[str, str]] = {}
    for part in parts_of(path):
        if origin_of(part) is None:
            continue
        table = pq.read_table(part, columns=["image", "status", "reason"])
        gone = pc.is_in(table["status"], pa.array([MISSING, UNREADABLE]))
        for cells in table.filter(gone).to_pylist():
            unread[cells["image"]] = (cells["status"], cells["reason"])
    return unread


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
        row_of = {name: row for row, name in enumerate(paths)}
        cells = (pq.read_table(each, columns=[named])[named].to_pylist() for each in files)
        return np.array([row_of.get(str(name), -1) for part in cells for name in part], np.int64)

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
