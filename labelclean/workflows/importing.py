"""import_decisions: labels that a person set in another tool become decisions on a report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labelclean.decisions.book import DecisionBook
from labelclean.decisions.decision import Decision
from labelclean.errors import ReportError, printable
from labelclean.exports.matching import Names
from labelclean.exports.registry import format_of
from labelclean.report.report import Report


@dataclass(frozen=True, kw_only=True)
class Imported:
    """The result of importing the labels of a file.

    recorded     new decisions by action: accept, keep, other
    known        decisions that held already
    undecided    labels as they were exported, which say nothing
    unclear      images with several labels at once
    unknown      labels of images that the report does not have
    new_classes  labels that are no class of the report
    """

    decisions: Path
    recorded: dict[str, int]
    known: int
    undecided: int
    unclear: int
    unknown: int
    new_classes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            **vars(self),
            "decisions": str(self.decisions),
            "new_classes": list(self.new_classes),
        }


def import_decisions(
    report: Path,
    file: Path,
    *,
    source: str,
    decisions: Path | None = None,
    all_reviewed: bool = False,
) -> Imported:
    """Records the labels of the file as one batch of decisions.

    source        a key of registry.FORMATS
    decisions     the store, None: the one beside the report
    all_reviewed  labels that are as they were exported were looked at too: they are kept

    A label is a decision where the tool says that a person set it, or it is not the given one.
    Raises ConfigError, ReportError.
    """
    form = format_of("--from", source)
    table = Report.read(report)
    book = DecisionBook.of(table, report, decisions, is_to_grow=True)
    images = table.frame["image"].tolist()
    labels = form.read(file)
    names = Names(images)
    given = dict(zip(images, table.frame["given_label"].tolist(), strict=True))
    suggested = dict(zip(images, table.frame["suggested_label"].tolist(), strict=True))
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    unknown = undecided = 0
    made: list[Decision] = []
    for each in labels.labels:
        image = names.find(each.image)
        if image is None:
            unknown += 1
            continue
        label, before = each.label, given[image]
        if not label:
            continue
        if label == before and not each.is_reviewed and not all_reviewed:
            undecided += 1
            continue
        action = "keep" if label == before else "accept" if label == suggested[image] else "other"
        made.append(
            Decision(
                image=image,
                action=action,
                label=label,
                before=before,
                reviewer=each.annotator or source,
                at=now,
            )
        )
    if unknown and unknown == len(labels.labels):
        raise ReportError(
            f"{printable(file)}: names no image of {printable(report)}: its first is "
            f"{printable(labels.labels[0].image)}, the report's is {printable(images[0])}"
        )
    recorded = _record(book, made) if made else []
    counts = {action: 0 for action in ("accept", "keep", "other")}
    for decision in recorded:
        counts[decision.action] += 1
    classes = set(table.meta.class_names)
    return Imported(
        decisions=book.path or book.beside,
        recorded=counts,
        known=len(made) - len(recorded),
        undecided=undecided,
        unclear=labels.unclear,
        unknown=unknown,
        new_classes=tuple(sorted({x.label for x in made if x.label} - classes)),
    )


def _record(book: DecisionBook, made: list[Decision]) -> list[Decision]:
    """The decisions that were not there yet: a file that is imported again changes nothing."""
    store = book.open()
    try:
        said = {image: _said(decision) for image, decision in store.current().items()}
        new = []
        last = {decision.image: decision for decision in made}
        for decision in made:
            if said.get(decision.image) != _said(last[decision.image]):
                new.append(decision)
        store.record(new)
        return new
    finally:
        store.close()


def _said(decision: Decision) -> tuple[str, str | None, str]:
    return decision.action, decision.label, decision.reviewer


def import_text(done: Imported) -> str:
    """The recorded decisions, and a line for each kind of label that was left out."""
    counts = ", ".join(f"{k:,} {action}" for action, k in done.recorded.items() if k)
    lines = [
        f"{_counted(sum(done.recorded.values()), 'decision')} recorded in {done.decisions}"
        + (f": {counts}" if counts else "")
    ]
    if done.known:
        lines.append(f"{_counted(done.known, 'decision')} held already")
    if done.undecided:
        lines.append(
            f"{_counted(done.undecided, 'label')} {_are(done.undecided)} as exported and not "
            "marked as reviewed; --all-reviewed takes such as kept"
        )
    if done.unclear:
        lines.append(f"{_counted(done.unclear, 'image')} with several labels left out")
    if done.unknown:
        lines.append(f"{_counted(done.unknown, 'label')} of images that the report does not have")
    if done.new_classes:
        new = len(done.new_classes)
        shown = ", ".join(done.new_classes[:5]) + (", ..." if new > 5 else "")
        what = "is no class" if new == 1 else "are no classes"
        lines.append(f"{_counted(new, 'label')} {what} of the report: {shown}")
    return "\n".join(map(printable, lines))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
