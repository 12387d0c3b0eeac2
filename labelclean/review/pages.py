"""A report as the review shows it: columns as arrays, their order, filters and pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from labelclean.data.duplicates import conflicting
from labelclean.data.large_arrays import blocks_of
from labelclean.data.samples import DUPLICATE_OF
from labelclean.errors import printable
from labelclean.report.report import Report

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NO_LABEL = -1  # the code of an absent label
UNDECIDED = 0  # the code of a row without a decision; see review/session.py for the others
COPIES_DISAGREE = "copies_disagree"
LONGEST_PAGE = 500  # rows
KEYED = 9  # labels that have a digit as their key
VERDICTS = ("", "issue", "right")
DECIDED = ("", "yes", "no")


class QueryError(ValueError):
    """A request that no page of ours sends."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which rows to show; None and "" let all through.

    given, suggested, label  codes of labels; `label` is met by either of the two
    status, flag             codes of statuses and of flags
    low, high                label_score from and to, 0 to 1; rows without one are in no range
    decided                  yes, no, or one of the actions
    search                   part of the image's name, whatever its case
    """

    given: int | None = None
    suggested: int | None = None
    label: int | None = None
    status: int | None = None
    flag: int | None = None
    verdict: str = ""
    low: float | None = None
    high: float | None = None
    decided: str = ""
    search: str = ""

    @classmethod
    def parse(cls, params: Mapping[str, str], actions: tuple[str, ...]) -> Query:
        """From the parameters of a URL. Raises QueryError."""
        filters: dict[str, Any] = {}
        try:
            for name in ("given", "suggested", "label", "status", "flag"):
                if params.get(name):
                    filters[name] = int(params[name])
            for name in ("low", "high"):
                if params.get(name):
                    filters[name] = float(params[name])
        except ValueError as error:
            raise QueryError(str(error)) from None
        for name, allowed in (("verdict", VERDICTS), ("decided", DECIDED + actions)):
            filters[name] = params.get(name, "")
            if filters[name] not in allowed:
                raise QueryError(f"{name} is none of {', '.join(allowed)}")
        filters["search"] = params.get("search", "").casefold()
        return cls(**filters)


class ReviewRows:
    """The columns of a report, ready to be ordered, filtered and shown a page at a time.

    labels    (c,) the report's classes, then labels that are only in its rows; codes index it
    given, suggested, second  (n,) codes, NO_LABEL where there is none
    score, chance             (n,) label_score and issue_probability, NaN where not judged
    group     (n,) first row of the same or nearly the same content where one of these has another
              label, else -1
    order     (n,) rows: copies that contradict each other, then from suspicious to trusted
    """

    def __init__(self, report: Report) -> None:
        frame = report.frame
        self.meta = report.meta  # not the report: ten million rows of it take gigabytes
        self.images: list[str] = frame["image"].tolist()
        known = np.array(report.meta.class_names, dtype=object)
        columns = ("given_label", "suggested_label", "second_label")
        cells = [frame[name].to_numpy(dtype=object) for name in columns]
        codes, names = pd.factorize(np.concatenate([known, *cells]))  # the classes first
        is_nothing = names == ""
        code_of = np.cumsum(~is_nothing) - 1  # without the empty text
        code_of[is_nothing] = NO_LABEL
        given, suggested, second = np.split(code_of[codes[len(known) :]], 3)
        self.given, self.suggested, self.second = given, suggested, second
        self.labels = tuple(names[~is_nothing].tolist())
        self.score: Floats = frame["label_score"].to_numpy(np.float64)
        self.chance: Floats = frame["issue_probability"].to_numpy(np.float64)
        self.sure: Floats = frame["suggested_probability"].to_numpy(np.float64)
        self.margin: Floats = frame["margin"].to_numpy(np.float64)
        self.is_issue: Bools = frame["is_label_issue"].to_numpy(np.bool_)
        self.first = _first_of_each(
            self.images, frame["status"].tolist(), frame["near_duplicate_of"].tolist()
        )
        self._set_statuses(frame["status"].tolist())
        self.reasons: list[str] = frame["reason"].tolist()
        is_conflict = conflicting(self.first, self.given)
        self.group: Ints = np.where(is_conflict, self.first, -1)
        self._set_flags(frame["flags"].tolist())
        self._copies = _groups(self.first)
        self.order = _order(self.score, self.group)
        self.rank: Ints = np.empty(len(self), np.int64)  # place of a row in the order
        self.rank[self.order] = np.arange(len(self))
        self._searched: pa.ChunkedArray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def _set_statuses(self, statuses: list[str]) -> None:
        short = DUPLICATE_OF.rstrip(":")
        codes, words = pd.factorize(np.array(statuses, dtype=object))
        plain = [short if word.startswith(DUPLICATE_OF) else word for word in words.tolist()]
        place, names = pd.factorize(np.array(plain, dtype=object))
        self.status: Ints = place[codes].astype(np.int64)
        self.statuses = tuple(names.tolist())

    def _set_flags(self, cells: list[str]) -> None:
        names: dict[str, int] = {}
        for cell in set(cells):
            for flag in cell.split():
                names.setdefault(flag, len(names))
        # Contradicting copies are flagged here: the report only says of what a row is a copy.
        own = [COPIES_DISAGREE] if (self.group >= 0).any() else []
        self.flags = (*sorted(names.keys() - {COPIES_DISAGREE}), *own)
        self.has_flag: Bools = np.zeros((len(self.flags), len(self)), np.bool_)
        for row, cell in enumerate(cells):
            for flag in cell.split() if cell else ():
                if flag in self.flags:
                    self.has_flag[self.flags.index(flag), row] = True
        if own:
            self.has_flag[-1] |= self.group >= 0

    def match(self, query: Query, actions: NDArray[np.uint8], names: tuple[str, ...]) -> Ints:
        """The rows that a query lets through, in the order of the review.

        actions  (n,) code of what was decided on each row, UNDECIDED where nothing was
        names    names[k - 1] is the action of code k
        """
        keep = np.ones(len(self), np.bool_)
        if query.given is not None:
            keep &= self.given == query.given
        if query.suggested is not None:
            keep &= self.suggested == query.suggested
        if query.label is not None:
            keep &= (self.given == query.label) | (self.suggested == query.label)
        if query.status is not None:
            keep &= self.status == query.status
        if query.flag is not None:
            keep &= (
                self.has_flag[query.flag]
                if 0 <= query.flag < len(self.flags)
                else np.zeros(len(self), np.bool_)
            )
        if query.verdict:
            keep &= self.is_issue == (query.verdict == "issue")
        if query.low is not None:
            keep &= self.score >= query.low
        if query.high is not None:
            keep &= self.score <= query.high
        if query.decided in ("yes", "no"):
            keep &= (actions != UNDECIDED) == (query.decided == "yes")
        elif query.decided:
            keep &= actions == names.index(query.decided) + 1
        if query.search:
            keep &= self._names_with(query.search)
        return self.order[keep[self.order]]

    def _names_with(self, part: str) -> Bools:
        if self._searched is None:
            blocks = (self.images[block] for block in blocks_of(len(self)))
            self._searched = pa.chunked_array(
                [[printable(name).casefold() for name in names] for names in blocks], pa.string()
            )
        wanted = printable(part).casefold()
        has_part: Bools = pc.match_substring(self._searched, wanted).to_numpy()
        return has_part

    def cells(self, row: int) -> dict[str, Any]:
        """One row for the page, JSON-ready: names escaped, labels and statuses as codes."""
        return {
            "row": row,
            "image": printable(self.images[row]),
            "given": int(self.given[row]),
            "suggested": int(self.suggested[row]),
            "second": int(self.second[row]),
            "score": _figure(self.score[row]),
            "chance": _figure(self.chance[row]),
            "sure": _figure(self.sure[row]),
            "margin": _figure(self.margin[row]),
            "isIssue": bool(self.is_issue[row]),
            "status": int(self.status[row]),
            "reason": printable(self.reasons[row]),
            "flags": np.flatnonzero(self.has_flag[:, row]).tolist(),
            "copies": [
                other for other in self._copies.get(int(self.first[row]), ()) if other != row
            ],
        }

    def facts(self) -> dict[str, Any]:
        """Facts that the page needs once, JSON-ready."""
        return {
            "count": len(self),
            "labels": [printable(name) for name in self.labels],
            "statuses": [printable(name) for name in self.statuses],
            "flags": [printable(name) for name in self.flags],
            "confusions": self._confusions(),
            "frequent": self._frequent(),
        }

    def _confusions(self) -> dict[int, list[int]]:
        """For each given label those most often suggested instead, where there are many classes."""
        if len(self.labels) <= KEYED:
            return {}
        is_shown = self.is_issue & (self.given >= 0) & (self.suggested >= 0)
        pairs, counts = np.unique(
            np.stack([self.given[is_shown], self.suggested[is_shown]]), axis=1, return_counts=True
        )
        likely: dict[int, list[int]] = {}
        for k in np.argsort(-counts, kind="stable").tolist():
            given, suggested = pairs[:, k].tolist()
            if len(others := likely.setdefault(given, [])) < KEYED:
                others.append(suggested)
        return likely

    def _frequent(self) -> list[int]:
        """The most frequent labels, as many as have a key of their own."""
        counts = np.bincount(self.given[self.given >= 0], minlength=len(self.labels))
        return [int(code) for code in np.argsort(-counts, kind="stable")[:KEYED]]


def _first_of_each(images: list[str], statuses: list[str], near: list[str]) -> Ints:
    """For each row the row of which it is a copy, exactly or nearly, or the row itself."""
    first = np.arange(len(images), dtype=np.int64)
    if not any(near) and not any(s.startswith(DUPLICATE_OF) for s in set(statuses)):
        return first
    row_of: dict[str, int] = {}
    for row, name in enumerate(images):
        row_of.setdefault(name, row)
    for row, (status, original) in enumerate(zip(statuses, near, strict=True)):
        if original:  # exact copies are near ones too
            first[row] = row_of.get(original, row)
        elif status.startswith(DUPLICATE_OF):
            first[row] = row_of.get(status.removeprefix(DUPLICATE_OF), row)
    return first


def _groups(first: Ints) -> dict[int, list[int]]:
    """The rows that are nearly the same image, by their first row; no images that stand alone."""
    values, counts = np.unique(first, return_counts=True)
    is_several = np.isin(first, values[counts > 1])
    groups: dict[int, list[int]] = {}
    for row in np.flatnonzero(is_several).tolist():
        groups.setdefault(int(first[row]), []).append(row)
    return groups


def _order(score: Floats, group: Ints) -> Ints:
    """Groups together, the one with the least score first; then all others by score, NaN last."""
    rows = np.arange(len(score))
    suspicion = np.where(np.isnan(score), np.inf, score)
    in_group = group >= 0
    least = np.full(len(score), np.inf)
    np.minimum.at(least, group[in_group], suspicion[in_group])
    leading = np.where(in_group, least[group], suspicion)
    return np.lexsort((rows, suspicion, group, leading, ~in_group))


def _figure(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
