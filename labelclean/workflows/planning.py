"""plan_review: how far looking at more images gets, with what was decided so far."""

from __future__ import annotations

from pathlib import Path

from labelclean.decisions.book import DecisionBook
from labelclean.errors import ConfigError
from labelclean.report.report import Report
from labelclean.report.review_plan import Plan, make_plan


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
    read = Report.read(report)
    book = DecisionBook.of(read, Path(report), decisions)
    return make_plan(
        read,
        budget=budget,
        target_noise=target_noise,
        settled=book.settled,
        excluded=book.of_action("exclude"),
        unsure=book.of_action("unsure"),
    )
