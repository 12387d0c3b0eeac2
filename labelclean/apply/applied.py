"""The result of apply, done or planned, as text and as JSON."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from labelclean.apply.outcome import MODEL, PERSON, Outcome
from labelclean.errors import printable
from labelclean.sources.wording import counted

LISTED = 30  # class pairs in the text


@dataclass(frozen=True, kw_only=True)
class Applied:
    """The result of apply, done or planned.

    unreported  rows of the labels that the report does not judge, kept as they were
    renamed     files that got another name because theirs was taken in the new class
    out         what was written, None in a dry run
    next_step   the command that reads it
    """

    outcome: Outcome
    unreported: int = 0
    renamed: int = 0
    out: Path | None = None
    log: Path | None = None
    next_step: str | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        outcome = self.outcome
        return {
            "rows": len(outcome),
            "changed": int(outcome.is_changed.sum()),
            "changed_by_person": outcome.count_changed(PERSON),
            "changed_by_model": outcome.count_changed(MODEL),
            "excluded": int(outcome.is_excluded.sum()),
            "open": int((outcome.is_open & ~outcome.is_excluded).sum()),
            "broken_kept": int((outcome.is_broken & ~outcome.is_excluded).sum()),
            "unreported_kept": self.unreported,
            "renamed": self.renamed,
            "pairs": [{"given": a, "new": b, "count": n} for a, b, n in outcome.pairs()],
            "exclusions": [{"given": a, "count": n} for a, n in outcome.exclusions()],
            "notes": list(self.notes),
            "dry_run": self.out is None,
            "out": None if self.out is None else str(self.out),
            "log": None if self.log is None else str(self.log),
            "next": self.next_step,
        }

    def describe(self) -> str:
        """The counts by class pair, what was left as it was, and where the result is."""
        outcome, is_dry = self.outcome, self.out is None
        changed, excluded = int(outcome.is_changed.sum()), int(outcome.is_excluded.sum())
        person, model = outcome.count_changed(PERSON), outcome.count_changed(MODEL)
        left_out = "would be left out" if is_dry else "left out"
        lines = [
            f"{changed:,} of {counted(len(outcome), 'label')} "
            f"{'would change' if is_dry else 'changed'} ({person:,} by a person, {model:,} by the "
            f"model), {counted(excluded, 'row')} {left_out}"
        ]
        table = [(old, new, f"{n:,}") for old, new, n in outcome.pairs()]
        table += [(old, "(left out)", f"{n:,}") for old, n in outcome.exclusions()]
        lines += _aligned([("given", "new", "rows"), *table[:LISTED]]) if table else []
        if len(table) > LISTED:
            lines.append(f"and {counted(len(table) - LISTED, 'pair')} more: --json lists them all")
        for count, one, many in (
            (
                int((outcome.is_open & ~outcome.is_excluded).sum()),
                "looks wrong and nobody decided: its label stays as given",
                "look wrong and nobody decided: their labels stay as given",
            ),
            (
                int((outcome.is_broken & ~outcome.is_excluded).sum()),
                "has no readable image: kept as it is",
                "have no readable image: kept as they are",
            ),
            (
                self.unreported,
                "is not in the report: kept as it is",
                "are not in the report: kept as they are",
            ),
            (
                self.renamed,
                "file gets another name, its own is taken in the new class",
                "files get other names, theirs are taken in the new class",
            ),
        ):
            if count:
                lines.append(f"{count:,} {one if count == 1 else many}")
        lines += self.notes
        if self.out is not None:
            lines.append(f"written:  {printable(self.out)}")
            lines.append(f"read it:  {printable(self.next_step)}")
            lines.append(
                f"undo:     labelclean apply --undo {printable(shlex.quote(str(self.out)))}"
            )
        else:
            lines.append("nothing was written: a dry run")
        return "\n".join(lines)


def _aligned(rows: list[tuple[str, str, str]]) -> list[str]:
    cells = [(printable(a) or "(none)", printable(b), n) for a, b, n in rows]
    widths = [max(len(row[k]) for row in cells) for k in range(3)]
    return [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {n:>{widths[2]}}" for a, b, n in cells]
