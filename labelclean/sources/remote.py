"""Sources of many files at once: train-{000000..000099}.tar, s3://bucket/part-*.parquet, an index.

Files behind a URL are fetched by fsspec as a whole, once, into the cache: an archive is read at
many places, and a shard is read from beginning to end anyway.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import posixpath
import re
import shutil
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import bracex

from labelclean import disk
from labelclean.data.cache import default_cache_dir
from labelclean.errors import SourceError
from labelclean.opening import read_regular
from labelclean.sources.archives import ARCHIVES
from labelclean.sources.wording import counted, shown

ENDINGS = (*ARCHIVES, ".parquet", ".arrow")
MOST = 1_000_000  # files of one pattern
INDEX_BYTES = 256 << 20
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HEAD = 4096  # bytes of a JSON file that say whether it is an index

Advance = Callable[[float, float, str], None]  # done, total, what the line adds


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file of several.

    place    its URL, or its path
    name     by which it differs from the others: its path below the folder of all of them
    samples, size, md5  as the index has them; None where there is none
    """

    place: str
    name: str
    samples: int | None = None
    size: int | None = None
    md5: str | None = None

    @property
    def stem(self) -> str:
        """Its name without the ending, which the names of its images begin with."""
        ending = next(end for end in ENDINGS if self.name.lower().endswith(end))
        return self.name[: -len(ending)]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The files that a pattern, a folder behind a URL, or an index names, in their order."""

    source: str
    parts: tuple[Part, ...]

    def __len__(self) -> int:
        return len(self.parts)

    def only(self, number: int) -> Parts:
        """The one of that number, from 0 on."""
        return replace(self, parts=(self.parts[number],))

    @property
    def samples(self) -> int | None:
        """As the index has them, of all files; None where it does not say."""
        known = [part.samples for part in self.parts if part.samples is not None]
        return sum(known) if len(known) == len(self.parts) else None

    def local(self, advance: Advance | None = None) -> Path:
        """The file, or a folder that holds all of them under their names; fetched where they are
        not in the cache yet.

        Raises SourceError for what cannot be fetched or is not what the index says.
        """
        paths = []
        for number, part in enumerate(self.parts):
            before = f"{number:,} of {len(self):,} files, " if len(self) > 1 else ""

            def on_bytes(done: int, number: int = number, before: str = before) -> None:
                if advance is not None:
                    advance(number, len(self), f"{before}{done / 1e6:,.0f} MB of the next")

            paths.append(_local(part, on_bytes))
        return paths[0] if len(paths) == 1 else _side_by_side(self.parts, paths)

    def forget(self) -> None:
        """Removes the fetched copies."""
        for part in self.parts:
            if is_url(part.place):
                shutil.rmtree(_folder_of(part), ignore_errors=True)


def is_url(source: str) -> bool:
    return _URL.match(source) is not None


def is_several(source: str) -> bool:
    """Whether the source is a URL, a pattern of files, or an index of shards."""
    if is_url(source):
        return True
    if os.path.isfile(source):
        return source.lower().endswith(".json") and _is_index(source)
    return not os.path.exists(source) and any(each in source for each in "{*")


def find_parts(source: str) -> Parts:
    """The files of a URL, pattern or index. Raises SourceError if there is none, or one is none of
    an archive, a Parquet or an Arrow file."""
    if source.lower().split("?")[0].endswith(".json"):
        return Parts(source=source, parts=tuple(_of_index(source)))
    try:
        patterns = bracex.expand(source, limit=MOST) if "{" in source else [source]
    except (bracex.ExpansionLimitException, ValueError):
        raise SourceError(f"{shown(source)}: is more than {MOST:,} files") from None
    places = [each for pattern in patterns for each in _matching(pattern)]
    if not places:
        raise SourceError(f"{shown(source)}: no such file: correct the pattern")
    _check_kind(source, places)
    named = zip(places, _names(places), strict=True)
    return Parts(source=source, parts=tuple(Part(place=place, name=name) for place, name in named))


def _matching(pattern: str) -> list[str]:
    """The places that fit; a pattern without wildcards is one, whether it is there or not."""
    if not is_url(pattern):
        places = glob.glob(pattern) if "*" in pattern else [pattern]
        return sorted(map(os.path.abspath, places))
    if "*" not in pattern:
        if "." in posixpath.basename(_bare(pattern)):  # else it is a folder
            return [pattern]
        pattern = pattern.rstrip("/") + "/*"
    from labelclean.sources import fetching  # here and below: it takes a tenth of a second

    return [url for url in fetching.matching(pattern) if _bare(url).lower().endswith(ENDINGS)]


def _check_kind(source: str, places: Iterable[str]) -> None:
    for place in places:
        if not _bare(place).lower().endswith(ENDINGS):
            raise SourceError(
                f"{shown(source)}: {shown(place)} is no archive and no Parquet file: give tar, "
                "zip or Parquet files, or a folder of this machine"
            )


def _bare(place: str) -> str:
    """The path of a URL without what follows a question mark; a path as it is."""
    return urllib.parse.urlsplit(place).path if is_url(place) else place


def _names(places: list[str]) -> list[str]:
    """Names below the folder that all have in common, forward slashes."""
    paths = [_bare(place).replace("\\", "/") for place in places]
    common = posixpath.commonpath([posixpath.dirname(path) for path in paths])
    names = [posixpath.relpath(path, common) for path in paths]
    if len(set(names)) < len(names):
        raise SourceError(f"{shown(places[0])}: is named twice: name each file once")
    return names


def _is_index(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b'"shardlist"' in file.read(_HEAD)
    except OSError:
        return False


def _of_index(source: str) -> Iterator[Part]:
    """The shards of an index such as WebDataset's (wids): names, counts and checksums.

    They must lie where the index lies, or below: who writes an index must not choose which other
    files of this machine, or of its network, are read.
    """
    if is_url(source):
        from labelclean.sources import fetching

        data = fetching.content(source, INDEX_BYTES)
    else:
        try:
            data = read_regular(source, INDEX_BYTES)
        except OSError as error:
            raise SourceError(f"{shown(source)}: cannot be read: {error.strerror}") from None
    try:
        entries = json.loads(data)["shardlist"]
        shards = [
            (str(each["url"]), each.get("nsamples"), each.get("filesize"), each.get("md5sum"))
            for each in entries
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SourceError(
            f"{shown(source)}: is no index of shards: 'shardlist' must be a list of objects with "
            "'url', such as wids-index writes"
        ) from None
    if not shards:
        raise SourceError(f"{shown(source)}: names no shard")
    base = posixpath.dirname(source if is_url(source) else source.replace("\\", "/"))
    names = [posixpath.normpath(url) for url, *_ in shards]
    for (url, *_), name in zip(shards, names, strict=True):
        if is_url(url) or name.startswith(("/", "../")) or name == ".." or name[1:2] == ":":
            raise SourceError(
                f"{shown(source)}: {shown(url)} is not below the folder of the index: write the "
                "names of shards relative to it"
            )
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise SourceError(f"{shown(source)}: {shown(name)} is named twice: name each shard once")
    places = [f"{base}/{name}" if base else name for name in names]
    _check_kind(source, places)
    for place, name, (url, samples, size, md5) in zip(places, names, shards, strict=True):
        numbers = [each for each in (samples, size) if each is not None]
        if not all(isinstance(each, int) and each >= 0 for each in numbers):
            raise SourceError(f"{shown(source)}: nsamples and filesize of {shown(url)}: no counts")
        yield Part(
            place=place if is_url(place) else os.path.abspath(place),
            name=name,
            samples=samples,
            size=size,
            md5=None if md5 is None else str(md5).lower(),
        )


def _local(part: Part, on_bytes: Callable[[int], None]) -> Path:
    """The file on this machine, checked where it was fetched just now or is no copy of ours."""
    if not is_url(part.place):
        path = Path(part.place)
        if not path.is_file():
            raise SourceError(f"{shown(part.place)}: no such file")
        _check_size(part, path.stat().st_size)
        return path
    from labelclean.sources import fetching

    version = part.md5 or fetching.version(part.place)
    folder = _folder_of(part)
    target = folder / hashlib.sha256(version.encode()).hexdigest()[:16] / _file_name(part)
    if target.is_file():
        return target
    with disk.errors_of(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        for earlier in set(folder.iterdir()) - {target.parent}:
            shutil.rmtree(earlier, ignore_errors=True)
    beside = target.with_name(f"{target.name}.part{os.getpid()}")
    try:
        fetching.fetch(part.place, beside, on_bytes)
        _check_size(part, beside.stat().st_size)
        if part.md5 is not None and (md5 := _md5(beside)) != part.md5:
            raise SourceError(
                f"{shown(part.place)}: its MD5 is {md5}, the index says {shown(part.md5)}: "
                "fetch it again, or correct the index"
            )
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def _check_size(part: Part, size: int) -> None:
    if part.size is not None and size != part.size:
        raise SourceError(
            f"{shown(part.place)}: has {counted(size, 'byte')}, the index says {part.size:,}: "
            "fetch it again, or correct the index"
        )


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _folder_of(part: Part) -> Path:
    digest = hashlib.sha256(part.place.encode("utf-8", "surrogateescape")).hexdigest()
    return default_cache_dir() / "fetched" / digest[:32]


def _file_name(part: Part) -> str:
    """The harmless part of its own name."""
    return re.sub(r"[^\w.-]", "_", posixpath.basename(part.name))[-100:].lstrip(".")


def _side_by_side(parts: Iterable[Part], paths: list[Path]) -> Path:
    """A folder in which each file has its name, by links."""
    targets = [str(path.absolute()) for path in paths]
    names = [part.name for part in parts]
    key = hashlib.sha256("\0".join([*names, *targets]).encode("utf-8", "surrogateescape"))
    folder = default_cache_dir() / "fetched" / "together" / key.hexdigest()[:32]
    if folder.is_dir():
        return folder
    with disk.errors_of(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with disk.staged(folder) as place, disk.errors_of(folder):
        for name, target in zip(names, targets, strict=True):
            link = place / name
            link.parent.mkdir(parents=True, exist_ok=True)
            try:
                link.symlink_to(target)
            except OSError:  # Windows wants a privilege for it
                os.link(target, link)
    return folder
