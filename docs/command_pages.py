"""Writes the reference of the commands from the commands themselves: every option, in its panel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from typer.main import get_command

from labelclean.cli import app
from labelclean.commands.help_pages import HELP, METHODS, PANELS, STEPS, TRAINING, panel_of

MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\*`|_"})


def write_commands(path: Path) -> None:
    """reStructuredText with a section for each command, in the order of the work."""
    program: Any = get_command(app)
    parts = [_heading("Commands", "=")]
    parts.append("``labelclean COMMAND --help-all`` shows the same in the terminal.\n")
    for step, names in STEPS.items():
        parts.append(_heading(step, "-"))
        parts += [_command(name, program.commands[name]) for name in names]
    path.parent.mkdir(exist_ok=True)
    text = "\n".join(parts)
    if not path.exists() or path.read_text() != text:  # an unchanged page is not built again
        path.write_text(text)


def _command(name: str, command: Any) -> str:
    context = command.context_class(command, info_name=f"labelclean {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [_heading(name, "~"), f"``labelclean {name} {usage}``\n"]
    lines.append((command.help or "").translate(MARKS) + "\n")
    order = ("Arguments", *PANELS, METHODS, TRAINING, HELP)
    panels: dict[str, list[str]] = {panel: [] for panel in order}
    for param in command.params:
        record = param.get_help_record(context)
        if record is None:
            continue
        is_argument = param.param_type_name == "argument"
        panel = "Arguments" if is_argument else panel_of(param.name)
        words = " ".join(record[1].split()).translate(MARKS)
        panels[panel].append(f"``{record[0]}``\n    {words}\n")
    for panel, options in panels.items():
        lines += [f"*{panel}*\n", *options] if options else []
    return "\n".join(lines)


def _heading(text: str, mark: str) -> str:
    return f"{text}\n{mark * len(text)}\n"


if __name__ == "__main__":
    write_commands(Path(sys.argv[1]))
