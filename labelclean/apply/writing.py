"""The result of apply on the disk: whole or not at all, with a log that undo goes by."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelclean import disk
from labelclean.disk import Move
from labelclean.errors import ConfigError, OutputError, SourceError, printable
from labelclean.report.files import encode_json

LINKS = ("copy", "hard", "sym")
LOG_SCHEMA = 1
_BLOCK = 1 << 20

Advance = Callable[[float, float, str], None]


def log_path(out: Path) -> Path:
    """`clean.csv` → `clean.csv.apply.json` in the same folder."""
    return out.with_name(out.name + ".apply.json")


def before_path(path: Path, number: int) -> Path:
    """Where --force keeps what was there: `clean.csv` → `clean.csv.before-1`."""
    return path.with_name(f"{path.name}.before-{number}")


def check_out(out: Path, *, files: Iterable[Path], folder: Path | None, force: bool) -> None:
    """Finds out before the work that the result could not be written, or not without harm.

    files   never to be replaced: the source's tables, the report, the decisions
    folder  the source where it is a folder: nothing is written in it

    Raises ConfigError, OutputError.
    """
    shown = printable(out)
    with disk.errors_of(out, "--out"):
        if not out.parent.is_dir():
            raise ConfigError(f"--out {shown}: there is no folder {printable(out.parent)}: make it")
        place = Path(os.path.realpath(out.parent)) / out.name
        for path in files:
            real = Path(os.path.realpath(path))
            if place in (real, *real.parents) or _is_same(out, path):
                raise ConfigError(
                    f"--out {shown}: is or holds {printable(path)}, which is never touched: "
                    "choose another name"
                )
        if folder is not None:
            real = Path(os.path.realpath(folder))
            ends = (place, Path(os.path.realpath(out)))
            if any(end == real or real in end.parents or end in real.parents for end in ends):
                raise ConfigError(
                    f"--out {shown}: is in the source {printable(folder)}, or holds it: "
                    "choose a place outside"
                )
        for path in (log_path(out), before_path(log_path(out), 1)):
            with contextlib.suppress(FileNotFoundError):
                os.lstat(path)  # fails where the name is too long
        disk.finish(out)
        if os.path.lexists(out) and not force:
            raise OutputError(
                f"--out {shown}: already exists; choose another name, or --force replaces it "
                "(--undo brings it back)"
            )
        disk.check_writable(out)


@dataclass(frozen=True, kw_only=True)
class Written:
    """How a written file is known again: by its content, or as a link by where it leads."""

    path: str
    state: str


def write_result(
    out: Path, make: Callable[[Path], Sequence[Written]], facts: Mapping[str, Any]
) -> Path:
    """Moves the result of `make` to `out`, with a log beside it.

    make   writes a file or a folder, and says what it wrote
    facts  what the log says beside that

    returns  the log

    Raises OutputError if it cannot be written; then all is as it was.
    """
    log = log_path(out)
    with disk.stage(out) as stage:
        written = make(stage.path / "out")
        number = _free_number(out, log)
        before = {"number": number, "out": os.path.lexists(out), "log": os.path.lexists(log)}
        disk.write_durably(stage.path / "log", _log_bytes({**facts, "before": before}, written))
        stage.place(
            [
                Move(path.name, stage.within(new), before_path(path, number).name)
                for path, new in ((log, "log"), (out, "out"))
            ]
        )
    return log


def write_bytes(target: Path, data: bytes) -> Written:
    disk.write_durably(target, data)
    return Written(path="", state=_sha(data))


def written_file(path: Path, name: str = "") -> Written:
    """A file written by someone else, known by its content."""
    return Written(path=name, state=hash_of(path))


def link_files(
    moves: Sequence[tuple[str, str]],
    source: Path,
    target: Path,
    how: str,
    advance: Advance,
) -> list[Written]:
    """Each file of `source` in `target`, as a copy, a hard link or a symbolic link.

    Raises SourceError if a file cannot be read, OSError if one cannot be written.
    """
    written = []
    made: set[Path] = set()
    for done, (old, new) in enumerate(moves):
        here, there = source / old, target / new
        if there.parent not in made:
            there.parent.mkdir(parents=True, exist_ok=True)
            made.add(there.parent)
        try:
            if how == "sym":
                os.symlink(os.path.abspath(here), there)
            elif how == "hard":
                os.link(os.path.realpath(here), there)
            else:
                shutil.copy2(here, there)
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise ConfigError(
                    f"--link hard: {printable(target)} is on another disk than the images: use "
                    "--link copy or sym"
                ) from None
            if error.filename != str(here) or error.filename2 is not None:
                raise  # it names both, or the other
            raise SourceError(
                f"{printable(here)}: cannot be read ({error.strerror}): nothing was written"
            ) from None
        written.append(Written(path=new, state=state_of(there, how)))
        advance(done + 1, len(moves), f"{done + 1:,} of {len(moves):,} files")
    return written


def state_of(path: Path, how: str) -> str:
    """A mark by which a changed file is recognised. Raises OSError.

    A hard link shares its content with the source: who changes that has not changed this file.
    """
    if how == "sym":
        return f"sym:{os.readlink(path)}"
    if how == "hard":
        status = os.lstat(path)
        return f"hard:{status.st_dev}:{status.st_ino}"
    return hash_of(path)


def hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def _sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _is_same(one: Path, other: Path) -> bool:
    """Also by another spelling, another link or another case of its letters."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _free_number(out: Path, log: Path) -> int:
    number = 1
    while any(os.path.lexists(before_path(path, number)) for path in (out, log)):
        number += 1
    return number


def _log_bytes(facts: Mapping[str, Any], written: Sequence[Written]) -> bytes:
    """One line for each fact and each file."""
    lines = [f'  "{name}": '.encode() + encode_json(value) for name, value in facts.items()]
    lines.append(b'  "written": [\n' + b",\n".join(_entries(written)) + b"\n  ]")
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def _entries(written: Sequence[Written]) -> Iterator[bytes]:
    for each in written:
        yield b"    " + encode_json([each.path, each.state])
