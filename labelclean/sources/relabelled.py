"""Images inside a file with the labels of a table in place of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labelclean.errors import SourceError
from labelclean.sources.protocol import Found, Place
from labelclean.sources.rows import merge_repeated, read_rows
from labelclean.sources.wording import shown
from labelclean.tables.read_table import read_labels_table


def relabelled(found: Found, place: Place) -> Found:
    """The rows that the table of labels names, in its order; without a table, what was found.

    Their own labels become the truth. Raises SourceError for a name that is not there.
    """
    labels = place.options.labels
    if labels is None:
        return found
    inside = found.rows
    table = read_labels_table(labels, place.options.encoding, place.options.image_col)
    index = {name: k for k, name in enumerate(inside.names)}
    rows = read_rows(table, place.options, match=lambda cells: _share(cells, index))
    for k, name in enumerate(rows.names):
        if name not in index:
            raise SourceError(
                f"{rows.where(k)}: {inside.origin} has no image {shown(name)}: "
                f"its names are {shown(inside.names[0])} and so on"
            )
    rows, names, merged = merge_repeated(rows, rows.names)
    places = np.array([index[name] for name in names], dtype=np.int64)
    truth = [inside.labels[k] for k in places.tolist()]
    splits = [own or inside.splits[k] for own, k in zip(rows.splits, places.tolist(), strict=True)]
    return replace(
        found,
        rows=replace(rows, splits=splits, order=inside.order),
        is_there=found.is_there[places],
        images=lambda kept: found.images(places[kept]),
        merged=merged,
        truth=truth if any(truth) else None,
        why=f"{found.why}, labelled by {labels.name}",
    )


def _share(cells: object, index: dict[str, int]) -> float:
    some = [cell for cell in cells if cell]  # type: ignore[attr-defined]
    return sum(cell in index for cell in some) / len(some) if some else 0.0
