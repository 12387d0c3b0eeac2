"""Which file each name in a table means."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

from labelclean.data.image_names import is_image_name
from labelclean.errors import SourceError
from labelclean.sources.folders import Listing
from labelclean.sources.rows import Rows
from labelclean.sources.wording import counted, listed, shown

_WEB = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_DRIVE = re.compile(r"[a-z]:/", re.IGNORECASE)
_SAMPLE = 2_000  # cells of a column that are looked up to see whether it names images
_BY_FOLDER, _BY_STEM = 0.9, 0.8  # what a match counts that lacks its folder or its ending


def matcher(listing: Listing, is_walked: bool) -> Callable[[Sequence[str | None]], float]:
    """How much of some cells are images of the listing: exact paths count most."""
    inside = _roots(listing.root)
    known: dict[str, set[str]] = {}

    def names() -> dict[str, set[str]]:
        if not known:
            known["base"] = {posixpath.basename(p) for p in listing.paths} if is_walked else set()
            known["stem"] = {posixpath.splitext(p)[0] for p in listing.paths if is_image_name(p)}
            known["base stem"] = {posixpath.splitext(name)[0] for name in known["base"]}
        return known

    def match(cells: Sequence[str | None]) -> float:
        some = [cell for cell in cells if cell and cell.strip()]
        some = some[:: -(-len(some) // _SAMPLE) or 1]
        paths = [_inside(cell, inside) or "" for cell in some]
        if not is_walked:
            for folder in {posixpath.dirname(path) for path in paths}:
                listing.visit(folder)
            known.clear()
        score = 0.0
        for cell, path in zip(some, paths, strict=True):
            base = posixpath.basename(path)
            if cell in listing.index or (path in listing.index and is_image_name(path)):
                score += 1
            elif is_image_name(path) and base in names()["base"]:
                score += _BY_FOLDER
            elif path in names()["stem"] or base in names()["base stem"]:
                score += _BY_STEM
        return score / len(some) if some else 0.0

    return match


def locate(rows: Rows, listing: Listing, *, is_walked: bool = False) -> tuple[list[str], list[str]]:
    """The file that each row means, relative to the listing's root, and notes.

    A name that is a listed file is that file. Others are tried with forward slashes, relative to
    the root, without outer spaces, in composed Unicode, and with each image ending; where no name
    at all is a file, also in the only folder that holds all of them, and by the last part alone.

    is_walked  whether the listing has all files
    returns    (n,) paths; one that is not in `listing.index` has no file

    Raises SourceError for a name that leads out of the root, and for one that fits several files.
    """
    files = list(rows.names)
    inside = _roots(listing.root)
    if not is_walked:  # most names are as they should be: then none has to be looked at
        for folder in {posixpath.dirname(name) for name in files}:
            if not folder or _inside(folder, inside) == folder:
                listing.visit(folder)
    doubtful = [k for k, name in enumerate(files) if name not in listing.index]
    if not doubtful:
        return files, []
    for k in doubtful:
        files[k] = _relative(files[k], inside, listing.root, lambda k=k: rows.where(k))  # type: ignore[misc]
    for folder in {posixpath.dirname(files[k]) for k in doubtful}:
        listing.visit(folder)  # behind a second link, hidden, or not walked at all
    doubtful = [k for k in doubtful if files[k] not in listing.index]
    if not doubtful:
        return files, []
    _by_spelling(rows, files, doubtful, listing)
    doubtful = [k for k in doubtful if files[k] not in listing.index]
    if is_walked and len(doubtful) == len(files):
        return files, _by_last_part(rows, files, listing)
    return files, []


def _by_spelling(rows: Rows, files: list[str], doubtful: list[int], listing: Listing) -> None:
    composed: dict[str, str] = {}
    by_stem: dict[str, list[str]] = defaultdict(list)
    for path in listing.paths:
        composed.setdefault(unicodedata.normalize("NFC", path), path)
        if is_image_name(path):
            by_stem[posixpath.splitext(path)[0]].append(path)
    for k in doubtful:
        name = files[k]
        if (same := composed.get(unicodedata.normalize("NFC", name))) is not None:
            files[k] = same
        elif not is_image_name(name) and name in by_stem:
            files[k] = _only_one(rows, k, name, by_stem[name], "write the name with its ending")


def _by_last_part(rows: Rows, files: list[str], listing: Listing) -> list[str]:
    """Names that lack the folder above them: all in one folder, or else each in just one."""
    ending: dict[str, list[str]] = defaultdict(list)
    images = [path for path in listing.paths if listing.is_visible_image(path)]
    wanted = {posixpath.basename(name) for name in files}
    for path in images:
        base = posixpath.basename(path)
        for key in {base, posixpath.splitext(base)[0]} & wanted:
            ending[key].append(path)

    def fitting(name: str) -> list[str]:
        has_ending = is_image_name(name)
        return [
            path
            for path in ending.get(posixpath.basename(name), [])
            if f"/{path if has_ending else posixpath.splitext(path)[0]}".endswith(f"/{name}")
        ]

    fits = [fitting(name) for name in files]
    if not any(fits):
        return []
    folders = [{_above(path, name) for path in f} for f, name in zip(fits, files, strict=True)]
    whole = set.intersection(*folders)
    if len(whole) > 1:
        raise SourceError(
            f"{rows.origin}: its images are in {listed([shown(f) for f in sorted(whole)])} of "
            f"{listing.root}: give one of these folders as IMAGES"
        )
    for k, name in enumerate(files):
        candidates = [p for p in fits[k] if not whole or _above(p, name) in whole]
        if candidates:
            files[k] = _only_one(rows, k, name, candidates, "write the name with its folder")
    counts = Counter(posixpath.dirname(path) for path in files if path in listing.index)
    places = listed([f"{shown(f)} ({k:,})" for f, k in counts.most_common()], 4)
    return [f"the names lack their folder: found in {places}"]


def _above(path: str, name: str) -> str:
    """The folder that the name is relative to."""
    parts = name.count("/") + 1
    return "/".join(path.split("/")[:-parts])


def _only_one(rows: Rows, row: int, name: str, candidates: list[str], remedy: str) -> str:
    if len(candidates) > 1:
        fits = listed([shown(path) for path in candidates], 3)
        raise SourceError(f"{rows.where(row)}: {shown(name)} fits {fits}: {remedy}")
    return candidates[0]


def _roots(root: Path) -> tuple[str, ...]:
    """The root as given and with its links followed, forward slashes, one at the end."""
    spelled = (os.path.abspath(root), os.path.realpath(root))
    return tuple(dict.fromkeys(path.replace("\\", "/").rstrip("/") + "/" for path in spelled))


def _plain(name: str) -> str:
    """Forward slashes, no outer spaces, file:// and ~ written out."""
    name = name.strip()
    if name.lower().startswith("file://"):
        name = unquote(name[len("file://") :].removeprefix("localhost"))
    if name.startswith("~/"):
        name = os.path.expanduser(name)
    return posixpath.normpath(name.replace("\\", "/"))


