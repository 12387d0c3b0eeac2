"""Zip and tar files as folders: their images are read where they are."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import posixpath
import shutil
import sys
import tarfile
import tempfile
import threading
import weakref
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from labelclean.errors import SourceError
from labelclean.opening import IMAGE_BYTES
from labelclean.sources.folders import Listing, is_hidden_path
from labelclean.sources.wording import counted, shown

ZIP = (".zip",)
TAR = (".tar",)
_OPENERS = {
    ".tar.gz": gzip.open, ".tgz": gzip.open, ".tar.bz2": bz2.open, ".tbz2": bz2.open,
    ".tar.xz": lzma.open, ".txz": lzma.open,
}  # fmt: skip
PACKED_TAR = tuple(_OPENERS)
ARCHIVES = ZIP + TAR + PACKED_TAR
NOT_READ = (".7z", ".rar", ".tar.zst")
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError)


def is_archive_name(name: str) -> bool:
    return name.lower().endswith(ARCHIVES)


@dataclass(frozen=True)
class _Member:
    """Where the bytes of a file are: of a zip by its name there, of a tar by their place."""

    archive: int
    name: str
    start: int
    size: int


def _within_limit(data: bytes) -> bytes:
    """A few bytes in an archive may be many when they are unpacked."""
    if len(data) > IMAGE_BYTES:
        raise OSError(f"unpacked it is larger than {IMAGE_BYTES >> 20} MiB")
    return data


@dataclass
class ArchiveImages:
    """Images in zip and tar files; picklable, each process opens the files for itself.

    files    the archives; a packed tar is the temporary file it was unpacked to
    members  (n,) None for a name that is not there
    state    size and mtime of the archives, for the fingerprint
    """

    files: tuple[str, ...]
    members: tuple[_Member | None, ...]
    state: tuple[str, ...]
    keep: object = field(default=None, repr=False)  # the temporary files live as long as this
    _open: dict[int, zipfile.ZipFile | IO[bytes]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def read(self, row: int) -> bytes:
        member = self.members[row]
        if member is None:
            raise FileNotFoundError(2, "no such file in the archive")
        with self._lock:
            return self._read(member)

    def fingerprint(self, row: int) -> str:
        member = self.members[row]
        return "" if member is None else f"{self.state[member.archive]}|{member.name}"

    def take(self, rows: NDArray[np.int64]) -> ArchiveImages:
        members = tuple(self.members[k] if k >= 0 else None for k in rows.tolist())
        return ArchiveImages(self.files, members, self.state, self.keep)

    def _read(self, member: _Member) -> bytes:
        path = self.files[member.archive]
        if member.archive not in self._open:
            self._open[member.archive] = (
                zipfile.ZipFile(path) if path.lower().endswith(ZIP) else open(path, "rb")
            )
        file = self._open[member.archive]
        if isinstance(file, zipfile.ZipFile):
            try:
                with file.open(member.name) as unpacked:
                    return _within_limit(unpacked.read(IMAGE_BYTES + 1))
            except (*_DAMAGE, RuntimeError, NotImplementedError) as error:  # a password; a codec
                raise OSError(f"in {os.path.basename(path)}: {error}") from None
        file.seek(member.start)
        data = _within_limit(file.read(min(member.size, IMAGE_BYTES + 1)))
        if len(data) < member.size:
            raise OSError(f"{os.path.basename(path)} ends before the image does")
        return data

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}, "_lock": None, "keep": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __del__(self) -> None:
        for file in self.__dict__.get("_open", {}).values():
            file.close()


class ArchiveListing(Listing):
    """The files in one archive, or in several: then their paths begin with the archive's stem."""

    def __init__(self, archives: Sequence[Path], root: Path, ignore: tuple[str, ...] = ()) -> None:
        super().__init__(root, ignore)
        self.archives = tuple(archives)
        self._members: dict[str, _Member] = {}
        self._files: list[str] = []
        self._keep: list[_Unpacked] = []
        self._leaving: list[str] = []
        self._is_walked = False

    def walk(self) -> None:
        if self._is_walked:
            return
        self._is_walked = True
        names: set[str] = set()
        for number, archive in enumerate(self.archives):
            before = ""
            if len(self.archives) > 1:
                before = _shard_name(archive.relative_to(self.root).as_posix()) + "/"
                before = f"{archive.name}/" if before in names else before
                names.add(before)
            try:
                self._list(archive, number, before)
            except (*_DAMAGE, ValueError) as error:  # tarfile's, of a size that no file has
                raise SourceError(f"{archive}: damaged archive: {error}: fetch it again") from None
            except OSError as error:
                reason = error.strerror or str(error)
                raise SourceError(f"{archive}: cannot be read: {reason}") from None

    def _list(self, archive: Path, number: int, before: str) -> None:
        members: list[tuple[str, _Member]] = []
        if archive.name.lower().endswith(ZIP):
            self._files.append(str(archive.absolute()))
            with zipfile.ZipFile(archive) as zipped:
                for info in zipped.infolist():
                    if not info.is_dir():
                        member = _Member(number, info.filename, 0, info.file_size)
                        members.append((info.filename, member))
        else:
            plain = archive
            opener = next((f for end, f in _OPENERS.items() if _ends(archive, end)), None)
            if opener is not None:
                self._keep.append(_Unpacked(archive, opener))
                plain = self._keep[-1].path
            self._files.append(str(plain.absolute()))
            with tarfile.open(plain, "r:") as tar:
                for item in tar:
                    if item.size < 0:  # the next header would be one that was read, for ever
                        raise tarfile.ReadError(f"{shown(item.name)} has a negative size")
                    if item.isfile():
                        member = _Member(number, item.name, item.offset_data, item.size)
                        members.append((item.name, member))
        mtime = archive.stat().st_mtime_ns
        for name, member in sorted(members, key=lambda pair: pair[0]):
            path = posixpath.normpath(name.replace("\\", "/"))
            if path.startswith(("/", "../")) or path == ".." or path[1:2] == ":":
                self._leaving.append(name)
            elif is_hidden_path(path):
                self.hidden += 1
            elif any(self.is_ignored(part) for part in _with_parents(before + path)):
                self.ignored += 1
            elif before + path not in self.index:
                self.index[before + path] = len(self.paths)
                self.paths.append(before + path)
                self.sizes.append(min(member.size, sys.maxsize))  # a header may say anything
                self.mtimes.append(mtime)
                self._members[before + path] = member

    def visit(self, folder: str) -> list[tuple[str, bool]]:
        return []

    def content(self, path: str) -> bytes:
        images = self.images([path])
        return images.read(0)

    def images(self, paths: list[str]) -> ArchiveImages:  # type: ignore[override]
        states = []
        for archive in self.archives:
            status = archive.stat()
            states.append(f"{archive.name}|{status.st_size}|{status.st_mtime_ns}")
        members = tuple(self._members.get(path) for path in paths)
        return ArchiveImages(tuple(self._files), members, tuple(states), tuple(self._keep))

    def notes(self) -> list[str]:
        notes = super().notes()
        if self._leaving:
            notes.append(
                f"{counted(len(self._leaving), 'path')} would leave the archive, first "
                f"{shown(self._leaving[0])}: left out"
            )
        for unpacked in self._keep:
            notes.append(
                f"{unpacked.name} is compressed as a whole: unpacked into a temporary file of "
                f"{unpacked.size / 1e6:,.1f} MB for this run"
            )
        return notes


def _shard_name(path: str) -> str:
    ending = next(end for end in (*PACKED_TAR, *ZIP, *TAR) if path.lower().endswith(end))
    return path[: -len(ending)]


def _ends(path: Path, ending: str) -> bool:
    return path.name.lower().endswith(ending)


def _with_parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: k + 1]) for k in range(len(parts))]


class _Unpacked:
    """A tar without its compression, as a file that goes with the object."""

    def __init__(self, archive: Path, opener: Any) -> None:
        handle, name = tempfile.mkstemp(".tar", "labelclean-")
        self.path, self.name = Path(name), archive.name
        weakref.finalize(self, self.path.unlink, missing_ok=True)
        with opener(archive, "rb") as packed, open(handle, "wb") as out:
            shutil.copyfileobj(packed, out, 1 << 20)
        self.size = self.path.stat().st_size
