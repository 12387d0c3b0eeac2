"""The files that `labelclean features` writes, a shard of a source each: names, facts, rows."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labelclean.data.duplicates import find_duplicates
from labelclean.data.large_arrays import ROWS_AT_ONCE, blocks_of, zeros_array
from labelclean.data.looks import SIDE, Looks
from labelclean.data.samples import MISSING, UNREADABLE
from labelclean.errors import ConfigError, SourceError, printable

_META = b"labelclean"
_CONTENT, _HASH, _GREY = "content", "phash", "grey"
_DIGEST = pa.binary(16)
_PICTURE = pa.binary(SIDE * SIDE)
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

    backbone  name and digest of the network
    last      how many of the features, the first ones, are of its last layer; None: an older
              labelclean did not say
    rows      of the whole source; None: each shard is a file of its own, and nobody has counted
    source    how the images are found again: SourceOptions.record, and "image_root" with it
    is_detailed  whether the looks are; an older labelclean wrote none
    """

    backbone: str
    digest: str
    image: str
    rows: int | None
    shards: int
    source: dict[str, str | None] | None = field(default=None, compare=False)
    last: int | None = field(default=None, compare=False)
    is_detailed: bool = field(default=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class ShardRows:
    """The rows of a shard, (m,) each.

    labels, splits  None where there is none
    """

    paths: list[str]
    labels: list[str | None]
    splits: list[str | None]
    status: list[str]
    reasons: list[str]


def write_features(
    path: Path,
    origin: Origin,
    rows: ShardRows,
    contents: NDArray[np.uint64],
    features: NDArray[np.float16],
    looks: Looks,
) -> None:
    """A Parquet file of the rows.

    contents  (m, 2)  digest of what the image's file holds, 0 where it could not be read
    features  (m, f)  null where they are NaN
    looks     of the rows that have features

    Raises SourceError for names that are no Unicode, OSError from the disk.
    """
    width = features.shape[1]
    kind = pa.list_(pa.float16(), width)
    schema = pa.schema(
        [
            ("image", pa.string()),
            ("label", pa.string()),
            ("split", pa.string()),
            ("status", pa.string()),
            ("reason", pa.string()),
            (_CONTENT, _DIGEST),
            (_HASH, pa.uint64()),
            (_GREY, _PICTURE),
            ("features", kind),
        ],
        metadata={_META: json.dumps(asdict(origin)).encode()},
    )
    looked = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in blocks_of(len(rows.paths)):
            seen = np.ascontiguousarray(features[part])
            is_gone = np.isnan(seen[:, 0])
            gone = pa.array(is_gone)
            of_block = slice(looked, looked + int((~is_gone).sum()))
            looked = of_block.stop
            hashes = np.zeros(len(seen), np.uint64)
            pictures = np.zeros((len(seen), SIDE, SIDE), np.uint8)
            hashes[~is_gone], pictures[~is_gone] = looks.hashes[of_block], looks.grey[of_block]
            flat = pa.array(seen.reshape(-1))
            try:
                texts = [
                    pa.array(cells[part], pa.string())
                    for cells in (rows.paths, rows.labels, rows.splits, rows.status, rows.reasons)
                ]
            except UnicodeEncodeError as error:
                raise SourceError(
                    f"Parquet holds no broken UTF-8 such as the name '{printable(error.object)}': "
                    "rename the file, or leave it out by --ignore"
                ) from None
            digests = np.ascontiguousarray(contents[part])
            content, grey = (
                pa.FixedSizeBinaryArray.from_buffers(kind, len(seen), [None, pa.py_buffer(values)])
                for kind, values in ((_DIGEST, digests), (_PICTURE, pictures))
            )
            lists = pa.FixedSizeListArray.from_arrays(flat, width, mask=gone)
            columns = [*texts, content, pa.array(hashes), grey, lists]
            writer.write_table(pa.table(columns, schema=schema))


def has_shards(folder: Path) -> bool:
    """Whether a file of `labelclean features` is in the folder."""
    try:
        return any(_NAME.fullmatch(each) for each in os.listdir(folder))
    except OSError:
        return False


def read_shard_rows(path: Path) -> ShardRows:
    """The rows of a shard without their features.

    Raises SourceError for a file of an older labelclean, which has no labels, or a damaged one.
    """
    names = ["image", "label", "split", "status", "reason"]
    try:
        if missing := [name for name in names if name not in pq.read_schema(path).names]:
            raise SourceError(
                f"{printable(path)}: has no {missing[0]}, as an older labelclean wrote it: give "
                "the images and this folder by --features"
            )
        table = pq.read_table(path, columns=names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"{printable(path)}: cannot be read ({error})") from None
    return ShardRows(
        **dict(zip(("paths", "labels", "splits", "status", "reasons"),
                   (table[name].to_pylist() for name in names), strict=True))
    )  # fmt: skip


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
                f"--features {place}: {printable(each.name)} is of another network, image size or "
                f"source than {printable(files[0].name)}: write it again with the same options"
            )
    return files