def _inside(name: str, inside: tuple[str, ...]) -> str | None:
    """The name relative to the root; None where it leads out of it."""
    if _WEB.match(name) and not name.lower().startswith("file://"):
        return None
    path = _plain(name)
    if path.startswith("/") or _DRIVE.match(path):
        return next((path[len(start) :] for start in inside if path.startswith(start)), None)
    return None if path == ".." or path.startswith("../") or "\0" in path else path


def _relative(name: str, inside: tuple[str, ...], root: Path, where: Callable[[], str]) -> str:
    if _WEB.match(name) and not name.strip().lower().startswith("file://"):
        raise SourceError(
            f"{where()}: {shown(name)} is a web address: download the images and give their paths"
        )
    if "\0" in name:
        raise SourceError(f"{where()}: {shown(name)} holds a zero character: correct the path")
    path = _inside(name, inside)
    if path is not None:
        return path
    raise SourceError(
        f"{where()}: {shown(name)} is not in {root}: "
        "give the folder that holds all images as IMAGES, with paths relative to it"
    )


def alike(files: list[str], extra: list[str], listing: Listing) -> str:
    """A note on names that differ from a file's only in upper and lower case."""
    there = {path.casefold(): path for path in extra}
    pairs = [
        (name, there[name.casefold()])
        for name in (files if there else ())
        if name not in listing.index and name.casefold() in there
    ]
    if not pairs:
        return ""
    name, path = pairs[0]
    return (
        f"{counted(len(pairs), 'missing name')} would fit in other case: "
        f"{shown(name)} is not {shown(path)}"
    )


def folder_hint(names: list[str], listed_paths: list[str], root: Path, beside: Path | None) -> str:
    """Which folder the user may have meant, when none of the names is in the one they gave.

    A folder is named only if it holds all the files.
    """
    first = names[0]
    for folder in (root.parent, beside):
        if folder is not None and folder != root and _holds_all(folder, names):
            return f"they are in {folder}: give that folder as IMAGES"
    base = posixpath.basename(first)
    for path in listed_paths:
        if posixpath.basename(path).casefold() == base.casefold() and path != first:
            return f"{shown(path)} is there, which is spelled differently: correct the paths"
    return f"paths must be relative to {root}"


def _holds_all(folder: Path, names: list[str]) -> bool:
    return all(os.path.isfile(folder / name) for name in names)
