"""Which rows train, which are only reported, and which are left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labelclean.errors import SourceError

_WORDS = {
    "train": ("train", "training", "trn"),
    "test": ("test", "testing", "tst"),
    "validation": ("val", "valid", "validation", "dev", "eval"),
}
_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words}
HELD_OUT = ("test", "validation")


def is_split_word(value: str) -> bool:
    return value.strip().casefold() in _SPLIT_OF


def plain_split(value: str) -> str:
    """One spelling for each split: `Val`, `valid` and `validation` are the same."""
    word = value.strip().casefold()
    return _SPLIT_OF.get(word, word)


def choose_rows(
    splits: Sequence[str | None], wanted: str | None, origin: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows to keep, and which of all rows to hold out of the training.

    splits   (n,) as the source names them; None or empty: no split, trained on
    wanted   None     keep all rows, hold out those of a test or validation split
             "all"    keep all rows, train on all
             "a,b"    keep the rows of these splits; test and validation are held out
                      only if another of the kept ones is trained on
    returns  keep (n,), held_out (n,)

    Raises SourceError if a wanted split is not there.
    """
    plain = np.array([plain_split(split or "") for split in splits], dtype=object)
    if wanted is not None and wanted.strip().casefold() == "all":
        return np.ones(len(plain), bool), np.zeros(len(plain), bool)
    held_out = np.isin(plain, HELD_OUT)
    if wanted is None:
        return np.ones(len(plain), bool), held_out
    names = [plain_split(name) for name in wanted.split(",")]
    there = sorted(set(plain.tolist()) - {""})
    for name in names:
        if name not in there:
            what = f"only {', '.join(there)}" if there else "and no splits at all (--split-col?)"
            raise SourceError(f"--split {wanted}: {origin} has no split '{name}', {what}")
    keep = np.isin(plain, names)
    if set(names) <= set(HELD_OUT):
        held_out = np.zeros(len(plain), bool)
    return keep, held_out
