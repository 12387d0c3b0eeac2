"""The rooms of the house: which may import which, and what happens at import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from labelclean.learning import backbones

PACKAGE = Path(__file__).parent.parent / "labelclean"
ALLOWED = {
    "errors": set(),
    "disk": {"errors"},
    "opening": set(),
    "signals": set(),
    "schema": {"errors"},
    "text": set(),
    "xml_files": {"errors"},
    "config": {"errors"},
    "progress": {"errors"},
    "predictions": set(),
    "data": {"config", "errors"},
    "tables": {"data", "errors"},
    "sources": {"tables", "data", "xml_files", "config", "errors"},
    "learning": {"data", "predictions", "config", "errors"},
    "judging": {"data", "predictions", "config", "errors"},
    "report": {"sources", "tables", "data", "predictions", "config", "errors"},
    "decisions": {"report", "tables", "schema", "errors"},
    "apply": {"decisions", "report", "sources", "tables", "data", "config", "errors"},
    "exports": {"report", "sources", "tables", "data", "xml_files", "errors"},
    "review": {"decisions", "report", "data", "errors"},
    "workflows": {
        "review",
        "exports",
        "apply",
        "decisions",
        "judging",
        "report",
        "learning",
        "sources",
        "tables",
        "data",
        "predictions",
        "progress",
        "config",
        "errors",
    },
    "benchmark": {
        "workflows",
        "judging",
        "report",
        "learning",
        "sources",
        "data",
        "progress",
        "config",
        "errors",
    },
    "commands": {
        "benchmark",
        "workflows",
        "report",
        "sources",
        "data",
        "progress",
        "config",
        "errors",
    },
    "cli": {"commands", "learning", "errors"},  # of learning: who of a team tells an error
    "__main__": {"cli"},
    "__init__": {"workflows", "report", "progress", "config", "errors"},
}


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "labelclean" and len(parts) > 1 and parts[1] != "__version__":
                rooms.add(parts[1])
    return rooms


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_point_one_way(path: Path):
    room = _room(path)
    assert _imported_rooms(path) <= ALLOWED[room] | {room} | (
        {"disk", "opening", "schema", "signals", "text"} if "errors" in ALLOWED[room] else set()
    )


def test_help_loads_neither_torch_nor_pandas_nor_rich():
    code = (
        "import sys; from labelclean.cli import app; app(['--help'], standalone_mode=False); "
        "print([m for m in ('torch', 'pandas', 'rich', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "filter" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def _third_party_modules() -> set[str]:
    """The top-level modules that labelclean imports, or reads data of, and does not own."""
    found = {backbones._PACKAGE}  # its weights are read, it is not imported
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
            elif isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
    return found - sys.stdlib_module_names - {"labelclean"}


def test_what_is_imported_is_a_dependency_or_an_extra():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    extras = [one for name, its in project["optional-dependencies"].items() for one in its]
    declared = {
        re.split(r"[<>=!~\[; ]", one)[0].lower().replace("_", "-")
        for one in (*project["dependencies"], *extras)
    }
    owners = packages_distributions()
    missing = {
        module
        for module in _third_party_modules()
        if not declared & {name.lower().replace("_", "-") for name in owners.get(module, [module])}
    }
    assert missing == set()


def test_the_lock_has_the_versions_of_the_constraints_each_with_hashes():
    root = PACKAGE.parent
    lines = (root / "constraints.txt").read_text().splitlines()
    pins = {line.lower().replace("_", "-") for line in lines if "==" in line}
    text = (root / ".ci" / "requirements.lock").read_text()
    locked = re.findall(
        r"^(\S+==\S+)((?: .*)?\\\n(?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.M
    )
    assert pins <= {pin for pin, _ in locked}, "python .ci/lock.py writes it anew"
    others = {pin for pin, rest in locked if "sys_platform" not in rest} - pins
    assert not others


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.name)
def test_docstrings_begin_with_their_subject(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text = ast.get_docstring(node) or "."
            assert text.split()[0] not in ("That", "Those", "Of", "What"), text.split("\n")[0]
