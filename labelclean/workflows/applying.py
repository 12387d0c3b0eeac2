"""apply_decisions: decisions become labels, beside the source and never in it; undo_apply: back."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean import __version__, disk
from labelclean.apply.applied import Applied
from labelclean.apply.forms import Prepared, prepare
from labelclean.apply.origin import Origin, find_origin
from labelclean.apply.outcome import KEEP, Outcome, Policy, settle
from labelclean.apply.undoing import Undone, undo
from labelclean.apply.writing import (
    LOG_SCHEMA,
    Written,
    check_out,
    write_result,
)
from labelclean.decisions.book import DecisionBook
from labelclean.errors import ConfigError, printable
from labelclean.progress import Reporter
from labelclean.report.meta import ReportMeta, meta_path
from labelclean.report.report import HELD_OUT, Report


def apply_decisions(
    report: str | Path,
    *,
    out: str | Path | None,
    decisions: str | Path | None = None,
    above: float | None = None,
    undecided: str = KEEP,
    images: str | Path | None = None,
    link: str | None = None,
    is_dry_run: bool = False,
    force: bool = False,
    reporter: Reporter | None = None,
) -> Applied:
    """The labels of a report's source with the decisions in them, written to `out`.

    out        may be None in a dry run: then only the counts are found out
    decisions  SQLite or CSV; None: those beside the report, where there are some
    above, undecided
               the Policy for what nobody decided
    images     where the images lie now
    link       copy, hard or sym, for class folders; None: copy
    force      replaces what is at `out`; undo_apply brings it back

    Raises ConfigError, ReportError or SourceError for what the user can mend; then nothing is
    written.
    """
    reporter = reporter or Reporter()
    out = None if out is None else Path(out)
    decisions = None if decisions is None else Path(decisions)
    images = None if images is None else Path(images)
    policy = Policy(above=above, undecided=undecided)
    if out is None and not is_dry_run:
        raise ConfigError("no --out: name the table or folder to write, or add --dry-run")
    if out is None and link is not None:
        raise ConfigError("--link is for a folder of images: add --out FOLDER")
    path = Path(report)
    with reporter.stage("reading"):
        settled = _settled(path, decisions, policy, reporter)
        outcome = settled.outcome
        if out is None:
            return Applied(outcome=outcome)
        out = Path(os.path.abspath(out))
        origin = find_origin(settled.meta, path, images)
        _check(out, path, settled, origin, force)
        prepared = prepare(origin, outcome, settled.held_out, out, link)
    counts: dict[str, Any] = {
        "outcome": outcome,
        "unreported": prepared.unreported,
        "renamed": prepared.renamed,
        "notes": prepared.notes,
    }
    if is_dry_run:
        return Applied(**counts)
    facts = _facts(path, settled.decisions, policy, link, outcome, origin)
    with disk.claim(out), reporter.stage("writing") as advance:
        _check(out, path, settled, origin, force)  # again: a killed run may be finished by now

        def make(target: Path) -> Sequence[Written]:
            return prepared.make(target, advance)

        log = write_result(out, make, facts)
    return Applied(**counts, out=out, log=log, next_step=_next_step(prepared, out))


def undo_apply(out: Path, *, reporter: Reporter | None = None) -> Undone:
    """Removes what apply wrote there, and puts back what was there before.

    Raises ReportError if apply did not write it, or it was changed since.
    """
    with (reporter or Reporter()).stage("comparing") as advance:
        return undo(out, advance)


@dataclass(frozen=True, kw_only=True)
class _Settled:
    """The outcome of a report, without the rest of its rows: of ten million they take a GB.

    decisions  the file that they were in; None: there is none
    beside     where decisions on the report lie by default
    """

    meta: ReportMeta
    decisions: Path | None
    beside: Path
    outcome: Outcome
    held_out: NDArray[np.bool_]


def _settled(path: Path, decisions: Path | None, policy: Policy, reporter: Reporter) -> _Settled:
    read = Report.read(path, reporter.note)
    book = _decisions(read, path, decisions, policy)
    return _Settled(
        meta=read.meta,
        decisions=book.path,
        beside=book.beside,
        outcome=settle(read, book.decisions, policy),
        held_out=np.fromiter(
            (HELD_OUT in words.split() for words in read.frame["flags"]), np.bool_, len(read)
        ),
    )


def _decisions(report: Report, path: Path, given: Path | None, policy: Policy) -> DecisionBook:
    book = DecisionBook.of(report, path, given)
    if not book and not policy.changes_undecided:
        where = f"no {printable(book.beside.name)} beside it"
        where = f"none in {printable(book.path)}" if book.path else where
        raise ConfigError(
            f"{printable(path)}: nobody decided yet ({where}), so nothing would change: look at "
            f"the images (labelclean review {printable(shlex.quote(str(path)))}), or take the "
            "model's word (--above 0.9)"
        )
    return book


def _check(out: Path, path: Path, settled: _Settled, origin: Origin, force: bool) -> None:
    files = [path, meta_path(path), settled.beside, *origin.tables]
    if settled.decisions is not None:
        files.append(settled.decisions)
    check_out(out, files=files, folder=origin.folder, force=force)


def _facts(
    path: Path,
    decisions: Path | None,
    policy: Policy,
    link: str | None,
    outcome: Outcome,
    origin: Origin,
) -> dict[str, Any]:
    """Content of the log: the inputs, the rule, and every row that changed."""
    changed = np.flatnonzero(outcome.is_changed).tolist()
    return {
        "apply_log": LOG_SCHEMA,
        "labelclean": __version__,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "report": str(path.absolute()),
        "decisions": None if decisions is None else str(decisions.absolute()),
        "above": policy.above,
        "undecided": policy.undecided,
        "link": link,
        "source": origin.source,
        "changed": [
            [outcome.images[k], outcome.given[k], outcome.labels[k], outcome.by[k]] for k in changed
        ],
        "excluded": [outcome.images[k] for k in np.flatnonzero(outcome.is_excluded).tolist()],
    }


def _next_step(prepared: Prepared, out: Path) -> str:
    words = [str(out) if word is None else word for word in prepared.reads]
    return shlex.join(["labelclean", "filter", *words])
