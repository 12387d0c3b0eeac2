"""plan_review: how far looking at more images gets, with what was decided so far."""

from __future__ import annotations

from pathlib import Path

from labelclean.decisions.store import decisions_path, digest_of, read_decisions
from labelclean.errors import ConfigError
from labelclean.report.planning import Plan, make_plan
from labelclean.report.table import Report

SETTLING = ("accept", "keep", "other", "exclude")


def plan_review(
    report: str | Path,
    *,
    budget: int | None = None,
    target_noise: float | None = None,
    decisions: Path | None = None,
) -> Plan:
    """The plan for the report at that path.

    decisions  file of a person's decisions; None: the one beside the report, if there is one

    Raises ConfigError for a budget or noise out of range, ReportError if a file cannot be read.
    """
    problems = []
    if budget is not None and budget < 1:
        problems.append(f"--budget is {budget}, must be at least 1")
    if target_noise is not None and not 0 <= target_noise < 1:
        problems.append(f"--target-noise is {target_noise:g}, must be from 0% to below 100%")
    if problems:
        raise ConfigError("; ".join(problems))
    found = Report.read(report)
    beside = decisions_path(Path(report))
    path = decisions or (beside if beside.exists() else None)
    made = {} if path is None else read_decisions(path, report_digest=digest_of(found))
    by_action: dict[str, set[str]] = {}
    for image, decision in made.items():
        by_action.setdefault(decision.action, set()).add(image)
    return make_plan(
        found,
        budget=budget,
        target_noise=target_noise,
        settled=set().union(*(by_action.get(action, set()) for action in SETTLING)),
        excluded=by_action.get("exclude", set()),
        unsure=by_action.get("unsure", set()),
    )
