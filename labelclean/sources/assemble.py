"""From rows and their images to a SampleTable: splits chosen, labels encoded, nonsense refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from labelclean.config.source_options import SourceOptions
from labelclean.data.samples import (
    MISSING,
    NO_LABEL,
    OK,
    UNLABELLED,
    SampleTable,
    Understood,
)
from labelclean.errors import SourceError
from labelclean.sources.labels import merge_look_alikes
from labelclean.sources.protocol import Found
from labelclean.sources.rows import Rows
from labelclean.sources.splits import choose_rows
from labelclean.sources.wording import counted, first_three, shown
from labelclean.tables.table import Texts


def assemble(found: Found, options: SourceOptions, name: str) -> SampleTable:
    """The table that the rows make.

    name  of the format

    Raises SourceError if no label has an image, or nothing could be learned from it as it should.
    """
    rows, truth, is_there = found.rows, found.truth, found.is_there
    keep, held_out, told = choose_rows(rows.splits, options.split, rows.origin)
    kept = np.flatnonzero(keep)
    notes = [*rows.notes, *told]
    if len(kept) < len(rows):
        left = counted(len(rows) - len(kept), "row")
        notes.append(f"--split {options.split}: {left} of other splits left out")
        rows = rows.take(kept)
        truth = [truth[k] for k in kept.tolist()] if truth is not None else None
    is_there, held_out = is_there[kept], held_out[kept]
    columns = [rows.labels] if truth is None else [rows.labels, truth]
    columns, alike = merge_look_alikes(columns, options.merge_labels)
    rows = replace(rows, labels=columns[0])
    class_names, labels, true_labels = _encode(rows, columns[1] if truth is not None else None)
    has_label = labels != NO_LABEL
    status = np.where(is_there, np.where(has_label, OK, UNLABELLED), MISSING).astype(object)
    if options.needs_images:
        _refuse_unlabelled(rows, status, labels, class_names, found.hint)
    notes += _notes(rows, status, options.needs_images) + alike
    if options.is_to_train:
        _refuse_unlearnable(rows, status, labels, held_out, class_names)
        notes += _training_notes(status, labels, held_out, class_names)
    if found.merged:
        notes.append(f"{counted(len(found.merged), 'repeated row')} with the same label merged")
    return SampleTable(
        images=found.images(kept),
        paths=tuple(rows.names),
        labels=labels,
        class_names=class_names,
        status=status,
        held_out=held_out,
        truth=true_labels,
        root=found.root,
        notes=tuple(notes),
        merged=tuple(
            (each.row, each.name, each.label or "")
            for each in (found.merged if len(kept) == len(keep) else ())
        ),
        understood=Understood(
            format=name,
            why=found.why,
            splits=tuple(rows.splits),
            columns=_columns(rows),
            left=() if rows.taken is None else rows.taken.left,
        ),
    )


def assemble_unlabelled(found: Found, options: SourceOptions) -> SampleTable:
    """The table of images whose labels do not matter. Raises SourceError if none is there."""
    rows = found.rows
    keep, _, _ = choose_rows(rows.splits, options.split, rows.origin)
    kept = np.flatnonzero(keep)
    rows, is_there = rows.take(kept), found.is_there[kept]
    if not is_there.any():
        raise SourceError(
            f"{rows.origin}: none of the {counted(len(rows), 'image')} it names is in "
            f"{found.root or rows.origin}, the first is {first_three(rows.names[:1], 1)}: "
            f"{found.hint() or 'correct the paths'}"
        )
    notes = list(rows.notes)
    if found.merged:
        notes.append(f"{counted(len(found.merged), 'repeated row')} left out")
    return SampleTable(
        images=found.images(kept),
        paths=tuple(rows.names),
        labels=np.full(len(rows), NO_LABEL, dtype=np.int64),
        class_names=(),
        status=np.where(is_there, OK, MISSING).astype(object),
        held_out=np.zeros(len(rows), dtype=bool),
        root=found.root,
        notes=tuple(notes),
    )


def _columns(rows: Rows) -> dict[str, str]:
    """Which columns were taken for what."""
    if rows.taken is None:
        return {}
    columns = {"images": rows.taken.image}
    if rows.taken.labels:
        columns["labels"] = ", ".join(rows.taken.labels)
    if rows.taken.split is not None:
        columns["split"] = rows.taken.split
    return columns


def _encode(
    rows: Rows, truth: Texts | None
) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64] | None]:
    names = set(rows.labels) | set(truth or ())
    names.discard(None)
    place = {name: k for k, name in enumerate(rows.order)}
    ordered: list[str] = sorted(
        (name for name in names if name is not None),
        key=lambda name: (place.get(name, len(place)), *_natural(name)),
    )
    codes: dict[str | None, int] = {name: k for k, name in enumerate(ordered)}
    codes[None] = NO_LABEL
    labels = np.array([codes[label] for label in rows.labels], dtype=np.int64)
    if truth is None:
        return tuple(ordered), labels, None
    return tuple(ordered), labels, np.array([codes[label] for label in truth], dtype=np.int64)


def _natural(name: str) -> tuple[int, int, str]:
    """Numbers by value and before words: 2 before 10 before 'cat'."""
    is_number = name.isascii() and name.isdigit() and len(name) < 100
    return (0, int(name), name) if is_number else (1, 0, name)


def _refuse_unlabelled(
    rows: Rows,
    status: NDArray[np.object_],
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
    hint: Callable[[], str],
) -> None:
    origin = rows.origin
    if not (status == OK).any():
        if not class_names:
            raise SourceError(
                f"{origin}: no image has a label: '{rows.label_name}' is empty in every row: "
                "name the column by --label-col"
            )
        lost = np.flatnonzero(labels != NO_LABEL).tolist()
        raise SourceError(
            f"{origin}: none of the {counted(len(lost), 'image')} it labels is there "
            f"({first_three((rows.names[k] for k in lost), len(lost))}): "
            f"{hint() or 'correct the paths'}"
        )


def _refuse_unlearnable(
    rows: Rows,
    status: NDArray[np.object_],
    labels: NDArray[np.int64],
    held_out: NDArray[np.bool_],
    class_names: tuple[str, ...],
) -> None:
    usable = (status == OK) & ~held_out
    origin, count = rows.origin, int(usable.sum())
    if not count:
        raise SourceError(
            f"{origin}: every labelled image is in a test or validation split, so none is left to "
            "train on: --split all trains on all"
        )
    present = np.unique(labels[usable])
    if len(present) == 1:
        raise SourceError(
            f"{origin}: every image has the label '{shown(class_names[present[0]])}': at least two "
            "classes are needed to find wrong labels"
        )
    num_classes = len(class_names)
    if num_classes > count or (num_classes > 10 and 2 * num_classes > count):
        absent = int((status == MISSING).sum())
        more = f" ({absent:,} more are missing)" if absent else ""
        raise SourceError(
            f"{origin}: {num_classes:,} classes for {counted(count, 'image')}{more}: "
            f"is '{shown(rows.label_name)}' really the label? Name its column by --label-col"
        )


def _notes(rows: Rows, status: NDArray[np.object_], needs_images: bool) -> list[str]:
    notes = []
    for state, noun, lack in (
        (MISSING, "label", "no image"),
        (UNLABELLED, "image", "no label"),
    ):
        if state == MISSING and not needs_images:
            continue
        places = np.flatnonzero(status == state)
        if len(places):
            has = "has" if len(places) == 1 else "have"
            names = first_three((rows.names[k] for k in places.tolist()), len(places))
            notes.append(f"{counted(len(places), noun)} {has} {lack}: {names}")
    return notes


def _training_notes(
    status: NDArray[np.object_],
    labels: NDArray[np.int64],
    held_out: NDArray[np.bool_],
    class_names: tuple[str, ...],
) -> list[str]:
    notes = []
    if held_out.any():
        number = counted(int(held_out.sum()), "row")
        notes.append(f"{number} of a test or validation split: reported, not trained on")
    usable = labels[(status == OK) & ~held_out]
    counts = np.bincount(usable, minlength=len(class_names))
    for wanted, what in ((0, "no image to train on"), (1, "a single image")):
        places = np.flatnonzero(counts == wanted)
        if len(places):
            has = "class has" if len(places) == 1 else "classes have"
            names = first_three((class_names[k] for k in places.tolist()), len(places))
            notes.append(f"{len(places):,} {has} {what}: {names}")
    return notes
