"""The help pages: options in panels, the seldom ones behind --help-all, commands by the work."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from labelclean.commands import config_file
from labelclean.errors import ConfigError, printable

LONG = 20  # options of a command above which --help shows only those that are needed often
HELP_FLAGS = ("-h", "--help", "--help-all")
ALL = "labelclean.help_all"  # key in a context: whether every option is shown

# The order of work, by the names of the commands.
STEPS = {
    "Find wrong labels": ("inspect", "filter", "evaluate", "plan"),
    "Look and decide": ("review", "show", "plot"),
    "Use what was decided": ("apply", "export", "import-decisions"),
    "Train on the labels": ("train", "predict"),
    "Many images, many machines": ("features",),
    "Try it with known wrong labels": ("demo", "inject-noise", "benchmark"),
    "Help": ("help",),
}
EXAMPLE = (
    "labelclean demo clothes",
    "labelclean filter clothes/images clothes/labels.csv --out report.csv",
    "labelclean review report.csv",
    "labelclean apply report.csv --out clean.csv",
)

# Panels by the names of the options; the rest of a command is its training.
PANELS = {
    "Input": (
        *("report", "images", "decisions", "image_col", "label_col", "split", "split_col"),
        *("one_hot", "class_level", "ignore", "encoding", "merge_labels", "multi_label", "root"),
        *(
            "config",
            "bit_depth",
            "download",
            "test",
            "test_labels",
            "test_split",
            "allow_overlap",
            "data",
        ),
    ),
    "Noise": (
        *("symm", "asymm", "mapping", "human", "human_col", "instance", "bernoulli", "noise"),
    ),
    "Views": (
        *("views", "backbone", "from_scratch", "finetune", "features", "mirror", "view_scores"),
    ),
    "Verdict": (
        *("from_model", "budget", "target_precision", "threshold", "gamma", "self_test"),
        *("fail_over", "above", "undecided", "truth", "target_noise"),
    ),
    "Output": (
        *("out", "export", "license", "run_dir", "html", "top", "export_decisions", "figures"),
        *("link", "dry_run", "undo", "plots", "to", "limit", "force", "as_json", "quiet"),
        "save_config",
    ),
    "Machine": (
        *("preset", "minutes", "device", "gpus", "precision", "compile", "workers", "image_size"),
        *(
            "shard",
            "cache_dir",
            "cache_limit",
            "resume",
            "seed",
            "seeds",
            "jobs",
            "port",
            "no_open",
        ),
    ),
}
TRAINING, METHODS, HELP = "Training", "Methods", "Help"
OF_METHODS = (
    *("method", "methods", "complementary", "start", "ramp", "nl_scale", "pl_weight", "pl_start"),
    *("class_weights", "noise_rate", "scheme", "compare"),
)

# The options in --help of a command with more than LONG options.
OFTEN = {
    "filter": (
        *("image_col", "label_col", "split", "backbone", "budget", "target_precision", "dry_run"),
        *("fail_over", "out", "force", "as_json", "preset", "minutes", "device", "resume"),
    ),
    "features": (
        *("image_col", "label_col", "split", "backbone", "out", "shard", "force", "as_json"),
        *("device", "workers"),
    ),
    "train": (
        *("report", "decisions", "test", "test_labels", "out", "export", "force", "as_json"),
        *("preset", "minutes", "device", "resume", "scheme", "backbone", "from_scratch"),
        "finetune",
    ),
    "inject-noise": (
        *("symm", "asymm", "mapping", "human", "instance", "image_col", "label_col", "images"),
        *("out", "force", "as_json", "seed"),
    ),
    "benchmark": (
        *("root", "methods", "noise", "seeds", "out", "figures", "preset", "epochs", "device"),
        *("as_json",),
    ),
}


class PanelCommand(TyperCommand):
    """A command whose --help puts the options into panels, and that names those of a file."""

    def invoke(self, ctx: Any) -> Any:
        names = [name for name in ctx.params if _source(ctx, name) == "DEFAULT_MAP"]
        if names and not ctx.params.get("quiet") and os.environ.get("RANK", "0") == "0":
            path = ctx.params.get("config") or config_file.find_config(Path())
            flags = ", ".join(name.replace("_", "-") for name in names)
            typer.echo(f"labelclean: from {printable(path)}: {flags}", err=True)
        return super().invoke(ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """IMAGES and not {images}: every command names what it needs alike."""
        return [piece.strip("{}").upper() for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        names = ("Arguments", "Options", *PANELS, METHODS, TRAINING, HELP)
        shown: dict[str, list[tuple[str, str]]] = {name: [] for name in names}
        hidden = 0
        has_panels = is_long(self.params)
        is_short = has_panels and not ctx.meta.get(ALL)
        often = OFTEN.get(self.name or "", ())
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            panel = panel_of(param.name) if has_panels else "Options"
            if param.param_type_name == "argument":
                panel = "Arguments"
            if is_short and panel not in ("Arguments", HELP) and param.name not in often:
                hidden += 1
            else:
                shown[panel].append(record)
        for panel, records in shown.items():
            if records:
                with formatter.section(panel):
                    formatter.write_dl(records)
        if hidden:
            formatter.write_paragraph()
            formatter.write_text(f"{hidden} more options: labelclean {self.name} --help-all")


class StepsGroup(TyperGroup):
    """The program, whose --help lists the commands in the order of the work, with an example."""

    def invoke(self, ctx: Any) -> Any:
        path = config_file.find_config(Path())
        if path is not None:
            ctx.default_map = config_file.read_every_config(path, options_by_name(self))
        return super().invoke(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # Typer would load pydantic to read the options of the program, for half of the time.
        if len(args) == 2 and args[0] in self.commands and args[1] in HELP_FLAGS:
            typer.echo(_help_of(ctx, args[0], shows_all=args[1] == "--help-all"))
            raise typer.Exit
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        for title, names in STEPS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(f"{name:{width}}", _whole(self.commands[name].help)) for name in names]
                )

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("An example, offline and in minutes"):
            for line in EXAMPLE:
                formatter.write(f"  {line}\n")
        formatter.write_paragraph()
        formatter.write_text("The options of a command: labelclean help COMMAND")


def _whole(help_text: str | None) -> str:
    """The first paragraph of a docstring, uncut."""
    return " ".join((help_text or "").split("\n\n")[0].split()).rstrip(".")


def panel_of(name: str | None) -> str:
    if name in ("help", "help_all"):
        return HELP
    if name in OF_METHODS:
        return METHODS
    return next((panel for panel, names in PANELS.items() if name in names), TRAINING)


def is_long(params: Sequence[Any]) -> bool:
    return len([param for param in params if param.param_type_name == "option"]) > LONG


def with_help_all(command: Callable[..., None]) -> Callable[..., None]:
    """A command with more options than --help shows, with --help-all, --config, --save-config."""
    signature = inspect.signature(command, eval_str=True)
    if len(signature.parameters) <= LONG:
        return command

    @functools.wraps(command)
    def run(ctx: typer.Context, help_all: bool, config: Path | None, **options: Any) -> None:
        save_as = options.pop("save_config")
        if save_as is not None:
            is_forced = bool(ctx.params.get("force"))
            config_file.check_can_save(save_as, ctx.info_name or "", is_forced)
        try:
            command(**options)
        except typer.Exit:
            _save(save_as, ctx)
            raise
        _save(save_as, ctx)

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("ctx", kind, annotation=typer.Context),
        *signature.parameters.values(),
        inspect.Parameter("config", kind, default=None, annotation=_ConfigOption),
        inspect.Parameter("save_config", kind, default=None, annotation=_SaveConfigOption),
        inspect.Parameter("help_all", kind, default=False, annotation=_HelpAllOption),
    ]
    run.__dict__["__signature__"] = signature.replace(
        parameters=[each.replace(kind=kind) for each in parameters]
    )
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _show_all(ctx: typer.Context, is_asked: bool) -> None:
    if is_asked:
        ctx.meta[ALL] = True
        typer.echo(ctx.get_help())
        raise typer.Exit


def options_by_name(group: Any) -> dict[str, dict[str, Any]]:
    """The options of each command of the program, by their names."""
    return {
        name: {each.name: each for each in command.params if each.param_type_name == "option"}
        for name, command in group.commands.items()
    }


def use_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """Lets the options of a file stand in for those that are not given."""
    if path is not None and ctx.parent is not None:
        known = options_by_name(ctx.parent.command)
        ctx.default_map = config_file.read_config(path, ctx.info_name or "", known)
    return path


def given_options(ctx: typer.Context) -> dict[str, Any]:
    """The options that the command line or a file gives, and are worth keeping, by their names."""
    return {
        each.name: ctx.params[each.name]
        for each in ctx.command.params
        if each.param_type_name == "option"
        and each.name is not None
        and each.name not in config_file.NEVER
        and _source(ctx, each.name) != "DEFAULT"
        and ctx.params.get(each.name) is not None
    }


def _source(ctx: typer.Context, name: str) -> str:
    source = ctx.get_parameter_source(name)
    return "DEFAULT" if source is None else source.name


def _save(path: Path | None, ctx: typer.Context) -> None:
    if path is not None:
        config_file.save_config(path, ctx.info_name or "", given_options(ctx))
        typer.echo(f"labelclean: options in {printable(path)}", err=True)


_ConfigOption = Annotated[
    Path | None,
    typer.Option(
        is_eager=True,
        callback=use_config,
        help="Options from a TOML file, or from the .meta.json of a report; the command line wins. "
        "Without it labelclean.toml or [tool.labelclean] in pyproject.toml, if the folder has one.",
    ),
]
_SaveConfigOption = Annotated[
    Path | None,
    typer.Option(help="Write the options given into this TOML file, at the end."),
]
_HelpAllOption = Annotated[
    bool,
    typer.Option(
        "--help-all",
        is_eager=True,
        callback=_show_all,
        help="Show every option, also those of training and methods, and exit.",
    ),
]


def help_command(
    ctx: typer.Context,
    command: Annotated[str | None, typer.Argument(help="Name of a command.")] = None,
) -> None:
    """Show the help of a command, with all its options, or of the program."""
    program = ctx.parent
    assert program is not None  # of a command there always is one
    if command is None:
        typer.echo(program.get_help())
        return
    group: Any = program.command
    if command not in group.commands:
        names = ", ".join(group.commands)
        raise ConfigError(f"no command '{printable(command)}'; there are {names}")
    typer.echo(_help_of(program, command, shows_all=True))


def _help_of(program: Any, command: str, shows_all: bool) -> str:
    """The help of a command of the program, whose context this is."""
    inner = type(program)(program.command.commands[command], info_name=command, parent=program)
    inner.meta[ALL] = shows_all or None
    text: str = inner.get_help()
    return text
