"""The rows of a report whose true label is known, as arrays: what every figure is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelclean.data.samples import UNLABELLED
from labelclean.report.metrics import Flags, Floats

NO_CLASS_NUMBER = -1


@dataclass(frozen=True, kw_only=True)
class JudgedRows:
    """Rows with a given and a true label, the least suspicious first where they have a score.

    given, truth       (n,) int64, index into class_names
    label_score        (n,) low = suspicious; None: the report has none, as the others below
    is_issue           (n,) the verdict
    issue_probability  (n,) 0 to 1
    suggested          (n,) int64, NO_CLASS_NUMBER for what is no given and no true label
    left_out           rows of the report that are not here
    """

    given: NDArray[np.int64]
    truth: NDArray[np.int64]
    label_score: Floats | None
    is_issue: Flags | None
    issue_probability: Floats | None
    suggested: NDArray[np.int64] | None
    class_names: tuple[str, ...]
    left_out: int

    def __len__(self) -> int:
        return len(self.given)

    @property
    def is_noisy(self) -> Flags:
        return np.not_equal(self.given, self.truth)

    def take(self, index: NDArray[np.int64] | Flags) -> JudgedRows:
        columns = ("given", "truth", "label_score", "is_issue", "issue_probability", "suggested")
        known = {name: getattr(self, name) for name in columns}
        return replace(self, **{name: x[index] for name, x in known.items() if x is not None})

    def draw_counts(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """(n,) how often each row is drawn where as many are drawn with replacement."""
        drawn = (generator.random(len(self)) * len(self)).astype(np.int64)
        return np.bincount(drawn, minlength=len(self))


def judged_rows(
    frame: pd.DataFrame, truth: Sequence[str | None], class_names: Sequence[str] = ()
) -> JudgedRows:
    """The rows of a report that have a given label, a true one and all the report's figures.

    frame        (n, k) as Report.frame; all columns but given_label may be absent
    truth        (n,) true class of each row, None where unknown
    class_names  the order of the first classes; others follow as they appear

    Raises ValueError if truth is not one class a row.
    """
    if len(truth) != len(frame):
        raise ValueError(f"{len(truth)} true labels for {len(frame)} rows")
    given = frame["given_label"].to_numpy(dtype=object)
    kept = np.array([name is not None for name in truth], dtype=bool) & (given != "")
    if "status" in frame:
        kept &= (frame["status"] != UNLABELLED).to_numpy(dtype=bool)
    figures = {
        name: frame[name].to_numpy(dtype=np.float64)
        for name in ("label_score", "issue_probability")
        if name in frame
    }
    for values in figures.values():
        kept &= ~np.isnan(values)

    # Class names as numbers: comparing and resampling them is many times quicker.
    numbers = {name: k for k, name in enumerate(class_names)}
    rows = np.flatnonzero(kept)
    score = figures.get("label_score")
    if score is not None:
        rows = rows[np.argsort(-score[rows], kind="stable")]
    given_numbers, true_numbers = (
        np.array([numbers.setdefault(name, len(numbers)) for name in names[rows]], dtype=np.int64)
        for names in (given, np.array([*truth, None], dtype=object))  # one more: never nested
    )
    suggested = None
    if "suggested_label" in frame:
        names = frame["suggested_label"].to_numpy(dtype=object)[rows]
        suggested = np.array([numbers.get(x, NO_CLASS_NUMBER) for x in names], dtype=np.int64)
    is_issue = frame["is_label_issue"].to_numpy(dtype=bool) if "is_label_issue" in frame else None
    probability = figures.get("issue_probability")
    return JudgedRows(
        given=given_numbers,
        truth=true_numbers,
        label_score=None if score is None else score[rows],
        is_issue=None if is_issue is None else is_issue[rows],
        issue_probability=None if probability is None else probability[rows],
        suggested=suggested,
        class_names=tuple(numbers),
        left_out=len(frame) - len(rows),
    )
