"""apply taken back: what it wrote goes, what was there before comes again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from labelclean import disk, schema
from labelclean.apply.writing import (
    LOG_SCHEMA,
    Advance,
    before_path,
    log_path,
    state_of,
)
from labelclean.disk import Move
from labelclean.errors import ReportError, printable
from labelclean.opening import read_regular
from labelclean.schema import Count, Flag, Text
from labelclean.sources.wording import counted


@dataclass(frozen=True, kw_only=True)
class Undone:
    """The result of undo.

    removed   files of apply that went
    restored  whether there was something before that is there again
    """

    out: Path
    removed: int
    restored: bool

    def to_json(self) -> dict[str, object]:
        return {"out": str(self.out), "removed": self.removed, "restored": self.restored}

    def describe(self) -> str:
        shown = printable(self.out)
        if self.restored:
            return f"{shown} is again what it was before apply"
        files = counted(self.removed, "file")
        return f"{shown} is gone: what apply had written ({files}) was removed"


@dataclass(frozen=True, kw_only=True)
class _Before:
    """Whether there was something before, which is kept under that number."""

    number: Count
    out: Flag
    log: Flag


@dataclass(frozen=True, kw_only=True)
class _Log:
    """The part of the log that undo reads. written: path and state of each file."""

    before: _Before
    written: tuple[tuple[Text, Text], ...]


def undo(out: Path, advance: Advance) -> Undone:
    """Takes back the last apply to `out`; once more takes back the one before.

    Raises ReportError if apply did not write it, or it was changed since; OutputError if it cannot
    be moved.
    """
    out = Path(os.path.abspath(out))
    log = log_path(out)
    if not out.parent.is_dir():
        raise ReportError(f"{printable(out)}: there is no folder {printable(out.parent)}")
    with disk.claim(out):  # which also finishes what a killed undo or apply began
        return _undo(out, log, advance)


def _undo(out: Path, log: Path, advance: Advance) -> Undone:
    log_of = _read_log(out, log)
    is_there = os.path.lexists(out)
    before, written = log_of.before, dict(log_of.written)
    old_out, old_log = before_path(out, before.number), before_path(log, before.number)
    for path, is_needed in ((old_out, before.out), (old_log, before.log)):
        if is_needed and not os.path.lexists(path):
            raise ReportError(
                f"{printable(path)}: is gone, which --undo would put back: restore it, or delete "
                f"{printable(out)} and {printable(log)} by hand"
            )
    with disk.stage(out) as stage:
        if is_there:
            _check_unchanged(out, written, advance)
        new_out = old_out.name if before.out else None
        new_log = old_log.name if before.log else None
        moves = [Move(log.name, new_log, stage.within("log"))]
        if is_there or before.out:
            moves.insert(0, Move(out.name, new_out, stage.within("out")))
        stage.place(moves)
    removed = len(written) if is_there else 0
    return Undone(out=out, removed=removed, restored=before.out)


def _read_log(out: Path, log: Path) -> _Log:
    try:
        data = schema.loads(read_regular(log))
    except FileNotFoundError:
        raise ReportError(
            f"{printable(out)}: has no {printable(log.name)} beside it, so apply did not write it "
            "and --undo has nothing to take back"
        ) from None
    except OSError as error:
        raise ReportError(f"{printable(log)}: cannot be read: {error.strerror}") from None
    version = data.get("apply_log") if isinstance(data, dict) else None
    if data is not None and version != LOG_SCHEMA:
        raise ReportError(
            f"{printable(log)}: not a log that this labelclean reads (version {LOG_SCHEMA}): undo "
            "with the one that wrote it"
        )
    try:
        return schema.checked(TypeAdapter(_Log), data)
    except ValueError as error:
        raise ReportError(f"{printable(log)}: damaged ({error}): restore it from a copy") from None


def _check_unchanged(out: Path, written: dict[str, str], advance: Advance) -> None:
    """Raises ReportError naming the first difference. Raises OSError if a file cannot be read."""
    is_folder = out.is_dir() and not out.is_symlink()
    files = _files_below(out) if is_folder else {"": out}
    names = sorted({*files, *written})
    changed = []
    for done, name in enumerate(names):
        is_same = name in files and name in written and _is_as_written(files[name], written[name])
        if not is_same:
            changed.append(name)
        advance(done + 1, len(names), f"{done + 1:,} of {len(names):,} files")
    if changed:
        more = f" and {len(changed) - 1:,} more" if len(changed) > 1 else ""
        raise ReportError(
            f"{printable(out / changed[0])}{more}: changed since apply wrote it: nothing was "
            "undone; move it away to keep it, then --undo again"
        )


def _is_as_written(path: Path, state: str) -> bool:
    kind = state.partition(":")[0]
    if path.is_symlink() != (kind == "sym") or (path.is_dir() and kind != "sym"):
        return False
    return state_of(path, kind) == state


def _files_below(folder: Path) -> dict[str, Path]:
    by_name = {}
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        for name in (*files, *links):
            path = Path(place, name)
            by_name[path.relative_to(folder).as_posix()] = path
    return by_name
