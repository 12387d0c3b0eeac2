"""The final label of every row: by decisions, by the model above a limit, or unchanged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelclean.data.samples import MISSING, UNREADABLE
from labelclean.decisions.decision import LABELLING, Decision
from labelclean.errors import ConfigError, printable
from labelclean.report.report import NO_CLASS, Report

PERSON, MODEL = "person", "model"
KEEP, EXCLUDE = "keep", "exclude"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Rule for rows that nobody decided on, or of which a person was unsure.

    above      take the suggestion where the label is wrong with at least this probability, 0 to 1;
               None: nowhere
    undecided  what is judged wrong and has no new label after that: keep as given, or exclude
    """

    above: float | None = None
    undecided: str = KEEP

    def __post_init__(self) -> None:
        problems = []
        if self.above is not None and not 0 < self.above <= 1:
            problems.append(f"--above is {self.above:g}, must be above 0 and at most 1")
        if self.undecided not in (KEEP, EXCLUDE):
            problems.append(f"--undecided is {printable(self.undecided)}, must be keep or exclude")
        if problems:
            raise ConfigError("; ".join(problems))

    @property
    def changes_undecided(self) -> bool:
        return self.above is not None or self.undecided == EXCLUDE


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The final label of each row of a report.

    images       (n,) as in the report
    given        (n,) given labels, "" where there was none
    labels       (n,) final labels; of an excluded row the given one
    by           (n,) PERSON or MODEL where one of them settled the row, else ""
    is_excluded  (n,) bool: rows to leave out
    is_broken    (n,) bool: without a readable image, and settled by nobody
    is_open      (n,) bool: the others that are judged wrong, or unsure, and settled by nobody
    """

    images: tuple[str, ...]
    given: tuple[str, ...]
    labels: tuple[str, ...]
    by: tuple[str, ...]
    is_excluded: NDArray[np.bool_]
    is_broken: NDArray[np.bool_]
    is_open: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def is_changed(self) -> NDArray[np.bool_]:
        """(n,) rows that stay, with another label."""
        differs = [new != old for new, old in zip(self.labels, self.given, strict=True)]
        return np.array(differs, dtype=np.bool_) & ~self.is_excluded

    def pairs(self) -> list[tuple[str, str, int]]:
        """Changed rows by given and new label, the most frequent pair first."""
        rows = np.flatnonzero(self.is_changed).tolist()
        counts = Counter((self.given[k], self.labels[k]) for k in rows)
        return [(*pair, n) for pair, n in sorted(counts.items(), key=lambda x: (-x[1], x[0]))]

    def exclusions(self) -> list[tuple[str, int]]:
        """Excluded rows by given label, the most frequent first."""
        counts = Counter(self.given[k] for k in np.flatnonzero(self.is_excluded).tolist())
        return sorted(counts.items(), key=lambda x: (-x[1], x[0]))

    def count_changed(self, by: str) -> int:
        return int((self.is_changed & (np.array(self.by) == by)).sum())


def settle(report: Report, decisions: Mapping[str, Decision], policy: Policy) -> Outcome:
    """The outcome. A decision wins over the model; "unsure" counts as no decision.

    decisions  image -> what holds now, as a DecisionBook of the report has it
    """
    frame = report.frame
    images, given = frame["image"].tolist(), frame["given_label"].tolist()
    labels, by = list(given), [""] * len(frame)
    excluded = np.zeros(len(frame), dtype=np.bool_)
    is_unsure = np.zeros(len(frame), dtype=np.bool_)
    takes_model = _takes_model(frame, policy.above)
    suggested = frame["suggested_label"].tolist()
    for row, image in enumerate(images):
        decision = decisions.get(image)
        if decision is not None and decision.action in LABELLING:
            labels[row], by[row] = decision.label or "", PERSON
        elif decision is not None and decision.action == EXCLUDE:
            excluded[row], by[row] = True, PERSON
        elif takes_model[row]:
            labels[row], by[row] = suggested[row], MODEL
        else:
            is_unsure[row] = decision is not None
    is_settled = np.array([who != "" for who in by], dtype=np.bool_)
    is_broken = frame["status"].isin([MISSING, UNREADABLE]).to_numpy()
    is_open = (frame["is_label_issue"].to_numpy() | is_unsure) & ~is_settled & ~is_broken
    if policy.undecided == EXCLUDE:
        excluded |= is_open
    return Outcome(
        images=tuple(images),
        given=tuple(given),
        labels=tuple(labels),
        by=tuple(by),
        is_excluded=excluded,
        is_broken=is_broken & ~is_settled,
        is_open=is_open,
    )


def _takes_model(frame: pd.DataFrame, above: float | None) -> NDArray[np.bool_]:
    """Whose suggestion is taken: not of images that seem to be of no class at all."""
    if above is None:
        return np.zeros(len(frame), dtype=np.bool_)
    probability = frame["issue_probability"].to_numpy()
    given, suggested = frame["given_label"], frame["suggested_label"]
    has_other = ((suggested != given) & (suggested != "") & (given != "")).to_numpy()
    of_no_class = np.array([NO_CLASS in words.split() for words in frame["flags"]], dtype=np.bool_)
    taken: NDArray[np.bool_] = (probability >= above) & has_other & ~of_no_class  # NaN: not taken
    return taken
