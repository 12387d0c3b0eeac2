"""Options from a file: labelclean.toml, pyproject.toml, or the meta of a report; and into one."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from labelclean import disk
from labelclean.config.train_config import PRESETS, TrainConfig
from labelclean.errors import ConfigError, printable

OWN, PROJECT, TABLE = "labelclean.toml", "pyproject.toml", "labelclean"
NEVER = ("config", "save_config", "help", "help_all", "resume", "force", "dry_run", "undo")


def find_config(folder: Path) -> Path | None:
    """labelclean.toml in the folder, or its pyproject.toml if that has [tool.labelclean]."""
    if (own := folder / OWN).is_file():
        return own
    project = folder / PROJECT
    if project.is_file() and b"tool.labelclean" in project.read_bytes():
        return project
    return None


def read_config(path: Path, command: str, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The options of a command that a file gives, by their names with underscores.

    In TOML the top level holds options for every command that has them, and a table of a command's
    name those for it alone. Of a report's meta file the options are those of its filter.

    path   .toml, or a .meta.json that filter wrote
    known  of each command its options by name, as click's parameters

    Raises ConfigError for a file that cannot be read, and for options that no command has.
    """
    if path.suffix == ".json":
        if command != "filter":
            raise ConfigError(f"{printable(path)}: the options of a report are for filter alone")
        return _of_meta(_read_bytes(path), printable(path), known[command])
    return _options_of(_read_table(path), printable(path), command, known)


def read_every_config(
    path: Path, known: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The same of a TOML file for every command; the file is read once."""
    table = _read_table(path)
    return {command: _options_of(table, printable(path), command, known) for command in known}


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{printable(path)}: cannot be read: {error.strerror}") from None


def _read_table(path: Path) -> dict[str, Any]:
    """The file's table; of pyproject.toml the part that is ours."""
    try:
        table = tomllib.loads(_read_bytes(path).decode())
    except ValueError as error:
        raise ConfigError(f"{printable(path)}: not TOML: {printable(error)}") from None
    if path.name == PROJECT:
        table = table.get("tool", {}).get(TABLE, {})
    return table


def _options_of(
    table: Mapping[str, Any], place: str, command: str, known: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    options = known[command]
    shared = {_name(key): value for key, value in table.items() if not isinstance(value, dict)}
    sections = {key: value for key, value in table.items() if isinstance(value, dict)}
    _check_known(shared, {name for names in known.values() for name in names}, place)
    for section in sections:
        if section not in known:
            raise ConfigError(f"{place}: [{printable(section)}] is no command of labelclean")
    own = {_name(key): value for key, value in sections.get(command, {}).items()}
    _check_known(own, options, f"{place} [{command}]")
    common = {name: value for name, value in shared.items() if name in options}
    return {name: _as_given(value, options[name]) for name, value in {**common, **own}.items()}


def check_can_save(path: Path, command: str, force: bool) -> None:
    """Refuses, before the work, what save_config could not write after it.

    Raises ConfigError if the file is no TOML, or has options of the command and not `force`;
    OutputError if it cannot be written.
    """
    document = _read_document(path)
    disk.check(path, force=True, flag="--save-config")
    table: Any = document
    for key in _keys(path, command):
        table = table.get(key, {})
    if table and not force:
        raise ConfigError(
            f"{printable(path)} has options of {command} already; --force replaces them"
        )


def save_config(path: Path, command: str, given: Mapping[str, Any]) -> None:
    """Writes the options into the table of the command; what else the file holds stays.

    Raises ConfigError or OutputError as check_can_save.
    """
    import tomlkit

    document = _read_document(path)
    table: Any = document
    *parents, last = _keys(path, command)
    for key in parents:
        table = table.setdefault(key, tomlkit.table(is_super_table=True))
    table[last] = tomlkit.table()
    for name, value in given.items():
        table[last][name.replace("_", "-")] = _as_toml(value)
    disk.write_files({path: tomlkit.dumps(document).encode()})


def _keys(path: Path, command: str) -> tuple[str, ...]:
    return ("tool", TABLE, command) if path.name == PROJECT else (command,)


def _read_document(path: Path) -> Any:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(path.read_text()) if path.exists() else tomlkit.document()
    except (TOMLKitError, ValueError) as error:
        raise ConfigError(f"{printable(path)}: not TOML: {printable(error)}") from None
    except OSError as error:
        raise ConfigError(f"{printable(path)}: cannot be read: {error.strerror}") from None


def _of_meta(data: bytes, place: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options by which filter wrote a report: what is not the nearest preset's, or a default.

    The number of epochs is left out where minutes decided it.
    """
    try:
        meta = json.loads(data)
        config = meta["config"]
        drops = tuple(config["train"].get("lr_drops", ()))  # with --from-model most is left out
        train = TrainConfig(**{**config["train"], "lr_drops": drops})
        rest = [config[name] for name in ("verdict", "runtime", "view")]
        given = {name: value for part in rest for name, value in part.items()}
        given |= {name: config.get(name) for name in ("self_test", "from_model", "decisions")}
        given |= {name: value for name, value in meta["source"].items() if value is not None}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigError(f"{place}: not the meta file of a report by filter") from None
    if given.get("from_model") is None:
        name = min(PRESETS, key=lambda each: len(_changes(PRESETS[each], train)))
        given |= {"preset": name, **_changes(PRESETS[name], train)}
    if given.get("minutes") is not None:
        given.pop("epochs", None)
    given["seed"] = train.seed
    if isinstance(given.get("ignore"), str):
        given["ignore"] = given["ignore"].split("\n")
    return {
        name: _as_given(value, options[name])
        for name, value in given.items()
        if name in options and name not in (*NEVER, "run_dir") and value != options[name].default
    }


def _changes(base: TrainConfig, other: TrainConfig) -> dict[str, Any]:
    same = replace(base, seed=other.seed)
    return {
        each.name: getattr(other, each.name)
        for each in fields(TrainConfig)
        if getattr(same, each.name) != getattr(other, each.name)
    }


def _check_known(given: Iterable[str], known: Iterable[str], place: str) -> None:
    names = set(known) - set(NEVER)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, sorted(names), 1)
            hint = f"; did you mean {near[0].replace('_', '-')}?" if near else ""
            shown = printable(name.replace("_", "-"))
            raise ConfigError(f"{place}: {shown} is no option{hint}")


def _name(key: str) -> str:
    return key.replace("-", "_")


def _as_given(value: Any, option: Any) -> Any:
    """The value as the command line gives it: lists of names or shares are text with commas."""
    if isinstance(value, list | tuple) and not option.multiple:
        return ",".join(map(str, value)) or None
    return value


def _as_toml(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
