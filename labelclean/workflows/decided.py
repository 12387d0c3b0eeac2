"""Decisions of a review as certain labels: what `filter --decisions` learns from, and reports."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean.data.samples import NO_LABEL
from labelclean.decisions.book import of_other_label, strangers
from labelclean.decisions.decision import SETTLING, Decision
from labelclean.decisions.store import (
    DecisionStore,
    decisions_path,
    digest_of,
    read_decisions,
)
from labelclean.errors import ReportError, printable
from labelclean.judging.verdicts import Verdicts
from labelclean.report.report import Report
from labelclean.workflows.preparing import Samples
from labelclean.workflows.reasons import as_given

DECIDED = "decided"  # flag of a row whose label a person has set
_NAMED = 3  # images in a message


@dataclass(frozen=True, kw_only=True)
class Decided:
    """Rows that a person has decided on.

    rows       (k,) of the table
    names      (k,) the label that holds now, None for an excluded image
    labels     (k,) its number, NO_LABEL where it is none that is learned
    decisions  all that were read, by image
    """

    rows: NDArray[np.int64]
    names: tuple[str | None, ...]
    labels: NDArray[np.int64]
    decisions: Mapping[str, Decision]

    def learned(self, samples: Samples) -> Samples:
        """The samples to train on: decided rows by their certain label, or not at all."""
        is_known = self.labels != NO_LABEL
        has_image = np.isin(self.rows, samples.rows) & ~samples.table.held_out[self.rows]
        kept = np.setdiff1d(samples.train_rows, self.rows[~is_known])
        return replace(samples, train_rows=np.union1d(kept, self.rows[is_known & has_image]))

    def over(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """The labels (n,) with the decided ones in their place."""
        is_known = self.labels != NO_LABEL
        labels = labels.copy()
        labels[self.rows[is_known]] = self.labels[is_known]
        return labels

    def settled(self, verdicts: Verdicts, given: NDArray[np.int64]) -> Verdicts:
        """The verdicts with what was decided: such a label is right or wrong for certain.

        The noise rate counts the decided rows as they were decided; its interval keeps its width.
        """
        has_label = np.array([name is not None for name in self.names], dtype=np.bool_)
        rows, labels = self.rows[has_label], self.labels[has_label]
        is_wrong = labels != given[rows]  # also a label that is not learned
        changed = {
            name: getattr(verdicts, name).copy()
            for name in ("label_score", "issue_probability", "is_label_issue", "suggested")
        }
        sure, second = verdicts.suggested_probability.copy(), verdicts.second.copy()
        judged = ~np.isnan(verdicts.issue_probability)
        changed["issue_probability"][rows] = is_wrong
        changed["label_score"][rows] = ~is_wrong
        changed["is_label_issue"][rows] = is_wrong
        changed["suggested"][rows] = np.where(labels == NO_LABEL, given[rows], labels)
        sure[rows] = 1.0
        second[rows] = np.where(is_wrong, given[rows], second[rows])
        judged[rows] = True
        rate = float(changed["issue_probability"][judged].mean()) if judged.any() else 0.0
        low, high = (rate + end - verdicts.noise_rate for end in verdicts.noise_rate_interval)
        return replace(
            verdicts,
            **changed,
            suggested_probability=sure,
            second=second,
            noise_rate=rate,
            noise_rate_interval=(max(0.0, low), min(1.0, high)),
        )

    def complete(self, columns: dict[str, Any]) -> dict[str, Any]:
        """The report's columns with the flag, and with labels that are none of its classes."""
        suggested, flags = np.array(columns["suggested_label"], dtype=object), columns["flags"]
        for row, name in zip(self.rows.tolist(), self.names, strict=True):
            flags[row] = f"{flags[row]} {DECIDED}".strip()
            if name is not None:
                suggested[row] = name
        return {**columns, "suggested_label": suggested, "flags": flags}

    def store(self, report: Report, out: Path) -> None:
        """Puts the decisions beside the new report, for review, apply and train."""
        digest = digest_of(report)
        with closing(DecisionStore.open(decisions_path(out), report_digest=digest)) as store:
            store.record(tuple(self.decisions.values()))


def read_decided(path: Path, samples: Samples) -> Decided:
    """The decisions in a file of a review of these images.

    Raises ReportError if it cannot be read, or is on other images or other labels.
    """
    decisions = read_decisions(path)
    table = samples.table
    names = as_given(np.array([*table.class_names, ""], object)[table.labels], samples.untrained)
    known = dict(zip(table.paths, names.tolist(), strict=True))
    strange = strangers(decisions, known)
    if strange:
        named = ", ".join(map(printable, strange[:_NAMED]))
        raise ReportError(
            f"--decisions {printable(path)}: {len(strange):,} of {len(decisions):,} images are not "
            f"in the data, such as {named}: give the decisions on these images"
        )
    if other := of_other_label(decisions, known):
        raise ReportError(
            f"--decisions {printable(path)}: of {printable(other.image)} the label was "
            f"'{printable(other.before)}' then, now it is '{printable(known[other.image])}': give "
            "the decisions on these labels"
        )
    place = {name: row for row, name in enumerate(table.paths)}
    settled = [each for each in decisions.values() if each.action in SETTLING]
    codes = {name: code for code, name in enumerate(table.class_names)}
    return Decided(
        rows=np.array([place[each.image] for each in settled], dtype=np.int64),
        names=tuple(each.label for each in settled),
        labels=np.array([codes.get(each.label or "", NO_LABEL) for each in settled], np.int64),
        decisions=decisions,
    )


def check_can_store(out: str | Path | None) -> None:
    """Refuses, before the training, an output beside which other decisions stand."""
    if out is None or str(out) == "-":
        return
    beside = decisions_path(Path(out))
    if beside.exists():
        raise ReportError(
            f"--out {printable(out)}: there are decisions in {printable(beside)}; choose another "
            "name"
        )
