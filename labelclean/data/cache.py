"""The pixel cache: every image is decoded once, in parallel, into one memory-mapped uint8 file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol, runtime_checkable
from zipfile import BadZipFile

import loky
import numpy as np
import PIL
import platformdirs
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from PIL import Image

from labelclean.data.images import (
    DAMAGED,
    GONE,
    NO_ACCESS,
    Block,
    ImageSpec,
    Job,
    UnreadableImage,
    content_digest,
    decode,
)
from labelclean.data.quiet import quiet
from labelclean.data.samples import MISSING, UNREADABLE, ImageSource, SampleTable
from labelclean.data.workers import Worker
from labelclean.errors import SourceError

FORMAT = 2  # of the cache's files; raise it with every change to them or to how pixels come about
FEW = 2_000  # images; below it the start of processes costs more than they gain
BLOCK_BYTES = 4 << 20  # of pixels that a process decodes before it writes them
SPOT_CHECKS = 64  # rows whose checksum is compared when a cache is opened

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Facts about every row once each image has been decoded.

    status  (n,) str objects: the table's, or MISSING or UNREADABLE where that came out
    reason  (n,) str objects: why a row is not readable, else empty
    digest  (n, 2) uint64: equal for images of equal content, 0 where there is none
    """

    status: NDArray[np.object_]
    reason: NDArray[np.object_]
    digest: NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True)
