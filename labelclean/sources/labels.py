"""The labels in a table: a column, one-hot columns, JSON cells; several in one; look-alikes."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from labelclean.config.source_options import SourceOptions
from labelclean.errors import SourceError
from labelclean.sources.columns import label_column, one_hot_columns
from labelclean.sources.splits import flag_value
from labelclean.sources.wording import counted, listed, shown
from labelclean.tables.table import Table, Texts

_SEPARATORS = "|;,/+ "
LABEL_KEYS = (
    "choices", "choice", "labels", "label", "class", "classes", "category", "name", "value",
)  # fmt: skip
NO_TEXT = frozenset({"", "nan", "NaN"})  # what other tools write for an absent label
_NUMBER = re.compile(r"[+-]?\d+(\.0*)?")


@dataclass(frozen=True, kw_only=True)
class GivenLabels:
    """Labels (n,) of a table, None where there is none, and the columns they came from."""

    labels: Texts
    columns: tuple[int, ...]
    name: str
    order: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    is_one_hot: bool = False

    @classmethod
    def none(cls, table: Table) -> GivenLabels:
        return cls(labels=[None] * table.num_rows, columns=(), name="label")


def given_labels(table: Table, options: SourceOptions, image: int) -> GivenLabels:
    """The label of each row.

    Raises SourceError if no column holds them, or a cell holds several and none is to be kept.
    """
    if options.label_col is None:
        hot = one_hot_columns(table, options.one_hot, (image,)) if options.one_hot else ()
        if not hot:
            try:
                label = label_column(table, None, image)
            except SourceError:
                hot = one_hot_columns(table, None, (image,))
                if not hot:
                    raise
        if hot:
            return _one_hot(table, hot, options.one_hot is not None, options.multi_label)
    else:
        label = label_column(table, options.label_col, image)
    names = table.class_names.get(label)
    texts = table.texts(label)
    labels = clean_labels(texts, names)
    labels, notes = single_labels(labels, table.where, table.columns[label], options.multi_label)
    spaced = sum(text is not None and text != text.strip() and bool(text.strip()) for text in texts)
    if spaced:
        notes = (f"white space around {counted(spaced, 'label')} is left out", *notes)
    return GivenLabels(
        labels=labels,
        columns=(label,),
        name=table.columns[label],
        order=names or (),
        notes=notes,
    )


def _one_hot(table: Table, columns: tuple[int, ...], named: bool, several: str) -> GivenLabels:
    labels: Texts = [None] * table.num_rows
    skipped = 0
    for k in columns:
        for row, cell in enumerate(table.texts(k)):
            if not (cell and flag_value(cell)):
                continue
            if labels[row] is not None:
                if several == "refuse":
                    raise SourceError(
                        f"{table.where(row)}: has a 1 in '{shown(str(labels[row]))}' and in "
                        f"'{shown(table.columns[k])}': one label an image is judged; keep one, or "
                        "--multi-label skip leaves such rows without a label"
                    )
                labels[row] = f"{labels[row]}|{table.columns[k]}"
            else:
                labels[row] = table.columns[k]
    if several == "skip":
        for row, label in enumerate(labels):
            if label is not None and label not in {table.columns[k] for k in columns}:
                labels[row], skipped = None, skipped + 1
    names = listed([shown(table.columns[k]) for k in columns], 4)
    notes = () if named else (f"one-hot columns, one a class: {names}",)
    if skipped:
        notes = (*notes, f"{counted(skipped, 'row')} with several labels: without a label")
    return GivenLabels(
        labels=labels, columns=columns, name="one-hot columns", notes=notes, is_one_hot=True
    )


def clean_labels(texts: Texts, names: tuple[str, ...] | None = None) -> Texts:
    """Labels without outer white space, None for an empty one; `names` are what integers mean."""
    meaning: dict[str | None, str | None] = {}
    for text in set(texts):
        plain = None if text is None or text.strip() in NO_TEXT else text.strip()
        if names is not None and plain is not None:
            number = int(plain)
            plain = names[number] if 0 <= number < len(names) else None
        meaning[text] = plain
    return [meaning[text] for text in texts]


def single_labels(
    labels: Texts, where: Callable[[int], str], column: str, several: str
) -> tuple[Texts, tuple[str, ...]]:
    """Each label for itself: out of lists and objects, and none that are several.

    Raises SourceError for a cell with several labels, unless they are to be kept or skipped.
    """
    parts = {text: _parts(text) for text in set(labels) if text is not None}
    alone = {places[0] for text, places in parts.items() if places is not None and len(places) == 1}
    alone |= {text for text, places in parts.items() if places is None}
    multi = {text for text, places in parts.items() if places is not None and len(places) > 1}
    multi |= {text for text, places in parts.items() if places is None and _is_several(text, alone)}
    rows = [k for k, text in enumerate(labels) if text in multi]
    meaning: dict[str | None, str | None] = {None: None}
    for text, places in parts.items():
        meaning[text] = text if places is None or text in multi else places[0] if places else None
    if rows and several == "refuse":
        raise SourceError(
            f"{where(rows[0])}: '{shown(column)}' is '{shown(str(labels[rows[0]]))}', several "
            f"labels ({counted(len(rows), 'row')} in all): one label an image is judged: "
            "--multi-label skip leaves these rows without a label, keep takes each for a class of "
            "its own"
        )
    if rows and several == "skip":
        for text in multi:
            meaning[text] = None
        note = f"{counted(len(rows), 'row')} with several labels: without a label"
        return [meaning[text] for text in labels], (note,)
    notes = (f"{counted(len(rows), 'row')} with several labels: kept as classes",) if rows else ()
    return [meaning[text] for text in labels], notes


def _parts(text: str) -> list[str] | None:
    """The labels in a JSON or Python list or object; None for any other text."""
    if text[:1] not in "[{" or text[-1:] not in "]}":
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            return None
    return _flat(value)


def _flat(value: object) -> list[str] | None:
    if isinstance(value, dict):
        keys = [key for key in LABEL_KEYS if key in value]
        return _flat(value[keys[0]]) if keys else None
    if isinstance(value, (list, tuple, set)):
        parts = [_flat(item) for item in value]
        if any(part is None for part in parts):
            return None
        return [label for part in parts if part for label in part]
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [str(int(value)) if value == int(value) else repr(value)]
    return [] if value is None else None


def _is_several(text: str, alone: set[str]) -> bool:
    """Whether it is made of other labels of the column, with a separator between them."""
    for separator in _SEPARATORS:
        parts = [part.strip() for part in text.split(separator)]
        if len(parts) < 2 or not all(parts):
            continue
        if len(set(parts)) > 1 and all(part in alone for part in parts):
            return True
        if separator in "|;" and any(part in alone for part in parts):
            return True
    return False


def look_alike_key(label: str) -> str:
    """The same for labels that a reader takes for one: case, Unicode form, spaces, 7 and 007."""
    plain = unicodedata.normalize("NFKC", label)
    plain = "".join(char for char in plain if unicodedata.category(char) not in ("Cf", "Cc"))
    plain = plain.strip().casefold()
    if _NUMBER.fullmatch(plain):
        return str(int(plain.split(".")[0]))
    return re.sub(r"[\s_-]+", " ", plain).strip() or plain


def look_alikes(counts: Mapping[str, int]) -> list[list[str]]:
    """Groups of two and more class names that look alike, each with its most frequent first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in counts:
        groups[look_alike_key(name)].append(name)
    return [
        sorted(names, key=lambda name: (-counts[name], name))
        for names in groups.values()
        if len(names) > 1
    ]


def spelled(name: str) -> str:
    """The name so that look-alikes are told apart: with escapes where letters do not show it."""
    plain = unicodedata.normalize("NFC", name)
    hidden = plain != name or any(unicodedata.category(char) == "Cf" for char in name)
    return f"'{name.encode('unicode_escape').decode() if hidden else shown(name)}'"


def merge_look_alikes(labels: Iterable[Texts], join: bool) -> tuple[list[Texts], list[str]]:
    """Columns of labels with look-alikes joined, or as they are, and a note on them.

    labels  the given labels first; all are joined alike
    """
    columns = [list(column) for column in labels]
    counts = Counter(label for column in columns[:1] for label in column if label is not None)
    groups = look_alikes(counts)
    if not groups:
        return columns, []
    pairs = [" = ".join(f"{spelled(n)} ({counts[n]:,})" for n in names) for names in groups]
    if not join:
        return columns, [f"class names that look alike: {listed(pairs, 5)}: --merge-labels joins"]
    joined = {name: names[0] for names in groups for name in names}
    columns = [[joined.get(str(x), x) if x is not None else None for x in c] for c in columns]
    return columns, [f"--merge-labels joined {listed(pairs, 5)}"]
