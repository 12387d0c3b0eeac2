"""Which column of a table holds the images, which the labels, and which the split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from labelclean.errors import SourceError
from labelclean.sources.splits import (
    flag_value,
    names_splits,
    plain_split,
    split_of,
    split_of_flag,
    split_within,
)
from labelclean.sources.wording import counted, listed, shown
from labelclean.tables.table import Table, Texts

IMAGE_NAMES = (
    "file_name", "filename", "file", "image", "img", "path", "filepath", "file_path", "image_path",
    "image_name", "img_name", "image_file", "img_file", "img_path", "images", "filenames", "files",
    "imagename", "imagepath", "image_filename", "image_index", "picture", "photo",
)  # fmt: skip
ID_NAMES = ("id", "image_id", "imageid", "img_id")  # often only the number of the row
LABEL_NAMES = ("label", "class", "target", "category")
# Taken where none of those is there, and only one of these.
FURTHER_LABEL_NAMES = (
    "labels", "class_name", "class_id", "class_label", "label_name", "classes", "species", "breed",
    "categories", "category_name", "category_id", "finding_labels", "diagnosis", "dx", "classname",
    "labelname", "tag", "choice", "choices",
)  # fmt: skip
SPLIT_NAMES = (
    "split", "set", "subset", "fold", "data_set", "dataset", "usage", "partition", "phase", "folds",
    "data_split",
)  # fmt: skip

_SURE = 0.9  # share of a column's cells that are files from which on no other one is looked at

Match = Callable[[Sequence[str | None]], float]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns that are taken, by position.

    label    None where no labels are wanted, or they are one-hot
    one_hot  columns of 0 and 1, one a class
    splits   (n,) text, None where no column has them
    """

    image: int
    label: int | None = None
    one_hot: tuple[int, ...] = ()
    split: int | None = None
    splits: Texts | None = None
    notes: tuple[str, ...] = ()


def image_column(table: Table, wanted: str | None) -> int:
    """Position of the column with the images, by its name alone."""
    return choose_image_column(table, wanted)[0]


def choose_image_column(
    table: Table, wanted: str | None, match: Match | None = None
) -> tuple[int, str]:
    """Position of the column with the images, and a note.

    Bytes come before paths. Of several columns that is taken whose cells are the most images'
    names, by `match`: how much of some cells is there, 0 to 1, less for names without an ending.

    Raises SourceError if none fits, several do, or there is none of the wanted name.
    """
    if wanted is not None:
        return _named(table, wanted, "--image-col"), ""
    if table.image_cells:
        return _only(table, sorted(table.image_cells), "the images", "--image-col"), ""
    if not table.has_header:
        raise SourceError(
            f"{table.path}: the first line is '{shown(_first_cell(table))}, ...', no header: "
            "add a line such as image,label above it, or give the numbers of the columns: "
            "--image-col 1 --label-col 2"
        )
    named = _fitting(table, IMAGE_NAMES)
    ids = _fitting(table, ID_NAMES)
    if match is not None:
        position = _best_match(table, [*named, *ids], match)
        if position is not None:
            return position
    for fitting in (named, ids):
        if fitting:
            return _only(table, fitting, "the images", "--image-col"), ""
    raise _none_fits(table, "image paths", IMAGE_NAMES[:9] + ID_NAMES[:1], "--image-col")


def _best_match(table: Table, named: list[int], match: Match) -> tuple[int, str] | None:
    """The column whose cells are images; one of another name only where no such column fits."""
    shares = {k: match(table.texts(k)) for k in named}
    if max(shares.values(), default=0.0) < _SURE:
        others = set(range(len(table.columns))) - set(named) - table.image_cells
        shares |= {k: match(table.texts(k)) for k in sorted(others)}
    best = max(shares.values(), default=0.0)
    if not best:
        return None
    first, *ties = [k for k in shares if shares[k] == best]
    if any(table.texts(k) != table.texts(first) for k in ties):
        return _only(table, [first, *ties], "the images", "--image-col"), ""
    passed = [k for k in named if k not in (first, *ties) and (shares[k] or first not in named)]
    name = shown(table.columns[first])
    if passed:
        lost = listed([f"'{shown(table.columns[k])}'" for k in passed])
        return first, f"'{name}' names the images: more of its cells are files than of {lost}"
    return first, "" if first in named else f"'{name}' names the images: its cells are files"


def label_column(table: Table, wanted: str | None, image: int) -> int:
    """Position of the column with the labels. Raises SourceError as image_column does."""
    if wanted is not None:
        return _named(table, wanted, "--label-col")
    for names in (LABEL_NAMES, FURTHER_LABEL_NAMES):
        fitting = [k for k in _fitting(table, names) if k != image]
        if fitting:
            return _only(table, fitting, "the labels", "--label-col")
    if not table.has_header:
        raise SourceError(f"{table.path}: has no header: name the labels too: --label-col 2")
    raise _none_fits(table, "labels", LABEL_NAMES, "--label-col")


def has_label_column(table: Table, image: int) -> bool:
    return any(k != image for k in _fitting(table, LABEL_NAMES + FURTHER_LABEL_NAMES))


