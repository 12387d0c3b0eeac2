"""Outputs on the disk: whole or not at all, one writer at a time, nothing left by a killed run.

An output is made in a hidden folder, the stage, beside its place and moved there by renames. Where
that takes several renames, the stage holds the plan of them: who takes the output's lock next
finishes a plan that a killed run left, and removes stages without one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from labelclean.errors import OutputError, printable

PREFIX = ".labelclean-"  # of every file that is not an output itself
_PLAN = f"{PREFIX}plan"
_WAIT = 0.5  # seconds for a lock: another process may only be looking

_held: dict[Path, int] = {}  # locks of this process, and the thread that took them


@dataclass(frozen=True)
class Move:
    """Two renames: `target` to `old`, then `new` to `target`; names in one folder.

    new  None: nothing comes in its place
    """

    target: str
    new: str | None
    old: str


class Stage:
    """A hidden folder to make outputs in; place() puts them where they belong, all or none."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def within(self, name: str) -> str:
        """A name in the stage, as Move has it."""
        return f"{self.path.name}/{name}"

    def exchange(self, names: Iterable[str]) -> None:
        """Moves the stage's files of these names to their places; removes those it lacks."""
        moves = []
        for k, name in enumerate(names):
            new = self.within(name) if exists(self.path / name) else None
            if new is not None or exists(self.path.parent / name):
                moves.append(Move(name, new, self.within(f"{PREFIX}old-{k}")))
        self.place(moves)

    def place(self, moves: Sequence[Move]) -> None:
        """Raises OSError; then all is as it was, or the next run with the lock finishes."""
        folder = self.path.parent
        if len(moves) == 1 and _is_one_rename(folder, moves[0]):
            os.replace(folder / str(moves[0].new), folder / moves[0].target)
            _sync(folder)
            return
        plan, draft = self.path / _PLAN, self.path / f"{_PLAN}.draft"
        write_durably(draft, json.dumps([astuple(move) for move in moves]).encode())
        _sync(self.path)
        os.replace(draft, plan)
        try:
            for move in moves:
                _do(folder, move)
        except BaseException:  # a signal too
            if all([_is_taken_back(folder, move) for move in reversed(moves)]):
                plan.unlink()  # else the next run finishes
            raise
        _sync(folder)
        plan.unlink()


@contextmanager
def claim(*outs: Path) -> Iterator[None]:
    """Nobody else writes these files or folders meanwhile; what a killed run left is cleared away.

    Raises OutputError if another process holds one, or nothing can be made beside it.
    """
    with ExitStack() as stack:
        for out in outs:
            folder, key = _home(out)
            if key is not None:
                stack.enter_context(_locked(folder, key, out))
        yield


@contextmanager
def claim_folder(folder: Path) -> Iterator[None]:
    """The same for a folder that files are added to; it is made, and removed if it stays empty."""
    if exists(folder) and not folder.is_dir():
        raise OutputError(f"{printable(folder)}: is no folder; choose another name")
    with errors_of(folder):
        made = _make(folder)
    try:
        with _locked(folder.resolve(), _FOLDER, folder):
            yield
    finally:
        for path in reversed(made):
            with suppress(OSError):  # not empty
                path.rmdir()


def finish(out: Path) -> None:
    """Finishes or clears away what a killed run left of `out`; a run that lives goes on."""
    with suppress(OSError, OutputError):
        folder, key = _home(out)
        if key is None or not (any(_left(folder, key)) or exists(_lock_path(folder, key))):
            return
        with _locked(folder, key, out, wait=0.0):
            pass


