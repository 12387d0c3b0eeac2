"""DecisionBook: the decisions on one report, found, read and checked once, for every command."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labelclean.decisions.decision import SETTLING, Decision
from labelclean.decisions.store import DecisionStore, decisions_path, digest_of, read_decisions
from labelclean.errors import ConfigError, ReportError, printable
from labelclean.report.report import Report

_NAMED = 3  # images in a message


@dataclass(frozen=True, kw_only=True)
class DecisionBook:
    """The decisions on the images of a report.

    beside     where they are if nobody says otherwise, whether or not there are any
    path       where these are; None: nobody decided
    decisions  image -> what holds, each about an image of the report and its given label
    """

    beside: Path
    path: Path | None
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    made_digest: Callable[[], str] = field(repr=False, compare=False)

    @classmethod
    def of(
        cls,
        report: Report,
        report_path: Path,
        given: Path | None = None,
        *,
        is_to_grow: bool = False,
    ) -> DecisionBook:
        """The decisions in `given`, an SQLite store or a CSV; None: those beside the report.

        is_to_grow  decisions will be added: there need be no store yet, and it is no table

        Raises ReportError if they cannot be read or are on another report: of other images, or
        made when an image had another label. ConfigError if nothing can be added to them.
        """
        beside = decisions_path(report_path)
        path = given or (beside if is_to_grow or os.path.lexists(beside) else None)
        if is_to_grow and path is not None and path.suffix.lower() in (".csv", ".tsv"):
            raise ConfigError(
                f"--decisions {printable(path)}: decisions are added to an SQLite file; "
                "leave it out for the one beside the report"
            )
        made_digest = _Digest(report)
        is_new = path is None or (is_to_grow and not os.path.lexists(path))
        decisions: Mapping[str, Decision] = {}
        if path is not None and not is_new:
            decisions = read_decisions(path, report_digest=made_digest())
        _check(report, decisions)
        return cls(beside=beside, path=path, decisions=decisions, made_digest=made_digest)

    @property
    def digest(self) -> str:
        """By which decisions know their report again; made once, in seconds for a million rows."""
        return self.made_digest()

    def __len__(self) -> int:
        return len(self.decisions)

    def __bool__(self) -> bool:
        return bool(self.decisions)

    def of_action(self, *actions: str) -> set[str]:
        """The images that were decided so."""
        return {image for image, each in self.decisions.items() if each.action in actions}

    @property
    def settled(self) -> set[str]:
        """The images whose label needs no further look."""
        return self.of_action(*SETTLING)

    def new_classes(self, report: Report) -> tuple[str, ...]:
        """The labels of decisions that are no class of the report."""
        labels = {each.label for each in self.decisions.values() if each.label is not None}
        return tuple(sorted(labels - set(report.meta.class_names)))

    def open(self) -> DecisionStore:
        """The store to add decisions to, made where there is none. Raises ReportError."""
        return DecisionStore.open(self.path or self.beside, report_digest=self.digest)


class _Digest:
    """The digest of a report, which is let go once it is made."""

    def __init__(self, report: Report) -> None:
        self._report: Report | None = report
        self._made = ""

    def __call__(self) -> str:
        if self._report is not None:
            self._made, self._report = digest_of(self._report), None
        return self._made


def _check(report: Report, decisions: Mapping[str, Decision]) -> None:
    if not decisions:
        return
    frame = report.frame
    known = dict(zip(frame["image"].tolist(), frame["given_label"].tolist(), strict=True))
    strange = strangers(decisions, known)
    if strange:
        raise ReportError(
            f"decisions on {len(strange):,} of {len(decisions):,} images that the report lacks, "
            f"such as {', '.join(map(printable, strange[:_NAMED]))}: give the decisions on this "
            "report"
        )
    if other := of_other_label(decisions, known):
        raise ReportError(
            f"decision on {printable(other.image)}: its label was '{printable(other.before)}' "
            f"then, in the report it is '{printable(known[other.image])}': give the decisions on "
            "this report"
        )


def strangers(decisions: Mapping[str, Decision], known: Mapping[str, str]) -> list[str]:
    """The images of decisions that are not among the known ones (image -> given label)."""
    return [image for image in decisions if image not in known]


def of_other_label(decisions: Mapping[str, Decision], known: Mapping[str, str]) -> Decision | None:
    """The first decision that was made when its image had another label than the known one."""
    for image, decision in decisions.items():
        if decision.before != known[image] and (decision.before or decision.action == "keep"):
            return decision
    return None
