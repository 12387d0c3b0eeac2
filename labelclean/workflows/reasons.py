"""Rows that are not judged: which, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean.data.samples import MISSING, NO_LABEL, REPEATED, UNREADABLE, SampleTable
from labelclean.report.table import COLUMNS, FLAG, NUMBER, TEXT
from labelclean.sources.wording import counted, listed, shown
from labelclean.workflows.preparing import Samples

_NOTHING = {TEXT: "", NUMBER: float("nan"), FLAG: False}
_MOST = 8  # reasons in a note


def without_untrained(samples: Samples) -> Samples:
    """The samples without the classes that have no image to train on.

    A network cannot learn such a class, and would call all its rows wrong; they keep their labels
    in `untrained` and are not judged.
    """
    table = samples.table
    trained = np.unique(table.labels[samples.train_rows])
    if len(trained) == table.num_classes:
        return samples
    code = np.full(table.num_classes + 1, NO_LABEL, dtype=np.int64)  # the last is for NO_LABEL
    code[trained] = np.arange(len(trained))
    rows = np.flatnonzero((table.labels != NO_LABEL) & (code[table.labels] == NO_LABEL))
    truth = None if table.truth is None else code[table.truth]
    return replace(
        samples,
        table=replace(
            table,
            labels=code[table.labels],
            class_names=tuple(table.class_names[k] for k in trained),
            truth=truth,
        ),
        untrained={int(row): table.class_names[table.labels[row]] for row in rows},
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
            reasons[row] = f"no image of class '{samples.untrained[row]}' is trained on"
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
    found = {name: list(cells) for name, cells in columns.items()}
    for row, path, label in sorted(table.merged):
        for name, cells in found.items():
            cells.insert(row, _NOTHING[COLUMNS[name]])
        found["image"][row] = path
        found["given_label"][row] = found["suggested_label"][row] = label
        found["status"][row] = REPEATED
        found["reason"][row] = "an earlier row is of the same image"
    return found
