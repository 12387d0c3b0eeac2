"""Fingerprint: by which the meta file of a report knows its rows again, and what was edited."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from labelclean.schema import Count, Text

IDENTITY = ("image", "given_label")  # decisions and features are on these rows in this order
JUDGED = ("label_score", "issue_probability")  # two runs differ in nearly all of them
_BLOCKS = 64  # at most: of each a short digest is kept
_LOOKED_AT = 8  # of them when a report is read
_AT_ONCE = 65_536  # cells
_DIGITS = 8  # of a digest, hexadecimal


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Digests of the rows, column by column.

    count     rows
    identity  of IDENTITY, all rows
    cells     of the other columns: the digests of blocks of rows in a row
    """

    count: Count
    identity: Text
    cells: Mapping[Text, Text]


def fingerprint(frame: pd.DataFrame) -> Fingerprint:
    """Equal where the cells are equal, in whatever format they were written."""
    cells = {
        str(name): "".join(_block_digests(frame, str(name)))
        for name in frame.columns
        if name not in IDENTITY
    }
    return Fingerprint(count=len(frame), identity=_identity(frame), cells=cells)


def problem_of(recorded: Fingerprint, frame: pd.DataFrame) -> str:
    """Why these rows are not those that the meta file was written with; "" where they are.

    Of the scores some blocks are looked at: two runs differ in nearly all of them.
    """
    if recorded.count != len(frame):
        return f"has {len(frame):,} rows, but was written with {recorded.count:,}"
    if recorded.identity != _identity(frame):
        return "images or given labels are not in the order, or not the ones, that it had"
    foreign = []
    for name in JUDGED:
        was = _parts(recorded.cells.get(name, ""))
        if len(was) == len(_blocks(frame)):
            looked_at = range(0, len(was), max(1, len(was) // _LOOKED_AT))
            now = _block_digests(frame, name, looked_at)
            differ = sum(a != was[k] for a, k in zip(now, looked_at, strict=True))
            foreign.append(differ > len(looked_at) / 2)
    return "is of another run than its meta file" if foreign and all(foreign) else ""


def edited(recorded: Fingerprint, frame: pd.DataFrame) -> tuple[str, ...]:
    """The columns of which cells were changed."""
    return tuple(
        name
        for name, was in recorded.cells.items()
        if name in frame and was != "".join(_block_digests(frame, name))
    )


def _identity(frame: pd.DataFrame) -> str:
    return "".join(_digest(frame[name]) for name in IDENTITY)


def _blocks(frame: pd.DataFrame) -> list[slice]:
    """The rows in at most _BLOCKS nearly equal parts; none where there is no row."""
    ends = np.array_split(np.arange(len(frame)), max(1, min(_BLOCKS, len(frame))))
    return [slice(int(each[0]), int(each[-1]) + 1) for each in ends if len(each)]


def _block_digests(
    frame: pd.DataFrame, name: str, places: Sequence[int] | None = None
) -> list[str]:
    """Digests of a column's blocks of rows, of all or of those at the places."""
    blocks = _blocks(frame)
    chosen = blocks if places is None else [blocks[k] for k in places]
    return [_digest(frame[name].iloc[block]) for block in chosen]


def _parts(digests: str) -> list[str]:
    return [digests[k : k + _DIGITS] for k in range(0, len(digests), _DIGITS)]


def _digest(cells: pd.Series[Any]) -> str:
    """Digest of the cells as a JSON list, made in parts: all at once it takes much memory."""
    hasher = hashlib.blake2b(b"[", digest_size=_DIGITS // 2)
    for begin in range(0, len(cells), _AT_ONCE):
        part = json.dumps(cells.iloc[begin : begin + _AT_ONCE].tolist())
        hasher.update((", " if begin else "").encode() + part[1:-1].encode())
    hasher.update(b"]")
    return hasher.hexdigest()
