"""labelclean review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelclean.commands.options import ForceOption, QuietOption, ReportArg
from labelclean.errors import ConfigError, printable

if TYPE_CHECKING:
    from labelclean.workflows.reviewing import Reviewed


def review_command(
    report: ReportArg,
    images: Annotated[
        Path | None, typer.Option(help="Where the images lie now, if they were moved.")
    ] = None,
    reviewer: Annotated[
        str | None,
        typer.Option(help="Your name, kept beside each decision; default: the user of the system."),
    ] = None,
    port: Annotated[
        int, typer.Option(help="Of 127.0.0.1; 0: that of the last review, or one that is free.")
    ] = 0,
    new_token: Annotated[
        bool, typer.Option("--new-token", help="The address of the last review ends to work.")
    ] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the browser.")] = False,
    export_decisions: Annotated[
        Path | None, typer.Option(help="Write the decisions made so far as CSV, and end.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write the most suspicious images as one page to send, and end."),
    ] = None,
    top: Annotated[int | None, typer.Option(help="Images on that page; default 200.")] = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Look at the suspicious images and decide, in the browser, by keyboard."""
    from labelclean.progress import TerminalReporter
    from labelclean.workflows import reviewing

    if html is not None and export_decisions is not None:
        raise ConfigError("--html and --export-decisions are two tasks: give one of them")
    if top is not None and html is None:
        raise ConfigError("--top is for the page of --html FILE: add that or leave it out")
    if export_decisions is not None:
        count = reviewing.export_decisions(report, export_decisions, force=force)
        typer.echo(f"{_counted(count)} in {printable(export_decisions)}")
        return
    reporter = TerminalReporter(is_quiet=quiet)
    if html is not None:
        count = reviewing.write_review_page(
            report,
            html,
            top=200 if top is None else top,
            images=images,
            force=force,
            reporter=reporter,
        )
        size = html.stat().st_size / 2**20
        typer.echo(f"{count:,} images in {printable(html)} ({size:.1f} MiB)")
        return
    done = reviewing.review_report(
        report,
        images=images,
        reviewer=reviewer,
        port=port,
        new_token=new_token,
        opens_browser=not no_open,
        on_ready=lambda address: _print_address(address, quiet),
        reporter=reporter,
    )
    if not quiet:
        typer.echo(_ending(done), err=True)


def _print_address(address: str, quiet: bool) -> None:
    print(address, flush=True)  # a program that reads it through a pipe must not wait
    if not quiet:
        typer.echo("labelclean: open this address; Ctrl-C ends the review", err=True)


def _ending(done: Reviewed) -> str:
    """Prints what was decided, what is left, and the next commands, as the end of a list does."""
    decided, left = done.counter.decided, round(done.counter.remaining)
    wrong = "less than 1 wrong label" if left < 1 else f"about {left:,} wrong labels"
    if left == 1:
        wrong = "about 1 wrong label"
    width = 3 + max(len(step.title) for step in done.steps)
    return "\n".join(
        [
            f"{_counted(decided)} in {printable(done.decisions)}",
            f"{wrong} expected among the images without one",
            *(f"{step.title + ':':{width}}{printable(step.command)}" for step in done.steps),
        ]
    )


def _counted(count: int) -> str:
    return "1 decision" if count == 1 else f"{count:,} decisions"