def shards_of(path: Path) -> list[Path]:
    """The files of `labelclean features` that --features names; none if they are a user's own.

    Raises SourceError if there is none, or a shard is missing.
    """
    files = [] if path.suffix == ".npy" else parts_of(path)
    # the origin of the first is that of all, or parts_of would have said so
    return files if files and origin_of(files[0]) is not None else []


def last_width_of(path: Path) -> int | None:
    """How many of the features that --features names are of a network's last layer, if it is known.

    Raises SourceError as shards_of.
    """
    shards = shards_of(path)
    origin = origin_of(shards[0]) if shards else None
    return None if origin is None else origin.last


def origin_of(path: Path) -> Origin | None:
    """The facts in the file, if `labelclean features` wrote it."""
    try:
        found = (pq.read_schema(path).metadata or {}).get(_META)
        return None if found is None else Origin(**json.loads(found))
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise SourceError(f"--features {printable(path)}: cannot be read ({error})") from None


def unseen(shards: Sequence[Path], wanted: Sequence[str] = ()) -> dict[str, tuple[str, str]]:
    """Image -> status and reason of those that `labelclean features` could not read.

    wanted  images of which some may not be there at all
    """
    unread = {name: (MISSING, "no features of it") for name in wanted}
    for part in shards:
        table = pq.read_table(part, columns=["image", "status", "reason"])
        for name in table["image"].to_pylist() if unread else ():
            unread.pop(name, None)
        gone = pc.is_in(table["status"], pa.array([MISSING, UNREADABLE]))
        for cells in table.filter(gone).to_pylist():
            unread[cells["image"]] = (cells["status"], cells["reason"])
    return unread


def looks_in(
    shards: Sequence[Path], paths: Sequence[str], rows: NDArray[np.int64], folder: Path
) -> Looks | None:
    """The looks of the rows (m,) of these images; None: an older labelclean wrote a shard.

    folder  for what is too large for memory

    Raises SourceError for a damaged shard.
    """
    origin = origin_of(shards[0])  # the images are of one size in all shards, or parts_of says so
    if not all(_GREY in pq.read_schema(part).names for part in shards):
        return None
    place = np.full(len(paths), -1)
    place[rows] = np.arange(len(rows))
    looks = Looks(
        grey=zeros_array((len(rows), SIDE, SIDE), np.uint8, folder),
        hashes=np.zeros(len(rows), np.uint64),
        is_detailed=origin is not None and origin.is_detailed,
    )
    find = RowFinder(paths)
    for part in shards:
        try:
            file = pq.ParquetFile(part)
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=["image", _HASH, _GREY]):
                at = find.rows(batch["image"].to_pylist())
                into = np.where(at < 0, -1, place[at])
                is_wanted = into >= 0
                grey = np.frombuffer(b"".join(batch[_GREY].to_pylist()), np.uint8)
                hashes = batch[_HASH].to_numpy(zero_copy_only=False)
                looks.grey[into[is_wanted]] = grey.reshape(-1, SIDE, SIDE)[is_wanted]
                looks.hashes[into[is_wanted]] = hashes[is_wanted]
        except (pa.ArrowException, OSError, ValueError, TypeError) as error:
            raise SourceError(f"{printable(part)}: cannot be read ({error})") from None
    return looks


class RowFinder:
    """Finds rows by their images' names, which mostly come in the order of the rows."""

    def __init__(self, paths: Sequence[str]) -> None:
        """paths: the names of the rows, each once."""
        self._paths = paths
        self._next = 0
        self._row_of: dict[str, int] | None = None

    def rows(self, names: list[str]) -> NDArray[np.int64]:
        """(k,) -1 for a name that is none of them."""
        end = self._next + len(names)
        if self._row_of is None:
            if list(self._paths[self._next : end]) == names:
                start, self._next = self._next, end
                return np.arange(start, end)
            self._row_of = {name: row for row, name in enumerate(self._paths)}
        return np.array([self._row_of.get(name, -1) for name in names], dtype=np.int64)


def identical(shards: Sequence[Path]) -> list[list[str]]:
    """The names of images whose files hold the same, each list in the shards' order.

    Of shards of an older labelclean, which do not say, none.
    """
    digests = []
    for part in shards:
        schema = pq.read_schema(part)
        if _CONTENT not in schema.names or schema.field(_CONTENT).type != _DIGEST:
            return []
        cells = pq.read_table(part, columns=[_CONTENT])[_CONTENT].fill_null(bytes(16)).to_pylist()
        digests.append(np.frombuffer(b"".join(cells), np.uint64).reshape(-1, 2))
    if not digests:
        return []
    contents = np.concatenate(digests)
    first = find_duplicates(contents, (contents != 0).any(axis=1))
    later = np.flatnonzero(first != np.arange(len(first)))
    copies = np.union1d(later, first[later])
    groups: dict[int, list[str]] = {}
    start = 0
    for part, some in zip(shards, digests, strict=True):
        low, high = np.searchsorted(copies, [start, start + len(some)])
        if low < high:
            rows = copies[low:high]
            names = pq.read_table(part, columns=["image"])["image"].take(rows - start).to_pylist()
            for name, leader in zip(names, first[rows].tolist(), strict=True):
                groups.setdefault(leader, []).append(name)
        start += len(some)
    return list(groups.values())
