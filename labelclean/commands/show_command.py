"""labelclean show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from labelclean.commands.options import JsonOption, MovedImagesOption, ReportArg, share

if TYPE_CHECKING:
    from rich.console import Console

    from labelclean.workflows.showing import Shown

SIDE = 20  # px, and columns, of a thumbnail: ten lines
NO_TABLE_LIMIT = 10_000  # columns: what is read by programs is not folded


def show_command(
    report: ReportArg,
    given: Annotated[
        list[str] | None, typer.Option("--class", help="Given label; may be repeated.")
    ] = None,
    suggested: Annotated[
        list[str] | None, typer.Option(help="Suggested label; may be repeated.")
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(help="ok, unreadable, missing, unlabelled, duplicate_of; may be repeated."),
    ] = None,
    only_issues: Annotated[
        bool | None,
        typer.Option(
            "--issues/--all",
            help="Only what looks wrong, or every row. Default: issues, but all with --status, "
            "--min-probability or --search.",
        ),
    ] = None,
    min_probability: Annotated[
        str | None, typer.Option(help="Least probability of a wrong label: 0.9 or 90%.")
    ] = None,
    search: Annotated[str | None, typer.Option(help="Text in the image's name.")] = None,
    sort: Annotated[
        str, typer.Option(help="suspicion, image, given, suggested, margin or row.")
    ] = "suspicion",
    limit: Annotated[int, typer.Option(help="Rows at most.")] = 20,
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails", help="Draw small images in the terminal.")
    ] = False,
    opens: Annotated[
        bool, typer.Option("--open", help="Open the images of the rows in the system's viewer.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Open more than 20.")] = False,
    images: MovedImagesOption = None,
    as_json: JsonOption = False,
) -> None:
    """List rows of a report, the most suspicious first."""
    from rich.console import Console

    from labelclean.report.listing import rows_json
    from labelclean.report.selection import Selection
    from labelclean.workflows.showing import show_rows

    console = Console(highlight=False)
    obstacle = _obstacle(console) if thumbnails and not as_json else None
    selection = Selection(
        given=tuple(given or ()),
        suggested=tuple(suggested or ()),
        statuses=tuple(status or ()),
        only_issues=only_issues,
        min_probability=None
        if min_probability is None
        else share("--min-probability", min_probability),
        text=search,
        order=sort,
    )
    shown = show_rows(
        report,
        selection,
        limit=limit,
        thumbnail_side=SIDE if thumbnails and not as_json and obstacle is None else None,
        opens=opens,
        force=force,
        images=images,
    )
    if as_json:
        rows = rows_json(shown.report, shown.rows)
        typer.echo(json.dumps({"selected": shown.selected, "rows": rows}))
    else:
        if obstacle is not None:
            typer.echo(f"labelclean: shown without thumbnails: {obstacle}", err=True)
        _print(shown, console, with_thumbnails=thumbnails and obstacle is None)
    if shown.opened is not None:
        _tell_opened(shown)


def _obstacle(console: Console) -> str | None:
    """Why no image can be drawn; None where one can."""
    if not console.is_terminal:
        return "standard output is no terminal (FORCE_COLOR=1 draws them nevertheless)"
    if console.no_color or console.color_system is None:
        return "this terminal shows no colours (NO_COLOR, or TERM is dumb)"
    if console.options.ascii_only:
        return f"standard output takes no block characters in {console.encoding}"
    return None


def _print(shown: Shown, console: Console, *, with_thumbnails: bool) -> None:
    from io import StringIO

    from rich.console import Console

    from labelclean.report.listing import rows_table

    table = rows_table(shown.report, shown.rows, shown.thumbnails if with_thumbnails else None)
    if console.is_terminal:
        console.print(table)
    else:
        out = StringIO()
        Console(file=out, width=NO_TABLE_LIMIT, color_system=None).print(table)
        typer.echo("".join(line.rstrip() + "\n" for line in out.getvalue().splitlines()), nl=False)
    more = shown.selected - len(shown.rows)
    if more or not shown.rows:
        words = f"{more:,} more; --limit shows them" if more else "no row is so"
        typer.echo(f"labelclean: {words}", err=True)


def _tell_opened(shown: Shown) -> None:
    opened = shown.opened
    if opened is None:
        return
    of_all = f"{opened.opened} of {opened.opened + opened.unreadable} images"
    reason = ", the others cannot be read" if opened.unreadable else ""
    typer.echo(f"labelclean: opened {of_all}{reason}; copies are in {opened.folder}", err=True)
