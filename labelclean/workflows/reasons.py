"""Rows that are not judged: which, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean.data.samples import MISSING, NO_LABEL, REPEATED, UNREADABLE, SampleTable
from labelclean.report.report import COLUMNS, FLAG, NUMBER, TEXT, VIEW_COLUMNS
from labelclean.sources.wording import counted, listed, shown
from labelclean.workflows.preparing import Samples

_NOTHING = {TEXT: "", NUMBER: float("nan"), FLAG: False}
_KINDS = COLUMNS | VIEW_COLUMNS
_MOST = 8  # reasons in a note


def without_untrained(samples: Samples) -> Samples:
    """The samples without the classes that have fewer than two images to train on.

    A network cannot learn a class that it never saw, and would call all its rows wrong; so would
    one that is to judge the only image of a class and must not learn from it. The rows keep their
    labels in `untrained` and are not judged. Where fewer than two classes are left, all stay.
    """
    table, rows = samples.table, samples.train_rows
    labelled = np.stack([samples.first[rows], table.labels[rows]])
    images = np.bincount(  # copies under one label are one image
        np.unique(labelled, axis=1)[1], minlength=table.num_classes
    )
    trained = np.flatnonzero(images > 1)
    if len(trained) < 2:
        trained = np.flatnonzero(images)
    if len(trained) == table.num_classes:
        return samples
    code = np.full(table.num_classes + 1, NO_LABEL, dtype=np.int64)  # the last is for NO_LABEL
    code[trained] = np.arange(len(trained))
    alone = np.flatnonzero((table.labels != NO_LABEL) & (code[table.labels] == NO_LABEL))
    truth = None if table.truth is None else code[table.truth]
    return replace(
        samples,
        table=replace(
            table,
            labels=code[table.labels],
            class_names=tuple(table.class_names[k] for k in trained),
            truth=truth,
        ),
        train_rows=samples.train_rows[np.isin(table.labels[samples.train_rows], trained)],
        untrained={int(row): table.class_names[table.labels[row]] for row in alone},
    )


def as_given(names: NDArray[np.object_], untrained: Mapping[int, str]) -> NDArray[np.object_]:
    """The names (n,) of labels, with those of rows that are not judged for their class."""
    names = names.copy()
    for row, label in untrained.items():
        names[row] = label
    return names


def unjudged_reasons(samples: Samples, label_score: NDArray[np.float64]) -> list[str]:
    """Why each row (n,) was not judged, "" where it was."""
    table, why = samples.table, samples.pixels.reason
    reasons = [""] * len(table)
    for row in np.flatnonzero(np.isnan(label_score)).tolist():
        status = table.status[row]
        if status in (MISSING, UNREADABLE):
            reasons[row] = why[row] or ("no such file" if status == MISSING else "unreadable")
        elif row in samples.untrained:
            label = samples.untrained[row]
            reasons[row] = (
                f"no image of class '{label}' is trained on"
                if table.held_out[row]
                else f"no other image of class '{label}' to compare with"
            )
        else:
            reasons[row] = "no label" if table.labels[row] == NO_LABEL else "no score"
    return reasons


def reason_notes(reasons: Sequence[str]) -> list[str]:
    """One line: how many rows were not judged, by reason."""
    counts = Counter(reason for reason in reasons if reason)
    if not counts:
        return []
    parts = [f"{shown(reason)} ({count:,})" for reason, count in counts.most_common()]
    return [f"{counted(counts.total(), 'row')} not judged: {listed(parts, _MOST)}"]


def with_repeated(columns: Mapping[str, Sequence[Any]], table: SampleTable) -> dict[str, list[Any]]:
    """The report's columns with the rows of the input that name an image again, in their places."""
    completed = {name: list(cells) for name, cells in columns.items()}
    for row, path, label in sorted(table.merged):
        for name, cells in completed.items():
            cells.insert(row, _NOTHING[_KINDS[name]])
        completed["image"][row] = path
        completed["given_label"][row] = completed["suggested_label"][row] = label
        completed["status"][row] = REPEATED
        completed["reason"][row] = "an earlier row is of the same image"
    return completed
