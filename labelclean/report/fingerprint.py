"""Fingerprint: by which the meta file of a report knows its rows again, and what was edited."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from labelclean.schema import Count, Text

IDENTITY = ("image", "given_label")  # decisions and features are on these rows in this order
JUDGED = ("label_score", "issue_probability")  # two runs differ in nearly all of them
_BLOCKS = 64  # at most: of each a short digest is kept
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
    blocks = np.array_split(np.arange(len(frame)), max(1, min(_BLOCKS, len(frame))))
    cells = {
        str(name): "".join(
            _digest(column[block[0] : block[-1] + 1]) for block in blocks if len(block)
        )
        for name in frame.columns
        if name not in IDENTITY
        for column in [frame[name].tolist()]
    }
    identity = "".join(_digest(frame[name].tolist()) for name in IDENTITY)
    return Fingerprint(count=len(frame), identity=identity, cells=cells)


def problem_of(recorded: Fingerprint, current: Fingerprint) -> str:
    """Why these rows are not those that the meta file was written with; "" where they are."""
    if recorded.count != current.count:
        return f"has {current.count:,} rows, but was written with {recorded.count:,}"
    if recorded.identity != current.identity:
        return "images or given labels are not in the order, or not the ones, that it had"
    foreign = [
        sum(a != b for a, b in zip(was, now, strict=True)) > len(now) / 2
        for name in JUDGED
        for was, now in [(_parts(recorded.cells.get(name, "")), _parts(current.cells[name]))]
        if len(was) == len(now)
    ]
    return "is of another run than its meta file" if foreign and all(foreign) else ""


def edited(recorded: Fingerprint, now: Fingerprint) -> tuple[str, ...]:
    """The columns of which cells were changed."""
    cells = recorded.cells
    return tuple(name for name in now.cells if name in cells and cells[name] != now.cells[name])


def _parts(digests: str) -> list[str]:
    return [digests[k : k + _DIGITS] for k in range(0, len(digests), _DIGITS)]


def _digest(cells: list[object]) -> str:
    data = json.dumps(cells).encode()
    return hashlib.blake2b(data, digest_size=_DIGITS // 2).hexdigest()
