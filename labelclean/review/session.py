"""ReviewSession: what has been decided so far, in memory and in the store, for every open tab."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean.decisions.decision import ACTIONS, Decision
from labelclean.decisions.store import DecisionStore
from labelclean.errors import printable
from labelclean.review.ahead import Ahead, SurePair, look_ahead, sure_pair
from labelclean.review.pages import NO_LABEL, UNDECIDED, Ints, Query, QueryError, ReviewRows
from labelclean.review.rescored import Rescored, with_new_scores

UNSURE = 1 + ACTIONS.index("unsure")  # the code of that action
AT_HAND = 6  # rows after the one in focus that keep their place when the list is ranked again
MOST_AT_ONCE = 10_000  # rows of one batch


@dataclass(frozen=True, kw_only=True)
class Counter:
    """How far the review is.

    decided    rows with any decision
    remaining  expected wrong labels among the rows that no decision settles
    judged     settled rows that the report called wrong, and wrong: those of them whose given
               label the person did not keep
    """

    decided: int
    remaining: float
    judged: int
    wrong: int

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


class ReviewSession:
    """Records decisions and answers what holds, for several threads.

    version   grows with every change, also one that another process made
    in_focus  the row that the person looks at, None before the first

    Rows of the same image share one decision, since the store knows images and not rows.
    """

    def __init__(self, rows: ReviewRows, store: DecisionStore, reviewer: str) -> None:
        self.rows = rows
        self.reviewer = reviewer
        self.version = 0
        self.in_focus: int | None = None
        self._store = store
        self._lock = threading.RLock()
        self._by_name = _ByName(rows.images)
        self._codes = {name: k for k, name in enumerate(rows.labels)}
        self._load()

    def close(self) -> None:
        with self._lock:
            self._store.close()

    @property
    def actions(self) -> NDArray[np.uint8]:
        """(n,) 1 + the place of the action in ACTIONS, or UNDECIDED."""
        return self._actions

    def match(self, query: Query) -> NDArray[np.int64]:
        return self.rows.match(query, self._actions, ACTIONS)

    def ahead(self, query: Query) -> Ahead:
        """The images left when the list of that query is at its end, decided rows included."""
        listed = self.match(replace(query, decided=""))
        return look_ahead(self.rows, listed, self._actions)

    def pair(self, row: int, precision: float) -> SurePair:
        """The undecided rows of one pair of labels that may be accepted at that precision."""
        return sure_pair(self.rows, row, precision, self._actions, MOST_AT_ONCE)

    def decide(self, rows: Sequence[int], action: str, label: int | None = None) -> list[int]:
        """Records one decision on each row, as one batch; returns the rows that it holds for.

        label  code of the label for the action "other"

        Raises QueryError if there are no such rows or no label to give, ReportError if the file
        cannot be written.
        """
        if action not in ACTIONS:
            raise QueryError(f"action is none of {', '.join(ACTIONS)}")
        if not rows or len(rows) > MOST_AT_ONCE:
            raise QueryError(f"{len(rows)} rows, must be 1 to {MOST_AT_ONCE}")
        if not all(0 <= row < len(self.rows) for row in rows):
            raise QueryError("no such row")
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        made = {self.rows.images[row]: self._decision(row, action, label, at) for row in rows}
        with self._lock:
            self._store.record(list(made.values()))
            self._decisions.update(made)
            changed = self._mark(self._actions, made)
            self.version += 1
        return changed

    def undo(self) -> list[int]:
        """Takes back this reviewer's last batch; returns its rows, none if there is no batch."""
        with self._lock:
            images = self._store.undo(self.reviewer)
            self._load()
        return [row for image in images for row in self._by_name.rows(image)]

    def settled(self) -> tuple[Ints, Ints]:
        """(k,) rows that a decision settles, and (k,) the label of each, NO_LABEL if excluded."""
        with self._lock:
            actions, decisions = self._actions, self._decisions
            rows = np.flatnonzero((actions != UNDECIDED) & (actions != UNSURE))
            labels = [self._code(decisions[self.rows.images[row]].label) for row in rows.tolist()]
        return rows, np.array(labels, dtype=np.int64)

    def count_settled(self) -> int:
        return int(((self._actions != UNDECIDED) & (self._actions != UNSURE)).sum())

    def coming(self, count: int) -> Ints:
        """The first undecided rows in the order of the review."""
        order = self.rows.order
        coming: Ints = order[self._actions[order] == UNDECIDED][:count]
        return coming

    def rescore(self, new: Rescored) -> None:
        """Takes new verdicts for what is neither decided nor passed by.

        All up to some rows beyond the one in focus stays as and where it is: the person goes on
        meanwhile. So do groups of copies that disagree.
        """
        with self._lock:
            rows = self.rows
            is_fixed = (self._actions != UNDECIDED) | (rows.group >= 0)
            if self.in_focus is not None:
                is_fixed |= rows.rank <= rows.rank[self.in_focus] + AT_HAND
            self.rows = with_new_scores(rows, new, is_fixed)
            self.version += 1

    def refresh(self) -> None:
        """Takes in what other processes decided."""
        with self._lock:
            if self._store.others_stamp() != self._seen:
                self._load()

    def decision(self, row: int) -> dict[str, Any] | None:
        """The decision that holds for a row, JSON-ready, or None."""
        made = self._decisions.get(self.rows.images[row])
        if made is None:
            return None
        return {
            "action": made.action,
            "label": self._code(made.label),
            "name": None if made.label is None else printable(made.label),
            "reviewer": printable(made.reviewer),
            "at": printable(made.at),
        }

    def counter(self) -> Counter:
        actions = self._actions
        is_settled = (actions != UNDECIDED) & (actions != UNSURE)
        is_judged = is_settled & self.rows.is_issue
        is_kept = actions == 1 + ACTIONS.index("keep")
        return Counter(
            decided=int((actions != UNDECIDED).sum()),
            remaining=float(np.nansum(self.rows.chance[~is_settled])),
            judged=int(is_judged.sum()),
            wrong=int((is_judged & ~is_kept).sum()),
        )

    def _decision(self, row: int, action: str, label: int | None, at: str) -> Decision:
        rows = self.rows
        given, suggested = int(rows.given[row]), int(rows.suggested[row])
        if action == "other":
            if label is None or not 0 <= label < len(rows.labels):
                raise QueryError("other needs one of the labels")
            chosen = label
        else:
            chosen = {"accept": suggested, "keep": given}.get(action, NO_LABEL)
            if action in ("accept", "keep") and chosen == NO_LABEL:
                raise QueryError(f"{printable(rows.images[row])} has no label to {action}")
        # Whatever key was pressed, what it says of the label is the same.
        if action in ("accept", "other") and chosen == given:
            action = "keep"
        elif action == "other" and chosen == suggested:
            action = "accept"
        return Decision(
            image=rows.images[row],
            action=action,
            label=None if chosen == NO_LABEL else rows.labels[chosen],
            before="" if given == NO_LABEL else rows.labels[given],
            reviewer=self.reviewer,
            at=at,
        )

    def _code(self, label: str | None) -> int:
        return NO_LABEL if label is None else self._codes.get(label, NO_LABEL)

    def _mark(self, actions: NDArray[np.uint8], made: dict[str, Decision]) -> list[int]:
        changed = []
        for image, decision in made.items():
            for row in self._by_name.rows(image):
                actions[row] = 1 + ACTIONS.index(decision.action)
                changed.append(row)
        return changed

    def _load(self) -> None:
        """Everything anew from the store. The stamp is read first: what comes later is seen."""
        self._seen = self._store.others_stamp()
        decisions = self._store.current()
        actions: NDArray[np.uint8] = np.zeros(len(self.rows), np.uint8)
        self._mark(actions, decisions)
        self._decisions, self._actions = decisions, actions  # whole, for others read meanwhile
        self.version += 1


class _ByName:
    """The rows of a name, by hashes: a dict of ten million names takes a gigabyte more."""

    def __init__(self, names: list[str]) -> None:
        hashes = np.fromiter(map(hash, names), np.int64, len(names))
        self._names, self._order = names, np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def rows(self, name: str) -> list[int]:
        begin = np.searchsorted(self._hashes, hash(name), side="left")
        end = np.searchsorted(self._hashes, hash(name), side="right")
        return [row for row in self._order[begin:end].tolist() if self._names[row] == name]
