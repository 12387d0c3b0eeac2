"""The files of a folder of images: one walk lists, sizes and dates them."""

from __future__ import annotations

import fnmatch
import os
import posixpath
from array import array
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from labelclean.data.image_names import is_image_name
from labelclean.errors import SourceError
from labelclean.opening import IMAGE_BYTES, open_regular, read_regular
from labelclean.sources.wording import counted


@dataclass(frozen=True, kw_only=True)
class FileImages:
    """Images that are files.

    root      the folder
    files     (n,) paths relative to it, forward slashes
    sizes     (n,) int64 bytes when the folder was listed, -1 for a file that is not there
    mtimes    (n,) int64 nanoseconds
    """

    root: str
    files: tuple[str, ...]
    sizes: NDArray[np.int64]
    mtimes: NDArray[np.int64]

    def read(self, row: int) -> bytes:
        return read_regular(os.path.join(self.root, self.files[row]), IMAGE_BYTES)

    def open(self, row: int) -> BinaryIO:
        """The file, for one who needs little of it. Raises OSError."""
        return open_regular(os.path.join(self.root, self.files[row]))

    def fingerprint(self, row: int) -> str:
        return f"{self.files[row]}|{self.sizes[row]}|{self.mtimes[row]}"


class Listing:
    """The regular files of a folder; grows when a further sub-folder is looked at.

    paths     relative to the root, forward slashes; sizes and mtimes run along
    index     path -> its place in `paths`
    hidden, nameless, closed, repeated
              hidden files and folders, names that are not Unicode, folders that may not be
              opened, links to folders that were read already: all left out of the walk
    """

    def __init__(self, root: Path, ignore: tuple[str, ...] = ()) -> None:
        self.root = root
        self.ignore = ignore
        self.ignored = 0
        self.paths: list[str] = []
        self.sizes = array("q")  # int64: of ten million files a list takes a gigabyte more
        self.mtimes = array("q")
        self.index: dict[str, int] = {}
        self.hidden = 0
        self.nameless = 0
        self.closed: list[str] = []
        self.repeated: list[str] = []
        self._visited: set[str] = set()

    def walk(self) -> None:
        """Lists the whole tree; each real folder once, so a loop of links ends."""
        seen: set[tuple[int, int]] = set()
        queue = deque([("", False)])
        links: deque[tuple[str, bool]] = deque()  # last, so that a real folder keeps its own name
        while queue or links:
            folder, is_link = queue.popleft() if queue else links.popleft()
            try:
                status = os.stat(os.path.join(self.root, folder))
            except OSError:
                self.closed.append(folder)
                continue
            identity = (status.st_dev, status.st_ino)
            if identity in seen:
                self.repeated.append(folder)
                continue
            seen.add(identity)
            for name, below_is_link in self.visit(folder):
                path = posixpath.join(folder, name)
                if _is_hidden(name):
                    self.hidden += 1
                elif self.is_ignored(path):
                    self.ignored += 1
                else:
                    (links if below_is_link or is_link else queue).append(
                        (path, below_is_link or is_link)
                    )

    def visit(self, folder: str) -> list[tuple[str, bool]]:
        """Lists the files of one sub-folder, once.

        returns  its folders, sorted: name, and whether it is a link
        """
        if folder in self._visited:
            return []
        self._visited.add(folder)
        folders: list[tuple[str, bool]] = []
        files: list[tuple[str, int, int]] = []
        try:
            with os.scandir(os.path.join(self.root, folder)) as entries:
                for entry in entries:
                    if not _is_unicode(entry.name):
                        self.nameless += 1
                        continue
                    try:
                        if entry.is_dir():
                            folders.append((entry.name, entry.is_symlink()))
                        elif entry.is_file():
                            status = entry.stat()
                            files.append((entry.name, status.st_size, status.st_mtime_ns))
                    except OSError:
                        continue  # a link to itself, or a file just gone: nothing there to read
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            if not folder:
                reason = error.strerror or str(error)
                raise SourceError(f"{self.root}: cannot be opened: {reason}") from None
            self.closed.append(folder)
            return []
        for name, size, mtime in sorted(files):
            path = f"{folder}/{name}" if folder else name
            if self.is_ignored(path):
                self.ignored += 1
                continue
            self.index[path] = len(self.paths)
            self.paths.append(path)
            self.sizes.append(size)
            self.mtimes.append(mtime)
        return sorted(folders)

    def is_ignored(self, path: str) -> bool:
        """Whether a pattern of --ignore fits the path or its last part."""
        name = posixpath.basename(path)
        return any(
            fnmatch.fnmatchcase(path, glob) or fnmatch.fnmatchcase(name, glob)
            for glob in self.ignore
        )

    def content(self, path: str) -> bytes:
        return read_regular(os.path.join(self.root, path))

    def is_visible_image(self, path: str) -> bool:
        return is_image_name(path) and not _is_hidden(posixpath.basename(path))

    def images(self, paths: list[str]) -> FileImages:
        """The image source for some paths, of which some may not be there."""
        places = np.array([self.index.get(path, -1) for path in paths], dtype=np.int64)
        sizes = np.append(np.array(self.sizes, dtype=np.int64), -1)  # place -1 is the last
        mtimes = np.append(np.array(self.mtimes, dtype=np.int64), 0)
        return FileImages(
            root=os.path.abspath(self.root),
            files=tuple(paths),
            sizes=sizes[places],
            mtimes=mtimes[places],
        )

    def notes(self) -> list[str]:
        """Notes on files left out that the user may miss."""
        notes = []
        if self.ignored:
            notes.append(f"--ignore left out {counted(self.ignored, 'file')} or folders")
        elif self.ignore:
            notes.append(f"--ignore {' '.join(self.ignore)} fits nothing in {self.root}")
        if self.nameless:
            noun = (
                "file left out: the name is"
                if self.nameless == 1
                else "files left out: the names are"
            )
            notes.append(f"{self.nameless} {noun} not Unicode")
        if self.closed:
            notes.append(f"{len(self.closed)} folders cannot be opened, first {self.closed[0]!r}")
        if self.repeated:
            notes.append(
                f"{len(self.repeated)} links lead to folders read already, "
                f"first {self.repeated[0]!r}: not read again"
            )
        return notes


# What systems put beside images: macOS into a zip, Synology and QNAP, Windows, Linux, Python.
_SYSTEM = {
    "__MACOSX", "@eaDir", "#recycle", "@Recycle", "@Recently-Snapshot", "$RECYCLE.BIN",
    "System Volume Information", "lost+found", "__pycache__",
}  # fmt: skip


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _SYSTEM


def is_hidden_path(path: str) -> bool:
    """True of a path of which any part is hidden or a system's own."""
    return any(_is_hidden(part) for part in path.split("/"))


def _is_unicode(name: str) -> bool:
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)
