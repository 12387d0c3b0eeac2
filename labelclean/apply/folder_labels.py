"""Class folders with the final labels: which file goes where."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from labelclean.apply.outcome import Outcome
from labelclean.errors import ReportError, printable
from labelclean.sources.levels import find_levels
from labelclean.sources.splits import TRAIN, plain_split

_LONGEST = 255  # bytes of a name on the usual disks


@dataclass(frozen=True, kw_only=True)
class Placing:
    """Where each file goes.

    moves    (source, target), relative to the roots, forward slashes
    renamed  files that got another name because theirs was taken in the new class
    """

    moves: tuple[tuple[str, str], ...]
    renamed: int = 0
    unreported: int = 0


def place_as_they_are(files: Sequence[str], outcome: Outcome) -> Placing:
    """Every file but those of excluded rows, where it was."""
    index = {name: k for k, name in enumerate(outcome.images)}
    excluded = outcome.is_excluded.tolist()
    kept = [name for name in files if name not in index or not excluded[index[name]]]
    return Placing(moves=tuple((name, name) for name in kept))


def place_in_classes(
    files: Sequence[str], outcome: Outcome, root: str = "", level: int | None = None
) -> Placing:
    """Every file in the folder of its final label; files of no row stay where they were.

    files  relative to the root
    level  which folder is the class, as the report was made with; None: found out as then

    Raises ReportError if a label can be no folder.
    """
    index = {name: k for k, name in enumerate(outcome.images)}
    changed, excluded = outcome.is_changed.tolist(), outcome.is_excluded.tolist()
    levels = find_levels(files, root, level)
    depths = dict(zip(files, levels.depths, strict=True))
    trained = [
        name
        for name, split in zip(files, levels.splits, strict=True)
        if depths[name] >= 0 and plain_split(split or TRAIN) == TRAIN
    ]
    outside = trained[0].split("/")[: depths[trained[0]]] if trained else []
    kept = [name for name in files if name not in index or not excluded[index[name]]]
    is_moved = [name in index and changed[index[name]] for name in kept]
    # Where upper and lower case are the same name, two files must not become one.
    taken = {name.casefold() for name, moved in zip(kept, is_moved, strict=True) if not moved}
    moves, renamed = [], 0
    for name, moved in zip(kept, is_moved, strict=True):
        target = name
        if moved:
            wanted = _target(name, outcome.labels[index[name]], depths[name], outside)
            target = _free(wanted, taken)
            taken.add(target.casefold())
            renamed += target != wanted
        moves.append((name, target))
    unreported = sum(name not in index for name in kept)
    return Placing(moves=tuple(moves), renamed=renamed, unreported=unreported)


def _target(name: str, label: str, depth: int, outside: list[str]) -> str:
    if problem := _problem(label):
        raise ReportError(
            f"label '{printable(label)}' of {printable(name)} {problem}, so it cannot be a "
            "folder: decide for another label, or write a table (--out clean.csv)"
        )
    parts = name.split("/")
    if depth >= 0:
        return "/".join([*parts[:depth], label, *parts[depth + 1 :]])
    # An image outside the class folders; one outside the splits too goes to the training split.
    return "/".join([*(parts[:-1] or outside), label, parts[-1]])


def _problem(label: str) -> str:
    if "/" in label or "\\" in label:
        return "holds a slash"
    if "\0" in label:
        return "holds a zero character"
    if not label.strip():
        return "is empty"
    if label.startswith(".") or label == "__MACOSX":
        return "would be hidden"
    if len(label.encode("utf-8", "surrogateescape")) > _LONGEST:
        return f"is longer than {_LONGEST} bytes"
    return ""


def _free(wanted: str, taken: set[str]) -> str:
    stem, ending = posixpath.splitext(wanted)
    target, number = wanted, 1
    while target.casefold() in taken:
        number += 1
        target = f"{stem}-{number}{ending}"
    return target
