"""Files that say what noise to inject: a mapping or transition matrix, and human labels."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelclean.data.noise import Labels, Matrix, mapping_matrix
from labelclean.errors import ConfigError, SourceError
from labelclean.opening import read_regular
from labelclean.sources.columns import IMAGE_NAMES, LABEL_NAMES
from labelclean.sources.wording import first_three, shown
from labelclean.tables.encodings import decode_text
from labelclean.tables.read_table import read_table
from labelclean.tables.table import SUFFIXES, Table, Texts

_SUM_ERROR = 1e-3  # of a row of a matrix, which people round
_ENOUGH = 100  # labels from which chance agreement can be told from none


def read_mapping(path: Path, class_names: Sequence[str], rate: float | None) -> Matrix:
    """The transition matrix in a table of from,to,rate, or of the matrix itself.

    rate     that of all pairs, for a table of from,to; else None
    returns  (c, c) row: true class, column: given class; classes not named keep their labels

    Raises SourceError or ConfigError if the file is no such table, or names an unknown class.
    """
    _check_exists(path, "--mapping")
    table = read_table(path)
    column = {name.casefold(): k for k, name in enumerate(table.columns)}
    if not {"from", "to"} <= set(column):
        if rate is not None:
            raise ConfigError(
                f"--asymm: {path} has no columns from,to that could take one rate: leave --asymm "
                "out for a transition matrix"
            )
        return _read_matrix(table, class_names)
    if "rate" in column and rate is not None:
        raise ConfigError(f"--asymm: {path} has its own rates: leave --asymm out")
    if "rate" not in column and rate is None:
        raise ConfigError(f"{path}: has no column rate: add one, or give one rate by --asymm 0.4")
    sources, targets = (_words(table, column[name]) for name in ("from", "to"))
    rates = _numbers(table, column["rate"]) if rate is None else [rate] * table.num_rows
    return mapping_matrix(list(zip(sources, targets, rates, strict=True)), class_names)


def read_human(
    path: Path,
    column: str | None,
    paths: Sequence[str],
    rows: NDArray[np.int64],
    class_names: Sequence[str],
) -> Labels:
    """An annotator's label of each image, as in CIFAR-N.

    path        text of one class name or number a line, or a table with a column of them, which is
                looked up by the image where it has a column of those
    column      name of the table's column; None: the only one, or one called label or the like
    paths       (n,) of all images
    rows        (m,) the images that are asked for
    returns     (m,) index into class_names

    Raises SourceError if the file is of another length or holds anything else.
    """
    _check_exists(path, "--human")
    if path.suffix.lower() in SUFFIXES and path.suffix.lower() != ".txt":
        table = read_table(path)
        names, texts, where = _human_columns(table, column)
    else:
        if column is not None:
            raise ConfigError(f"--human-col: {path} is text and has no columns: leave it out")
        names = None
        texts, where = _lines(path)
    if names is not None:
        places = _places(path, names, [paths[k] for k in rows.tolist()])
    elif len(texts) == len(rows):
        places = list(range(len(rows)))
    elif len(texts) == len(paths):
        places = rows.tolist()
    else:
        raise SourceError(
            f"{path}: {len(texts):,} labels for {len(rows):,} images: write one for each, in "
            f"their order ({first_three((paths[k] for k in rows.tolist()), len(rows))})"
        )
    return _coded([texts[k] for k in places], lambda k: where(places[k]), class_names)


def check_agreement(path: Path, human: Labels, truth: Labels, num_classes: int) -> None:
    """Raises SourceError if the labels agree with the truth as seldom as a wrong order would."""
    count = len(truth)
    chance = 1 / num_classes
    agreement = float((human == truth).mean()) if count else 1.0
    if count >= _ENOUGH and agreement < chance + 3 * math.sqrt(chance * (1 - chance) / count):
        raise SourceError(
            f"{path}: agrees with the true labels in {agreement:.1%} of {count:,} images, as "
            "chance does: bring its rows in the order of the images"
        )


def _check_exists(path: Path, flag: str) -> None:
    if not os.path.exists(path):
        raise SourceError(f"{flag} {path}: no such file: correct the path")
    if path.is_dir():
        raise SourceError(f"{flag} {path}: is a folder: give the file in it")


def _words(table: Table, column: int) -> list[str]:
    words = [(text or "").strip() for text in table.texts(column)]
    for row, word in enumerate(words):
        if not word:
            name = table.columns[column]
            raise SourceError(f"{table.where(row)}: '{name}' is empty: write the class")
    return words


def _numbers(table: Table, column: int) -> list[float]:
    numbers = []
    for row, text in enumerate(table.texts(column)):
        try:
            numbers.append(float(text or ""))
        except ValueError:
            raise SourceError(
                f"{table.where(row)}: '{shown(table.columns[column])}' is {shown(text or '')!r}: "
                "write a number from 0 to 1"
            ) from None
    return numbers


def _read_matrix(table: Table, class_names: Sequence[str]) -> Matrix:
    """Header: a first cell of any kind, then given classes; each row: a true class, its rates."""
    heads = table.columns[1:]
    names = _words(table, 0)
    for where, group in ((f"{table.path}:1", heads), (str(table.path), names)):
        unknown = [name for name in group if name not in class_names]
        if unknown:
            raise ConfigError(
                f"--mapping: {where}: there is no class {shown(unknown[0])!r}: the columns must "
                "be from,to,rate, or the first column and the header must be the classes of a "
                f"transition matrix ({first_three(class_names, len(class_names))})"
            )
        if len(set(group)) < len(group):
            raise ConfigError(f"--mapping: {where}: a class comes twice: remove one")
    place = {name: k for k, name in enumerate(class_names)}
    cells = np.array([_numbers(table, k) for k in range(1, len(table.columns))]).T
    for row, values in enumerate(cells):
        if not (values >= 0).all() or abs(values.sum() - 1) > _SUM_ERROR:
            raise ConfigError(
                f"--mapping: {table.where(row)}: the rates of {shown(names[row])!r} sum to "
                f"{values.sum():.6g}: they must be 0 or more and sum to 1"
            )
    matrix = np.eye(len(class_names))
    columns = [place[name] for name in heads]
    for name, values in zip(names, cells, strict=True):
        matrix[place[name]] = 0
        matrix[place[name], columns] = values / values.sum()
    return matrix


def _lines(path: Path) -> tuple[Texts, Callable[[int], str]]:
    try:
        text, _ = decode_text(read_regular(path), path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    lines: Texts = [line.strip() for line in text.rstrip().splitlines()]
    return lines, lambda row: f"{path}:{row + 1}"


def _human_columns(
    table: Table, column: str | None
) -> tuple[list[str] | None, Texts, Callable[[int], str]]:
    plain = [name.strip().casefold() for name in table.columns]
    images = [k for k, name in enumerate(plain) if name in IMAGE_NAMES]
    others = [k for k in range(len(plain)) if k not in images]
    if column is not None:
        fitting = [k for k in others if table.columns[k] == column]
    else:
        fitting = others if len(others) == 1 else [k for k in others if plain[k] in LABEL_NAMES]
    if len(fitting) != 1 or len(images) > 1:
        listed = ", ".join(shown(name) for name in table.columns)
        raise SourceError(
            f"--human {table.path}: it is not clear which of the columns {listed} holds the "
            "labels: name one by --human-col"
        )
    texts = table.texts(fitting[0])
    if named := table.class_names.get(fitting[0]):
        texts = [named[int(text)] if text and 0 <= int(text) < len(named) else "" for text in texts]
    names = _words(table, images[0]) if images else None
    return names, [(text or "").strip() for text in texts], table.where


def _places(path: Path, names: list[str], wanted: list[str]) -> list[int]:
    place = {name: k for k, name in enumerate(names)}
    if len(place) < len(names):
        raise SourceError(f"{path}: names an image twice: keep one row for each")
    absent = [name for name in wanted if name not in place]
    if absent:
        raise SourceError(
            f"{path}: has no label for {len(absent):,} of {len(wanted):,} images "
            f"({first_three(absent, len(absent))}): add them"
        )
    return [place[name] for name in wanted]


def _coded(texts: Texts, where: Callable[[int], str], class_names: Sequence[str]) -> Labels:
    """Labels by name where all are class names, else numbers from 0 in the order of those."""
    place = {name: k for k, name in enumerate(class_names)}
    number = {str(k): k for k in range(len(class_names))}
    code = place if all(text in place for text in set(texts)) else {**place, **number}
    for row, text in enumerate(texts):
        if text not in code:
            raise SourceError(
                f"{where(row)}: {shown(text or '')!r} is neither a class "
                f"({first_three(class_names, len(class_names))}) nor a number from 0 to "
                f"{len(class_names) - 1}: correct it"
            )
    return np.array([code[text] for text in texts if text is not None], dtype=np.int64)
