"""Which rows of a report are looked at, and in which order."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelclean.data.samples import DUPLICATE_OF, MISSING, OK, UNLABELLED, UNREADABLE
from labelclean.errors import ConfigError, printable
from labelclean.report.report import Report

STATUSES = (OK, UNREADABLE, MISSING, UNLABELLED, DUPLICATE_OF.rstrip(":"))
ORDERS = ("suspicion", "image", "given", "suggested", "margin", "row")
FEW = 12  # names that a message lists in full


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Conditions on the rows that are shown; None or empty asks for nothing.

    given            any of these given labels
    suggested        any of these suggested labels
    statuses         any of STATUSES
    only_issues      None: those judged wrong; all where a status, probability or text is given
    min_probability  issue probability, 0 to 1
    text             in the name of the image, in any case
    order            one of ORDERS
    """

    given: tuple[str, ...] = ()
    suggested: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    only_issues: bool | None = None
    min_probability: float | None = None
    text: str | None = None
    order: str = "suspicion"

    def __post_init__(self) -> None:
        problems = [_unknown("--status", word, STATUSES) for word in self.statuses]
        problems.append(_unknown("--sort", self.order, ORDERS))
        if self.min_probability is not None and not 0 <= self.min_probability <= 1:
            problems.append(f"--min-probability is {self.min_probability:g}, must be from 0 to 1")
        if any(problems):
            raise ConfigError("; ".join(filter(None, problems)))


def select(report: Report, selection: Selection) -> NDArray[np.int64]:
    """The rows, in the order that is asked for; equal ones in the report's order.

    Raises ConfigError for a label that no row of the report has.
    """
    frame = report.frame
    chosen = np.ones(len(frame), dtype=np.bool_)
    for flag, column, names in (
        ("--class", "given_label", selection.given),
        ("--suggested", "suggested_label", selection.suggested),
    ):
        if names:
            _check_labels(report, flag, column, names)
            chosen &= _is_one_of(frame[column].tolist(), names)
    if selection.statuses:
        chosen &= _is_one_of(map(_short_status, frame["status"]), selection.statuses)
    if _only_issues(selection):
        chosen &= frame["is_label_issue"].to_numpy()
    if selection.min_probability is not None:
        chosen &= (frame["issue_probability"] >= selection.min_probability).to_numpy()
    if selection.text is not None:
        wanted = selection.text.casefold()
        chosen &= np.array([wanted in name.casefold() for name in frame["image"]], dtype=np.bool_)
    return _ordered(frame, selection.order, chosen)


def _only_issues(selection: Selection) -> bool:
    if selection.only_issues is not None:
        return selection.only_issues
    asks_for_more = (selection.min_probability, selection.text)
    return not selection.statuses and all(asked is None for asked in asks_for_more)


def _short_status(status: str) -> str:
    """`duplicate_of:a.png` as `duplicate_of`."""
    return DUPLICATE_OF.rstrip(":") if status.startswith(DUPLICATE_OF) else status


def _is_one_of(words: Iterable[str], wanted: Collection[str]) -> NDArray[np.bool_]:
    return np.array([word in wanted for word in words], dtype=np.bool_)


def _ordered(frame: pd.DataFrame, order: str, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    rows = np.flatnonzero(chosen)
    columns = {
        "suspicion": ["label_score"],
        "margin": ["margin"],
        "image": ["image"],
        "given": ["given_label", "label_score"],
        "suggested": ["suggested_label", "label_score"],
        "row": [],
    }[order]
    # Not by pandas, which cannot sort names that are no UTF-8; NaN comes last.
    keys = [
        [(value != value, value) for value in frame[column].iloc[rows].tolist()]
        for column in columns
    ]
    places = sorted(range(len(rows)), key=lambda place: [key[place] for key in keys])
    return rows[places].astype(np.int64)


def _check_labels(report: Report, flag: str, column: str, names: Sequence[str]) -> None:
    known = set(report.meta.class_names) | set(report.frame[column])
    problems = [_unknown(flag, name, known) for name in names]
    if any(problems):
        raise ConfigError("; ".join(filter(None, problems)))


def _unknown(flag: str, word: str, known: Collection[str]) -> str:
    """The error for an unknown word; "" where it is known."""
    if word in known:
        return ""
    named = list(known) if isinstance(known, tuple) else sorted(filter(None, known))
    near = difflib.get_close_matches(word, named, n=3, cutoff=0.5)
    if len(named) <= FEW:
        hint = f"one of {', '.join(map(printable, named))}"
    else:
        hint = f"a label of the report, such as {', '.join(map(printable, near or named[:3]))}"
    return f"{flag} is {printable(word)}, must be {hint}"
