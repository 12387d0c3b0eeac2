"""labelclean plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from labelclean.commands.options import JsonOption, ReportArg, share


def plan_command(
    report: ReportArg,
    budget: Annotated[int | None, typer.Option(help="Images that you can look at.")] = None,
    target_noise: Annotated[
        str | None, typer.Option(help="Share of wrong labels to come down to: 1%.")
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option(help="Decisions made so far; default: those beside the report."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say how many images to look at for how few wrong labels, the most suspicious first."""
    from labelclean.report.review_plan import plan_text
    from labelclean.workflows.planning import plan_review

    plan = plan_review(
        report,
        budget=budget,
        target_noise=None if target_noise is None else share("--target-noise", target_noise),
        decisions=decisions,
    )
    typer.echo(json.dumps(plan.to_json()) if as_json else plan_text(plan))
