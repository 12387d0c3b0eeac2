"""Sphinx: `make docs` builds docs/ into docs/_build, strictly and without the network."""

from __future__ import annotations

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))

from command_pages import MARKS, write_commands  # noqa: E402

from labelclean import __version__  # noqa: E402

project = "labelclean"
copyright = "the labelclean authors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "command_pages.py"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
copybutton_prompt_text = "$ "
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
# Names in signatures are those of numpy, pandas and torch, whose pages would need the network.
nitpicky = False
smartquotes = False
html_theme = "furo"
html_title = "labelclean"
html_static_path: list[str] = []
# The change log and the notes for contributors link to files of the repository.
suppress_warnings = ["myst.xref_missing"]

_NAMES = re.compile(r"([a-z_][\w]*(?:, [a-z_]\w*)*) {2,}(\S.*)")

write_commands(FOLDER / "reference" / "commands.rst")


def _as_written(
    app: object, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Docstrings here are plain text: what names mean, in columns, becomes a list."""
    written: list[str] = []
    for line in lines:
        text = line.strip().translate(MARKS)
        names = _NAMES.match(line)
        if names is not None:  # name  what it is: a definition
            written += ["", f"``{names[1]}``", f"    {names[2].translate(MARKS)}"]
        elif written and written[-1].startswith("    ") and line.startswith("  "):
            written.append(f"    {text}")
        else:
            if written and written[-1].startswith("    ") and text:
                written.append("")
            written.append(text)
    lines[:] = written


def setup(app: object) -> None:
    app.connect("autodoc-process-docstring", _as_written)  # type: ignore[attr-defined]
