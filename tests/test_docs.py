"""The documentation says what the program does: options, columns, presets, changes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelclean.cli import app
from labelclean.config import PRESETS
from labelclean.report.report import COLUMNS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
COMMANDS = (
    *("demo", "filter", "evaluate", "review", "plan", "show", "plot", "apply"),
    *("export", "import-decisions", "train", "predict", "inject-noise", "benchmark"),
)


FORMER = {"--freeze-backbone"}  # in entries on what was fixed before it went


def _options() -> set[str]:
    found: set[str] = set()
    for command in COMMANDS:
        text = CliRunner().invoke(app, [command, "--help-all"]).stdout
        found |= set(re.findall(r"(?<!\w)--[a-z][a-z-]+", text))
    return found


@pytest.mark.parametrize("text", [README, CHANGELOG], ids=["README", "CHANGELOG"])
def test_every_option_that_is_written_of_exists(text: str):
    of_others = {"--help", "--help-all", "--install-completion", "--nproc-per-node"}
    # What a line says is gone need not be there.
    told = "\n".join(line for line in text.splitlines() if " is gone" not in line)
    if text is CHANGELOG:
        of_others |= FORMER
    written = set(re.findall(r"(?<!\w)--[a-z][a-z-]+", told))
    assert written - of_others <= _options()


def test_what_contributing_points_at_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"\]\(([^)]+)\)|`((?:labelclean|tests|examples)/[\w/.]+)`", text)
    rooms = re.findall(r"`([a-z_]+(?:/|\.py))`", text.split("## An input")[0])
    for path in [*(a or b for a, b in paths), *(f"labelclean/{room}" for room in rooms)]:
        assert (ROOT / path).exists(), path
    targets = re.findall(r"^    make (\w+)|`make ([a-z-]+)`", text, flags=re.MULTILINE)
    for target in (a or b for a, b in targets):
        assert f"\n{target}:" in (ROOT / "Makefile").read_text(), target


def test_every_command_is_in_the_readme():
    for command in COMMANDS:
        assert f"labelclean {command}" in README


def test_the_readme_names_the_columns_of_the_report():
    table = README.split("## The report")[1].split("\n\n")[2]
    first_cells = [row.split("|")[1] for row in table.split("\n")[2:]]
    named = re.findall(r"`([a-z_]+)`", "\n".join(first_cells))
    assert sorted(named) == sorted(COLUMNS)


def test_the_readme_names_the_presets():
    assert all(f"`{name}`" in README for name in PRESETS)


def test_the_changelog_begins_with_what_is_unreleased():
    assert re.search(r"^## Unreleased\n\n### Added\n\n- ", CHANGELOG, flags=re.MULTILINE)


def test_no_path_of_a_machine_and_no_large_file_is_in_the_project():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    if not listed:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        assert path.stat().st_size < 1_000_000, name
        if path.suffix in (".py", ".md", ".toml", ".txt", ".csv", ""):
            assert not re.search(r"/(work|root|home)/\w", path.read_text()), name