def one_hot_columns(table: Table, wanted: str | None, taken: Iterable[int]) -> tuple[int, ...]:
    """Positions of columns of 0 and 1 with a single 1 in each row; () where there are none.

    wanted  their names by commas

    Raises SourceError for a wanted column that is not there or holds anything else.
    """
    if wanted is not None:
        places = tuple(_named(table, name.strip(), "--one-hot") for name in wanted.split(","))
        for k in places:
            for row, cell in enumerate(table.texts(k)):
                if cell and cell.strip() and flag_value(cell) is None:
                    raise SourceError(
                        f"{table.where(row)}: --one-hot: '{shown(table.columns[k])}' is "
                        f"'{shown(cell)}', must be 0 or 1"
                    )
        return places
    others = [k for k in range(len(table.columns)) if k not in set(taken)]
    places = tuple(k for k in others if k not in table.image_cells and _is_binary(table.texts(k)))
    if len(places) < 2:
        return ()
    sums = [0] * table.num_rows
    for k in places:
        for row, cell in enumerate(table.texts(k)):
            sums[row] += bool(cell and flag_value(cell))
    return places if max(sums) == 1 and 2 * sum(sums) > len(sums) else ()


def _is_binary(cells: Texts) -> bool:
    values = {cell.strip() for cell in cells if cell and cell.strip()}
    return bool(values) and values <= {"0", "1", "0.0", "1.0"}


def split_column(
    table: Table, wanted: str | None, taken: Iterable[int], splits: str | None = None
) -> tuple[int | None, Texts | None, str]:
    """Position of the column that tells train from test, its cells as splits, and a note.

    A column that only has such a name counts when half of its cells are words for splits, or when
    it has all of those that --split names; one such as `is_valid` when few of its rows are true.

    Raises SourceError for a named column of which no word is known, unless --split names some.
    """
    if wanted is not None:
        place = _named(table, wanted, "--split-col")
        return place, _known(table, place, splits), ""
    left = set(range(len(table.columns))) - set(taken) - set(table.image_cells)
    names = {plain_split(name) for name in splits.split(",")} if splits else set()
    fitting, note = [], ""
    for k in sorted(left):
        plain = _plain(table.columns[k])
        flag = split_of_flag(table.columns[k])
        if plain in SPLIT_NAMES:
            cells = [cell for cell in table.texts(k) if cell and cell.strip()]
            if names_splits(cells) or (names and names <= {plain_split(cell) for cell in cells}):
                fitting.append(k)
            elif cells and split_of(plain) is None and 1 < len(set(cells)) <= 20:
                some = listed([shown(value) for value in sorted(set(cells))], 4)
                note = (
                    f"'{shown(table.columns[k])}' ({some}) is not taken for a split: all rows are "
                    "trained on; --split chooses by it"
                )
        elif flag is not None:
            flags = [flag_value(cell) for cell in table.texts(k) if cell and cell.strip()]
            held = flags.count(flag[0] != "train")
            if flags and None not in flags and 0 < held <= len(flags) / 2:
                fitting.append(k)
    if not fitting:
        return None, None, note
    place = _only(table, fitting, "the split", "--split-col")
    return place, _known(table, place, splits), ""


def _known(table: Table, place: int, wanted: str | None) -> Texts:
    """The cells of a split column, those of `is_valid` as the splits that they mean."""
    cells = table.texts(place)
    there = {cell.strip() for cell in cells if cell and cell.strip()}
    flag = split_of_flag(table.columns[place])
    if flag is not None and there and all(flag_value(cell) is not None for cell in there):
        return [None if not cell else flag[0] if flag_value(cell) else flag[1] for cell in cells]
    if wanted is None and there and not any(split_of(c) or split_within(c) for c in there):
        raise SourceError(
            f"{table.path}: '{shown(table.columns[place])}' holds no word for a split such as "
            f"train or test, but {listed([shown(cell) for cell in sorted(there)], 4)}: name those "
            "to train on by --split, or --split all"
        )
    return cells


def _fitting(table: Table, names: tuple[str, ...]) -> list[int]:
    return [k for k, column in enumerate(table.columns) if _plain(column) in names]


def _plain(column: str) -> str:
    return column.strip().casefold().replace(" ", "_").replace("-", "_")


def _first_cell(table: Table) -> str:
    return (table.texts(0) or [None])[0] or ""


def _only(table: Table, fitting: list[int], what: str, flag: str) -> int:
    if len(fitting) > 1:
        names = " and ".join(f"'{shown(table.columns[k])}'" for k in fitting)
        raise SourceError(f"{table.path}: {names} could each hold {what}: name one by {flag}")
    return fitting[0]


def _named(table: Table, wanted: str, flag: str) -> int:
    same = [k for k, column in enumerate(table.columns) if column == wanted]
    same = same or [k for k, column in enumerate(table.columns) if _plain(column) == _plain(wanted)]
    if not same:
        raise SourceError(
            f"{flag} {shown(wanted)}: {table.path} has no such column, only {_all(table)}"
        )
    if len(same) > 1:
        raise SourceError(
            f"{flag} {shown(wanted)}: {table.path} has {counted(len(same), 'such column')}"
        )
    return same[0]


def _none_fits(table: Table, what: str, names: tuple[str, ...], flag: str) -> SourceError:
    return SourceError(
        f"{table.path}: no column for {what} ({', '.join(names)}) among {_all(table)}: "
        f"name it by {flag}"
    )


def _all(table: Table) -> str:
    names = ", ".join(f"'{shown(column)}'" for column in table.columns[:20])
    return names + (f" and {len(table.columns) - 20} more" if len(table.columns) > 20 else "")
