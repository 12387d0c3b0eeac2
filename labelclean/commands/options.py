"""Options that commands share, and options made from the fields of a config."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from labelclean.errors import ConfigError

SourceArg = Annotated[
    str,
    typer.Argument(
        metavar="IMAGES",
        help="Folder or archive of images, table of paths and labels, Parquet file, 'part-*.tar', "
        "a URL, cifar10 or cifar100.",
    ),
]
LabelsArg = Annotated[
    Path | None,
    typer.Argument(
        metavar="LABELS",
        help="Table of labels (CSV, TSV, JSONL, Parquet, ...); not for class folders.",
    ),
]
ReportArg = Annotated[Path, typer.Argument(help="Report that filter wrote.")]
OutOption = Annotated[
    str, typer.Option(help="Report to write: .csv, .parquet or .jsonl; - for CSV on stdout.")
]
MovedImagesOption = Annotated[Path | None, typer.Option(help="Where the images lie now.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print figures as JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress and no notes.")]
SeedOption = Annotated[int, typer.Option(help="Same seed, same machine: same result.")]

GpusOption = Annotated[
    int | None,
    typer.Option(help="Train on so many GPUs of this machine; on several machines: torchrun."),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        help="quick (default on a CPU), standard (default on a GPU), paper, clothing1m; the "
        "options of a training replace single numbers of it."
    ),
]


@dataclass(frozen=True, kw_only=True)
class OptionsOf:
    """Which described fields of a config a command has as options.

    config     a dataclass whose fields are made by config.described.option
    only, but  names of the fields: only these; all but these
    is_preset  a preset gives the defaults: an option that is not given is None
    helps      other words than the config's, by name
    """

    config: type[Any]
    only: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    is_preset: bool = False
    helps: Mapping[str, str] = field(default_factory=dict)

    def parameters(self) -> Iterable[inspect.Parameter]:
        types = typing.get_type_hints(self.config)
        for each in self.config.__dataclass_fields__.values():
            is_asked = each.name in self.only if self.only else each.name not in self.but
            if is_asked and each.metadata:
                yield self._parameter(each, types[each.name])

    def _parameter(self, each: Field[Any], kind: Any) -> inspect.Parameter:
        flag = f"--{each.name.replace('_', '-')}"
        default = None if self.is_preset else each.default
        how: dict[str, Any] = dict(each.metadata["others"])
        if each.metadata["is_repeated"]:
            kind, default = list[str], default or None
        elif kind is bool and not self.is_preset:
            how["param_decls"] = (flag,)  # no --no-...: it is off
        elif (is_share := each.metadata["is_share"]) or "tuple" in str(kind):
            has_many = "tuple" in str(kind)
            read: Any = (shares if has_many else share) if is_share else _words
            how |= {"parser": _parser(read, flag), "metavar": "SHARES" if has_many else "SHARE"}
            how["metavar"] = how["metavar"] if is_share else "NAMES"
            if is_share and default is not None:
                how["show_default"] = f"{default:.0%}"
            kind = str
        if default is None:
            kind = typing.Optional[kind]  # noqa: UP045 (kind is a value)
        declared = typer.Option(
            *how.pop("param_decls", ()),
            help=self.helps.get(each.name, each.metadata["help"]),
            **how,
        )
        return inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[kind, declared],
        )


def with_options(*parts: OptionsOf) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command, in place of its **options, those of the configs that it has not itself."""

    def widened(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        own = {name: each for name, each in signature.parameters.items() if name != "options"}
        made: dict[str, inspect.Parameter] = {}
        for part in parts:
            for each in part.parameters():
                if each.name not in own:
                    made.setdefault(each.name, each)
        every = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own.values()]
        every += made.values()
        command.__dict__["__signature__"] = signature.replace(parameters=every)
        command.__annotations__ = {each.name: each.annotation for each in every}
        return command

    return widened


def _parser(read: Callable[[str, str], Any], flag: str) -> Callable[[Any], Any]:
    return lambda value: read(flag, value) if isinstance(value, str) else value


def _words(flag: str, text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def fields_in(config: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a command that are fields of a config, by their names."""
    return {name: given[name] for name in config.__dataclass_fields__ if name in given}


def share(flag: str, text: str) -> float:
    """ "5%" or "0.05" as 0.05."""
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise ConfigError(f"{flag} is {text}, must be a share such as 5% or 0.05") from None


def shares(flag: str, text: str) -> tuple[float, ...]:
    return tuple(share(flag, part.strip()) for part in text.split(",") if part.strip())


def check_used(given: Mapping[str, Any], schedule: str) -> None:
    """Raises ConfigError for an option of a training that others leave without effect.

    given     the options of a command
    schedule  of the learning rate, from the options and the preset
    """
    if given["minutes"] is not None and given["epochs"] is not None:
        raise ConfigError("--minutes sets the number of epochs: leave --epochs or it out")
    of_schedule = {"lr_drops": "steps", "warmup": "one-cycle"}
    for name, needed in of_schedule.items():
        if given[name] is not None and schedule != needed:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(
                f"{flag} is of --schedule {needed}, and it is {schedule}: leave {flag} out, or "
                f"give --schedule {needed}"
            )
