"""Splits: which words name one, in columns, folders and file names, and which rows then train."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from labelclean.errors import SourceError
from labelclean.sources.wording import counted, listed, shown

TRAIN, TEST, VALIDATION = "train", "test", "validation"
HELD_OUT = (TEST, VALIDATION)
_WORDS = {
    TRAIN: ("train", "training", "trn", "trainset"),
    TEST: ("test", "testing", "tst", "testset"),
    VALIDATION: ("val", "valid", "validation", "dev", "eval", "valset"),
}
_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words}
# What people write around the word: train_images, seg_test, "validation set", train-00000-of-00002.
_AROUND = {
    "set", "sets", "data", "dataset", "images", "image", "imgs", "img", "photos", "pictures",
    "folder", "split", "seg", "stg", "stage", "part", "shard", "of", "jpg", "jpeg", "png", "public",
    "private", "the", "full", "new", "parquet", "batch", "file",
}  # fmt: skip
_TRUE, _FALSE = {"true", "1", "1.0", "yes", "y", "t"}, {"false", "0", "0.0", "no", "n", "f"}
UNKNOWN = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
NOT_LABELLED = {
    "unlabeled", "unlabelled", "pred", "predict", "prediction", "predictions", "unsup",
    "unsupervised",
}  # fmt: skip


def is_split_word(value: str) -> bool:
    """True of a word for a split alone: `train`, `Val`."""
    return value.strip().casefold() in _SPLIT_OF


def split_of(name: str) -> str | None:
    """train, test or validation, where the name says that and nothing else: `test_images`."""
    words = set(_words(name)) - _AROUND
    splits = {_SPLIT_OF.get(word) for word in words}
    return splits.pop() if len(splits) == 1 else None


def split_within(name: str) -> str | None:
    """The only split that a longer name holds: `id_test`, `chest_xray_train`."""
    splits = {_SPLIT_OF[word] for word in _words(name) if word in _SPLIT_OF}
    return splits.pop() if len(splits) == 1 else None


def split_of_flag(column: str) -> tuple[str, str] | None:
    """For a column such as `is_valid`: the splits of its true and of its false rows."""
    words = _words(column)
    if len(words) < 2 or words[0] != "is":
        return None
    split = split_of(" ".join(words[1:]))
    if split is None:
        return None
    return (split, TEST) if split == TRAIN else (split, TRAIN)


def flag_value(cell: str) -> bool | None:
    word = cell.strip().casefold()
    return True if word in _TRUE else False if word in _FALSE else None


def split_of_path(path: str) -> str | None:
    """The split in the name of a shard or of a folder above it, the nearest first."""
    *folders, file = path.replace("\\", "/").split("/")
    stem = file.split(".")[0]
    for part in (stem, *reversed(folders)):
        if (split := split_of(part)) is not None:
            return split
    return None


def plain_split(value: str) -> str:
    """One spelling for each split: `Val`, `valid` and `validation set` are the same."""
    return split_of(value) or value.strip().casefold()


def names_splits(values: Iterable[str | None]) -> bool:
    """True of cells at least half of which are words for splits."""
    counts = Counter(value.strip() for value in values if value and value.strip())
    known = {value for value in counts if split_of(value) or split_within(value)}
    return bool(known) and 2 * sum(counts[value] for value in known) >= sum(counts.values())


def choose_rows(
    splits: Sequence[str | None], wanted: str | None, origin: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], tuple[str, ...]]:
    """Which rows to keep, which of all rows to hold out of the training, and notes.

    splits   (n,) as the source names them; None or empty: no split, trained on
    wanted   None     keep all rows, hold out those of a test or validation split
             "all"    keep all rows, train on all
             "a,b"    keep the rows of these splits; test and validation are held out
                      only if another of the kept ones is trained on
    returns  keep (n,), held_out (n,), notes

    Raises SourceError if a wanted split is not there.
    """
    plain = np.array([plain_split(split or "") for split in splits], dtype=object)
    if wanted is not None and wanted.strip().casefold() == "all":
        return np.ones(len(plain), bool), np.zeros(len(plain), bool), ()
    holds = {name: name in HELD_OUT or split_within(name) in HELD_OUT for name in set(plain)}
    held_out = np.array([holds[name] for name in plain], dtype=bool)
    if wanted is None:
        return np.ones(len(plain), bool), held_out, _notes(plain, holds)
    names = [plain_split(name) for name in wanted.split(",")]
    there = sorted(set(plain.tolist()) - {""})
    for name in names:
        if name not in there:
            what = f"only {', '.join(there)}" if there else "and no splits at all (--split-col?)"
            raise SourceError(f"--split {wanted}: {origin} has no split '{shown(name)}', {what}")
    keep = np.isin(plain, names)
    if all(holds[name] for name in names):
        held_out = np.zeros(len(plain), bool)
    return keep, held_out, ()


def _notes(plain: NDArray[np.object_], holds: dict[str, bool]) -> tuple[str, ...]:
    """Notes on split words that are not known."""
    unknown = {name for name in holds if name and name not in _WORDS}
    notes = []
    for held in (False, True):
        counts = Counter(name for name in plain.tolist() if name in unknown and holds[name] == held)
        if counts:
            words = listed([f"'{shown(name)}' ({counted(k, 'row')})" for name, k in counts.items()])
            what = "held out of the training" if held else "trained on"
            notes.append(f"no known word for a split: {words}: {what}; --split chooses")
    return tuple(notes)


def _words(name: str) -> list[str]:
    return [word.casefold() for word in UNKNOWN.findall(_CAMEL.sub(" ", name))]
