"""The command line: which commands there are, and how errors become exit codes."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from labelclean import __version__, signals
from labelclean.commands import (
    apply_command,
    benchmark_command,
    demo_command,
    evaluate_command,
    export_command,
    features_command,
    filter_command,
    inject_noise_command,
    inspect_command,
    plan_command,
    plot_command,
    predict_command,
    review_command,
    show_command,
    train_command,
)
from labelclean.commands.help_pages import PanelCommand, StepsGroup, help_command, with_help_all
from labelclean.errors import LabelcleanError, printable
from labelclean.signals import Interrupted


class OneLineErrors(StepsGroup):
    """Turns what the user can mend into one line and exit code 2, an interruption into 130."""

    def invoke(self, ctx: Any) -> Any:  # typer may carry its own click: never import click
        try:
            with signals.raised():
                return super().invoke(ctx)
        except LabelcleanError as error:
            if _is_teller(error):
                typer.echo(f"labelclean: {printable(error)}", err=True)
            _give_up_full_output()
            raise typer.Exit(2) from None
        except KeyboardInterrupt as error:
            if _is_first() and not _is_explained():
                _tell_or_leave(f"labelclean: {_interruption(error)}")
            number = error.number if isinstance(error, Interrupted) else signal.SIGINT
            raise typer.Exit(128 + number) from None
        except (OSError, MemoryError) as error:
            problem = _problem_of_the_system(error)
            if problem is None:
                raise
            typer.echo(f"labelclean: {problem}", err=True)
            _give_up_full_output()
            raise typer.Exit(2) from None


def _interruption(error: KeyboardInterrupt) -> str:
    if not isinstance(error, Interrupted):
        return "interrupted"
    by = {"SIGINT": "interrupted", "SIGHUP": "ended by SIGHUP: the terminal was closed"}
    words = by.get(str(error), f"ended by {error}")
    if error.can_resume is None:
        return words
    if error.can_resume:
        return f"{words}; the same command with --resume goes on from the checkpoint"
    return f"{words}; no checkpoint was written yet: start again"


def _problem_of_the_system(error: OSError | MemoryError) -> str | None:
    """A remedy for an error that any code may raise; None: the user has none."""
    if isinstance(error, MemoryError):
        return "there is not enough memory; give fewer images, or a smaller --workers"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "too many open files; raise the limit (ulimit -n), or give a smaller --workers"
    try:
        sys.stdout.flush()
    except OSError as full:
        return f"standard output: cannot be written: {full.strerror}"
    return None


def _give_up_full_output() -> None:
    """Drops what standard output could not take: Python would try again and exit with 120."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_teller(error: LabelcleanError) -> bool:
    """True in the one process that prints an error that several may meet."""
    if not _is_in_team():
        return True
    from labelclean.learning import distributed  # torch: not for a process alone

    return distributed.is_teller(error)


def _tell_or_leave(line: str) -> None:
    """Prints why a signal ended this process, or leaves it to who started several such processes.

    That one knows whether it was asked to end, or ended this process because another one had.
    """
    if (folder := os.environ.get(signals.LAUNCHED)) is not None:
        with suppress(OSError):  # the folder goes with who made it
            (Path(folder) / signals.LAST_WORDS).write_text(line)
    else:
        typer.echo(line, err=True)


def _is_explained() -> bool:
    """Whether another process has reported an error, for which the launcher ends this one."""
    if not _is_in_team():
        return False
    from labelclean.learning import distributed

    return distributed.has_reported()


def _is_in_team() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def _is_first() -> bool:
    """Whether this is the only process, or the first one that torchrun started."""
    return not _is_in_team() or os.environ.get("RANK") == "0"


app = typer.Typer(
    cls=OneLineErrors,
    name="labelclean",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # loading rich alone takes as long as --help may
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"labelclean {__version__}")
        raise typer.Exit


@app.callback()
def root_command(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            is_eager=True,
            callback=_show_version,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Finds the wrong labels of an image data set, and the labels that fit better."""


COMMANDS: dict[str, Callable[..., None]] = {
    "inspect": inspect_command.inspect_command,
    "filter": filter_command.filter_command,
    "evaluate": evaluate_command.evaluate_command,
    "plan": plan_command.plan_command,
    "review": review_command.review_command,
    "show": show_command.show_command,
    "plot": plot_command.plot_command,
    "apply": apply_command.apply_command,
    "export": export_command.export_command,
    "import-decisions": export_command.import_decisions_command,
    "train": train_command.train_command,
    "predict": predict_command.predict_command,
    "features": features_command.features_command,
    "demo": demo_command.demo_command,
    "inject-noise": inject_noise_command.inject_noise_command,
    "benchmark": benchmark_command.benchmark_command,
    "help": help_command,
}
for _name, _command in COMMANDS.items():
    app.command(_name, cls=PanelCommand)(with_help_all(_command))


def main() -> None:
    """The entry point of the command `labelclean`."""
    if _is_in_team():
        signals.ended_at_once(app)
    else:
        app()
