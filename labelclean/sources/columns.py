"""Which column of a table holds the images, which the labels, and which the split."""

from __future__ import annotations

from collections.abc import Iterable

from labelclean.errors import SourceError
from labelclean.sources.splits import is_split_word
from labelclean.sources.tables import Table

IMAGE_NAMES = (
    "file_name", "filename", "file", "image", "img", "path", "filepath", "file_path", "image_path",
)  # fmt: skip
ID_NAMES = ("id", "image_id")  # often only a number of the row, so a path column comes first
LABEL_NAMES = ("label", "class", "target", "category")
SPLIT_NAMES = ("split", "set", "subset", "fold")


def image_column(table: Table, wanted: str | None) -> int:
    """Position of the column with the images: bytes before paths, paths before ids.

    Raises SourceError if none fits, several do, or there is none of the wanted name.
    """
    if wanted is not None:
        return _named(table, wanted, "--image-col")
    for fitting in (
        sorted(table.image_cells),
        _fitting(table, IMAGE_NAMES),
        _fitting(table, ID_NAMES),
    ):
        if fitting:
            return _only(table, fitting, "the images", "--image-col")
    first = table.columns[0]
    if "." in first and first.rsplit(".", 1)[1].lower() in ("jpg", "jpeg", "png", "webp", "bmp"):
        raise SourceError(
            f"{table.path}: the first line is '{_shown(first)}, ...', no header: "
            "add a line such as image,label above it"
        )
    raise _none_fits(table, "image paths", IMAGE_NAMES + ID_NAMES[:1], "--image-col")


def label_column(table: Table, wanted: str | None, image: int) -> int:
    """Position of the column with the labels. Raises SourceError as image_column does."""
    if wanted is not None:
        return _named(table, wanted, "--label-col")
    fitting = [k for k in _fitting(table, LABEL_NAMES) if k != image]
    if fitting:
        return _only(table, fitting, "the labels", "--label-col")
    raise _none_fits(table, "labels", LABEL_NAMES, "--label-col")


def split_column(table: Table, wanted: str | None, taken: Iterable[int]) -> int | None:
    """Position of the column that tells train from test, if the table has one.

    A column that only has such a name counts when each of its values is a word for a split:
    a `fold` of numbers or a `set` of something else is not one.
    """
    if wanted is not None:
        return _named(table, wanted, "--split-col")
    fitting = [
        k
        for k in _fitting(table, SPLIT_NAMES)
        if k not in set(taken)
        and k not in table.image_cells
        and all(is_split_word(value) for value in set(table.texts(k)) if value and value.strip())
    ]
    return _only(table, fitting, "the split", "--split-col") if fitting else None


def _fitting(table: Table, names: tuple[str, ...]) -> list[int]:
    return [k for k, column in enumerate(table.columns) if _plain(column) in names]


def _plain(column: str) -> str:
    return column.strip().casefold().replace(" ", "_").replace("-", "_")


def _only(table: Table, fitting: list[int], what: str, flag: str) -> int:
    if len(fitting) > 1:
        names = " and ".join(f"'{_shown(table.columns[k])}'" for k in fitting)
        raise SourceError(f"{table.path}: {names} could each hold {what}: name one by {flag}")
    return fitting[0]


def _named(table: Table, wanted: str, flag: str) -> int:
    same = [k for k, column in enumerate(table.columns) if column == wanted]
    same = same or [k for k, column in enumerate(table.columns) if _plain(column) == _plain(wanted)]
    if not same:
        raise SourceError(
            f"{flag} {_shown(wanted)}: {table.path} has no such column, only {_listed(table)}"
        )
    if len(same) > 1:
        raise SourceError(f"{flag} {_shown(wanted)}: {table.path} has {len(same)} such columns")
    return same[0]


def _none_fits(table: Table, what: str, names: tuple[str, ...], flag: str) -> SourceError:
    return SourceError(
        f"{table.path}: no column for {what} ({', '.join(names)}) among {_listed(table)}: "
        f"name it by {flag}"
    )


def _listed(table: Table) -> str:
    shown = ", ".join(f"'{_shown(column)}'" for column in table.columns[:20])
    return shown + (f" and {len(table.columns) - 20} more" if len(table.columns) > 20 else "")


def _shown(name: str) -> str:
    return name if name.isprintable() else repr(name)[1:-1]