@contextmanager
def stage(out: Path) -> Iterator[Stage]:
    """The stage beside `out`, or in `out` while that folder is claimed. Raises OutputError."""
    with ExitStack() as stack:
        folder, key = out.resolve(), _FOLDER
        if not _is_held(_lock_path(folder, key)):
            stack.enter_context(claim(out))
            folder, name = _home(out)
            key = name or _FOLDER
        with errors_of(out):
            place = folder / f"{PREFIX}{key}-{secrets.token_hex(4)}"
            place.mkdir()
        try:
            with errors_of(out):
                yield Stage(place)
        finally:
            if not (place / _PLAN).exists():  # else neither done nor taken back: the next run does
                with suppress(OSError):
                    remove(place)


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A place for a file or folder that becomes `out`, in place of what is there, at the end.

    Raises OutputError if it cannot be written; then all is as it was.
    """
    with stage(out) as made:
        yield made.path / out.name
        if (made.path / out.name).is_file():
            _sync(made.path / out.name)
        made.exchange([out.name])


def write_files(
    contents: Mapping[Path, bytes | memoryview],
    *,
    gone: Sequence[Path] = (),
    mode: int = 0o666,
) -> None:
    """All the files, of one folder, appear whole, and those of `gone` go; or all is as it was.

    Raises OutputError.
    """
    first = next(iter(contents))
    with claim(*contents), stage(first) as made:
        for path, data in contents.items():
            write_durably(made.path / path.name, data, mode)
        made.exchange(path.name for path in (*contents, *gone))


def check(
    out: Path,
    *,
    force: bool,
    flag: str = "",
    is_folder: bool = False,
    replaces: Callable[[Path], bool] = lambda _: True,
    what: str = "",
) -> None:
    """Finds out before the work that `out` could not be written after it.

    flag      named before the path
    replaces  whether force may replace that folder; `what` says what it must be

    Raises OutputError.
    """
    shown = f"{flag} {printable(out)}".strip()
    with errors_of(out, flag):
        if out.name in ("", ".."):
            raise OutputError(f"{shown}: is no name for a new {'folder' if is_folder else 'file'}")
        if not out.absolute().parent.is_dir():
            raise OutputError(f"{shown}: there is no folder {printable(out.parent)}; make it")
        finish(out)
        if exists(out):
            if not is_folder and out.is_dir():
                raise OutputError(f"{shown}: is a folder; choose another name")
            is_empty = is_folder and out.is_dir() and not out.is_symlink() and not entries(out)
            if is_folder and not is_empty and not (out.is_dir() and replaces(out)):
                raise OutputError(f"{shown}: is there and is no {what}; choose another name")
            if not is_empty and not force:
                raise OutputError(
                    f"{shown}: already exists; choose another name, or --force replaces it"
                )
        check_writable(out)


def check_writable(out: Path) -> None:
    """Permissions, read-only and full disks show only when something is made. Raises OSError."""
    folder, key = _home(out)
    trial = folder / f"{PREFIX}{key or _FOLDER}-{secrets.token_hex(4)}"
    trial.mkdir()
    trial.rmdir()


def exists(path: Path) -> bool:
    """Also a link that leads nowhere. Raises OSError if the name can never be written."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def entries(folder: Path) -> list[str]:
    """Names in the folder but for our own hidden ones. Raises OSError."""
    return [name for name in os.listdir(folder) if not name.startswith(PREFIX)]


@contextmanager
def errors_of(out: Path, flag: str = "") -> Iterator[None]:
    """An OSError becomes the one line on an output that cannot be written."""
    try:
        yield
    except OSError as error:
        raise unwritable(out, error, flag) from None


def unwritable(out: Path | str, error: OSError, flag: str = "") -> OutputError:
    reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
    remedy = "choose another place"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = f"free some space, or {remedy}"
    shown = f"{flag} {printable(out)}".strip()
    return OutputError(f"{shown}: cannot be written: {printable(reason)}; {remedy}")


def write_durably(path: Path, data: bytes | memoryview, mode: int = 0o666) -> None:
    """A new file that a power cut does not empty. Raises OSError, also if the file is there."""
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def allocate(path: Path) -> None:
    """Takes the room for all of a file on the disk. Raises OSError if there is none."""
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                    raise


def remove(path: Path) -> None:
    """The file, link or whole folder, where there is one. Raises OSError."""
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


_FOLDER = "folder"  # key of what is written into a claimed folder


def _home(out: Path) -> tuple[Path, str | None]:
    """The folder of an output's lock and stages, and their key; no key: its folder is claimed."""
    folder = out.absolute().parent.resolve()
    if _is_held(_lock_path(folder, _FOLDER)):
        return folder, None
    name = os.fsencode(os.path.normcase(out.name))
    return folder, hashlib.blake2b(name, digest_size=5).hexdigest()


def _lock_path(folder: Path, key: str) -> Path:
    return folder / f"{PREFIX}{key}.lock"


def _is_held(lock: Path) -> bool:
    return _held.get(lock) == threading.get_ident()