class Pixels(Checked):
    """Decoded images. pixels (n, s, s, 3) uint8, perhaps memory-mapped; black where unreadable."""

    pixels: NDArray[np.uint8]

    def rows(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(len(index), s, s, 3), a copy."""
        return np.asarray(self.pixels)[index]


@dataclass(frozen=True, kw_only=True)
class Streamed(Checked):
    """Images that are decoded whenever they are asked for. why: one line for the user."""

    images: ImageSource
    spec: ImageSpec
    paths: tuple[str, ...]
    why: str

    @property
    def pixels(self) -> None:
        return None

    def at(self, size: int) -> Streamed:
        """The same images in squares of at most that size, which takes less to decode."""
        return replace(self, spec=self.spec.at(size))

    def rows(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(len(index), s, s, 3), decoded in parallel; black where unreadable.

        Raises SourceError if an image can be read no more: a black one would be learnt as real.
        """
        out = np.zeros((len(index), self.spec.size, self.spec.size, 3), np.uint8)

        def fill(at: int) -> None:
            row = int(index[at])
            if self.status[row] in (MISSING, UNREADABLE):
                return
            try:
                out[at] = decode(self.images.read(row), self.spec)
            except (OSError, UnreadableImage) as error:
                raise SourceError(
                    f"{self.paths[row]}: was readable when this run began and is no more ({error});"
                    " put it back and resume"
                ) from None

        with quiet(), ThreadPoolExecutor(loky.cpu_count()) as threads:
            for _ in threads.map(fill, range(len(index))):
                pass
        return out


@runtime_checkable
class ArraySource(Protocol):
    """Images that are in memory already: row k is pixels[rows[k]], pixels (m, h, w, 3) uint8."""

    @property
    def pixels(self) -> NDArray[np.uint8]: ...

    @property
    def rows(self) -> NDArray[np.int64]: ...


def load(
    table: SampleTable,
    spec: ImageSpec,
    *,
    cache_dir: Path | None,
    limit_bytes: int,
    workers: int | None,
    on_progress: Progress,
) -> Pixels | Streamed:
    """Decodes every image once, or takes the pixels from the cache of an earlier run.

    cache_dir    None: $LABELCLEAN_CACHE, or the user's cache folder
    limit_bytes  the most that the pixels may take there; beyond it, or where the disk has no room,
                 images are checked once and then streamed; 0: nothing is kept
    workers      processes; None: one a core, but threads for few images. A decoder that dies costs
                 its row in a process; in a thread, the run.

    Rows that the table calls MISSING or UNREADABLE are not tried.
    """
    images = table.images
    if isinstance(images, ArraySource) and images.pixels.shape[1:] == (spec.size, spec.size, 3):
        if spec.size == spec.resize:
            return _in_memory(table, images)
    decoding = _Decoding(table=table, spec=spec, workers=workers, on_progress=on_progress)
    if limit_bytes <= 0:
        return decoding.stream("--cache-limit is 0")
    needed = len(table) * spec.row_bytes
    folder = cache_dir if cache_dir is not None else default_cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        store = _Store(folder, table, spec)
        pixels = store.pixels()
        if pixels is None:
            with store.locked():
                # Another run over the same images may have built it while this one waited.
                pixels = store.pixels()
                if pixels is None and needed <= limit_bytes:
                    with store.reserved(needed) as path:
                        store.publish(decoding.run(path), path)
                    pixels = store.pixels()
                elif pixels is None:
                    known = store.knowledge()
                    if known is None:
                        known = decoding.run(None)
                        store.publish(known, None)
                    why = f"{_size(needed)} of pixels, and --cache-limit is {_size(limit_bytes)}"
                    return decoding.stream(why, known)
    except (OSError, NotImplementedError) as error:  # the latter: no file locks there
        return decoding.stream(f"no pixel cache in {folder}: {getattr(error, 'strerror', error)}")
    return pixels if pixels is not None else decoding.stream(f"the cache in {folder} was removed")


def default_cache_dir() -> Path:
    chosen = os.environ.get("LABELCLEAN_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("labelclean")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _in_memory(table: SampleTable, images: ArraySource) -> Pixels:
    is_whole = np.array_equal(images.rows, np.arange(len(images.pixels)))
    pixels = images.pixels if is_whole else images.pixels[images.rows]
    digest = np.zeros((len(pixels), 2), np.uint64)
    for row, image in enumerate(pixels):
        digest[row] = content_digest(image)
    reason = np.full(len(table), "", dtype=object)
    return Pixels(status=table.status, reason=reason, digest=digest, pixels=pixels)


@dataclass(frozen=True, kw_only=True)
class _Knowledge:
    """Results of decoding: outcome (n,) and digest (n, 2) as in Block, reasons by row.

    checksum  of some rows' pixels, where they are stored
    """

    outcome: NDArray[np.uint8]
    digest: NDArray[np.uint64]
    reasons: tuple[tuple[int, str], ...]
    checksum: int | None = None

    def status_and_reason(self, table: SampleTable) -> tuple[NDArray[np.object_], ...]:
        status, reason = table.status.copy(), np.full(len(table), "", dtype=object)
        status[self.outcome == GONE] = MISSING
        status[(self.outcome == DAMAGED) | (self.outcome == NO_ACCESS)] = UNREADABLE
        for row, text in self.reasons:
            reason[row] = text
        return status, reason


@dataclass(frozen=True, kw_only=True)
class _Decoding:
    table: SampleTable
    spec: ImageSpec
    workers: int | None
    on_progress: Progress

    def stream(self, why: str, known: _Knowledge | None = None) -> Streamed:
        known = known if known is not None else self.run(None)
        status, reason = known.status_and_reason(self.table)
        return Streamed(
            status=status,
            reason=reason,
            digest=known.digest,
            images=self.table.images,
            spec=self.spec,
            paths=self.table.paths,
            why=why,
        )

    def run(self, path: Path | None) -> _Knowledge:
        """Decodes all rows, into the file at path if there is one. Raises OSError from writing."""
        wanted = (self.table.status != MISSING) & (self.table.status != UNREADABLE)
        each = max(1, min(256, BLOCK_BYTES // self.spec.row_bytes))
        starts = range(0, len(wanted), each)
        count = max(1, min(self.workers or loky.cpu_count(), len(starts)))
        in_process = not isinstance(self.table.images, ArraySource) and (
            self.workers is not None or int(wanted.sum()) >= FEW
        )
        job = Job(images=self.table.images, spec=self.spec, path=path)
        team = [Worker(job, in_process=in_process) for _ in range(count)]
        idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in team:
            idle.put(worker)

        def work(start: int) -> list[Block]:
            worker = idle.get()
            try:
                return worker.decode(start, wanted[start : start + each])
            finally:
                idle.put(worker)

        outcome = np.zeros(len(wanted), np.uint8)
        digest = np.zeros((len(wanted), 2), np.uint64)
        reasons: list[tuple[int, str]] = []
        waiting, done_rows = iter(starts), 0
        with quiet(), ThreadPoolExecutor(count) as threads:
            try:
                # A few blocks ahead and not all at once: a future for each would add up.
                running = {threads.submit(work, start) for start in islice(waiting, 2 * count)}
                while running:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for block in (block for future in done for block in future.result()):
                        rows = slice(block.start, block.start + len(block.outcome))
                        outcome[rows], digest[rows] = block.outcome, block.digest
                        reasons.extend(block.reasons)
                    done_rows = min(done_rows + each * len(done), len(wanted))
                    self.on_progress(done_rows, len(wanted))
                    running |= {threads.submit(work, start) for start in islice(waiting, len(done))}
            finally:
                threads.shutdown(wait=False, cancel_futures=True)
                for worker in team:
                    worker.stop()
        return _Knowledge(outcome=outcome, digest=digest, reasons=tuple(sorted(reasons)))


_PARTIAL = re.compile(r"([0-9a-f]{16})-[0-9a-f]{32}\..*\.partial")


class _Store:
    """The files of one cache: SOURCE-KEY.pixels and, written last, SOURCE-KEY.npz.

    SOURCE  the root folder (without one: the kind of source and its paths) and the spec; of
            several caches with the same SOURCE only the newest is kept
    KEY     all that decides a pixel: the spec, the fingerprint of every row, Pillow's version
    """

    def __init__(self, folder: Path, table: SampleTable, spec: ImageSpec) -> None:
        self._folder, self._table, self._spec = folder, table, spec
        if table.root is not None:
            origin = [str(table.root)]
        else:
            origin = [type(table.images).__qualname__, *table.paths]
        self._source = _hash([repr(spec), *origin], 8)
        self._name = f"{self._source}-{_hash(self._key_parts(), 16)}"
        self._pixels_path = folder / f"{self._name}.pixels"
        self._knowledge_path = folder / f"{self._name}.npz"

    def _key_parts(self) -> Iterator[str]:
        yield repr((FORMAT, PIL.__version__, Image.MAX_IMAGE_PIXELS, self._spec, len(self._table)))
        for row, status in enumerate(self._table.status):
            yield status if status in (MISSING, UNREADABLE) else ""
            yield self._table.images.fingerprint(row)

    def pixels(self) -> Pixels | None:
        """The pixels that an earlier run stored, if they are whole."""
        known = self.knowledge()
        if known is None:
            return None
        shape = (len(self._table), self._spec.size, self._spec.size, 3)
        try:
            if self._pixels_path.stat().st_size != len(self._table) * self._spec.row_bytes:
                return None
            # copy on write, though nothing is written: torch takes no read-only arrays
            pixels = np.memmap(self._pixels_path, np.uint8, "c", shape=shape)
            if _spot_checksum(pixels) != known.checksum:
                return None
        except (OSError, ValueError):
            return None
        status, reason = known.status_and_reason(self._table)
        return Pixels(status=status, reason=reason, digest=known.digest, pixels=pixels)

    def knowledge(self) -> _Knowledge | None:
        """The results of an earlier run, unless damaged or a file can be read by now."""
        try:
            with (
                open(self._knowledge_path, "rb") as file,  # np.load leaves a damaged file open
                np.load(file, allow_pickle=False) as saved,
            ):
                head = json.loads(str(saved["head"]))
                known = _Knowledge(
                    outcome=saved["outcome"],
                    digest=saved["digest"],
                    reasons=tuple((int(row), str(text)) for row, text in head["reasons"]),
                    checksum=head["checksum"],
                )
        except (OSError, ValueError, LookupError, EOFError, BadZipFile, zlib.error):
            return None
        # Permissions and mounts change without a trace in size and mtime.
        for row in np.flatnonzero((known.outcome == GONE) | (known.outcome == NO_ACCESS)):
            with suppress(OSError):
                self._table.images.read(int(row))
                return None
        return known

    def locked(self) -> FileLock:
        """For the time of building. The system gives the lock back however a process ends."""
        return FileLock(self._folder / f"{self._source}.lock")

    @contextmanager
    def reserved(self, needed: int) -> Iterator[Path]:
        """A new file with room for all pixels; gone at the end unless published.

        Raises OSError if there is no room.
        """
        self._remove_leftovers()
        if needed > shutil.disk_usage(self._folder).free:
            self._remove_older()
        if needed > (free := shutil.disk_usage(self._folder).free):
            raise OSError(
                errno.ENOSPC, f"{_size(needed)} of pixels, and {_size(free)} of disk free"
            )
        handle, name = tempfile.mkstemp(".partial", f"{self._name}.", self._folder)
        try:
            with open(handle, "wb") as file:
                _allocate(file.fileno(), needed)
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def publish(self, known: _Knowledge, pixels: Path | None) -> None:
        """Puts the files in place, what makes the cache whole last, and deletes older caches."""
        if pixels is not None:
            with open(pixels, "rb+") as file:
                os.fsync(file.fileno())  # or a power cut leaves the right size and black images
            shape = (len(self._table), self._spec.size, self._spec.size, 3)
            checksum = _spot_checksum(np.memmap(pixels, np.uint8, "r", shape=shape))
            known = replace(known, checksum=checksum)
            os.replace(pixels, self._pixels_path)
        handle, name = tempfile.mkstemp(".partial", f"{self._name}.", self._folder)
        try:
            with open(handle, "wb") as file:
                head = json.dumps({"reasons": known.reasons, "checksum": known.checksum})
                np.savez(file, outcome=known.outcome, digest=known.digest, head=np.array(head))
            os.replace(name, self._knowledge_path)
        finally:
            Path(name).unlink(missing_ok=True)
        self._remove_older()

    def _remove_older(self) -> None:
        for path in self._folder.glob(f"{self._source}-*"):
            if path.suffix in (".pixels", ".npz") and path.stem != self._name:
                with suppress(OSError):  # on Windows, while another run has it open
                    path.unlink(missing_ok=True)

    def _remove_leftovers(self) -> None:
        """Deletes what builds left that died; a living one holds the lock of its source."""
        for path in self._folder.iterdir():
            match = _PARTIAL.fullmatch(path.name)
            if match is None:
                continue
            with suppress(Timeout, OSError):
                if match[1] == self._source:
                    path.unlink(missing_ok=True)
                else:
                    with FileLock(self._folder / f"{match[1]}.lock", timeout=0):
                        path.unlink(missing_ok=True)


def _allocate(handle: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        try:
            return os.posix_fallocate(handle, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
    os.truncate(handle, size)


def _spot_checksum(pixels: NDArray[np.uint8]) -> int:
    rows = np.linspace(0, len(pixels) - 1, SPOT_CHECKS).astype(int)
    checksum = 0
    for row in rows:
        checksum = zlib.crc32(np.ascontiguousarray(pixels[row]).data, checksum)
    return checksum


def _hash(parts: Iterable[str], digest_size: int) -> str:
    digest = hashlib.blake2b(digest_size=digest_size)
    for part in parts:
        encoded = part.encode(errors="surrogatepass")  # file names that are no UTF-8
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