@contextmanager
def _locked(folder: Path, key: str, out: Path, wait: float = _WAIT) -> Iterator[None]:
    path = _lock_path(folder, key)
    if _is_held(path):
        yield
        return
    if not folder.is_dir():
        raise OutputError(f"{printable(out)}: there is no folder {printable(out.parent)}; make it")
    lock = FileLock(path)
    with errors_of(out), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a disk without locks: filelock has its own way there
        try:
            lock.acquire(timeout=wait, poll_interval=0.05)
        except Timeout:
            raise OutputError(f"{printable(out)}: {_holder(path)}") from None
    _held[path] = threading.get_ident()
    try:
        if not isinstance(lock, SoftFileLock):  # whose file has a meaning of its own
            with suppress(OSError):
                path.write_text(json.dumps(_myself()))
        with errors_of(out):
            _clear(folder, key)
        yield
    finally:
        del _held[path]
        with suppress(OSError):
            path.unlink()  # before the release: who waits for it sees that it is gone
        lock.release()


def _myself() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": " ".join(["labelclean", *sys.argv[1:2]]),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_bytes())
        by = "process {pid} on {host} ({command}, since {since})".format(**holder)
    except (OSError, ValueError, LookupError, TypeError):
        by = "another process"
    return printable(f"{by} is writing it; wait until it ends, or choose another name")


def _left(folder: Path, key: str) -> Iterator[Path]:
    """Remains of killed runs with this key: stages without a plan, or their plans."""
    for name in os.listdir(folder):
        if name.startswith(f"{PREFIX}{key}-"):
            plan = folder / name / _PLAN
            has_plan = not (folder / name).is_symlink() and plan.is_file()
            yield plan if has_plan else folder / name


def _clear(folder: Path, key: str) -> None:
    """Finishes the plans and removes the stages of runs that were killed. Raises OSError."""
    for path in list(_left(folder, key)):
        if path.name == _PLAN:
            for move in _read_plan(path):
                _do(folder, move)
            path.unlink()
            path = path.parent
        with suppress(OSError):
            remove(path)


def _read_plan(plan: Path) -> list[Move]:
    """The moves of a plan; none of them leads out of its folder."""
    stage_name = plan.parent.name

    def is_within(name: object) -> bool:
        parts = name.split("/") if isinstance(name, str) else []
        is_plain = all(part not in ("", ".", "..") and "\0" not in part for part in parts)
        return is_plain and (len(parts) == 1 or (len(parts) == 2 and parts[0] == stage_name))

    try:
        moves = [Move(*cells) for cells in json.loads(plan.read_bytes())]
    except (ValueError, TypeError, RecursionError):
        moves = []
    named = [name for move in moves for name in astuple(move) if name is not None]
    if not moves or not all(map(is_within, named)):
        raise OutputError(
            f"{printable(plan.parent)}: damaged, left by a run that was killed; look into it, then "
            "delete it"
        )
    return moves


def _is_one_rename(folder: Path, move: Move) -> bool:
    if move.new is None or "/" not in move.old:  # what is there is to be kept
        return False
    target, new = folder / move.target, folder / move.new
    return not exists(target) or not (target.is_dir() or new.is_dir())


def _do(folder: Path, move: Move) -> None:
    """The move, or what of it is left to do. Raises OSError."""
    target, old = folder / move.target, folder / move.old
    new = None if move.new is None else folder / move.new
    if new is not None and not exists(new):
        return
    if exists(target) and not exists(old):
        is_linked = False
        if new is not None and target.is_file() and not target.is_symlink() and new.is_file():
            with suppress(OSError):  # not every disk has links
                os.link(target, old)  # so that the target is there at any time
                is_linked = True
        if not is_linked:
            os.rename(target, old)
    if new is not None:
        os.replace(new, target)


def _is_taken_back(folder: Path, move: Move) -> bool:
    target, old = folder / move.target, folder / move.old
    try:
        if move.new is not None and not exists(folder / move.new) and exists(target):
            os.rename(target, folder / move.new)
        if exists(old) and exists(target):
            old.unlink()  # a link to what is there
        elif exists(old):
            os.rename(old, target)
    except OSError:
        return False
    return True


def _make(folder: Path) -> list[Path]:
    """Makes the folder and those above it; returns those that were not there."""
    missing = [path for path in (folder, *folder.parents) if not exists(path)]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _sync(path: Path) -> None:
    """Makes the folder's content outlive a power cut, where the system can."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
