"""The documentation says what the program does: options, columns, presets, changes."""

from __future__ import annotations

import functools
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelclean.cli import app
from labelclean.config import PRESETS
from labelclean.report.report import COLUMNS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md"]
README = (ROOT / "README.md").read_text()
DOCS = {page.stem: page.read_text() for page in PAGES}
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
COMMANDS = (
    *("demo", "filter", "evaluate", "review", "plan", "show", "plot", "apply"),
    *("export", "import-decisions", "train", "predict", "inject-noise", "benchmark"),
    "features",
)


FORMER = {"--freeze-backbone"}  # in entries on what was fixed before it went


@functools.cache
def _options() -> set[str]:
    found: set[str] = set()
    for command in COMMANDS:
        text = CliRunner().invoke(app, [command, "--help-all"]).stdout
        found |= set(re.findall(r"(?<!\w)--[a-z][a-z-]+", text))
    return found


@pytest.mark.parametrize("text", [*DOCS.values(), CHANGELOG], ids=[*DOCS, "CHANGELOG"])
def test_every_option_that_is_written_of_exists(text: str):
    of_others = {"--help", "--help-all", "--install-completion", "--nproc-per-node", "--nnodes"}
    of_others |= {"--rdzv-backend", "--rdzv-endpoint", "--nodes", "--ntasks-per-node", "--rm"}
    of_others |= {"--gpus-per-node", "--cpus-per-task", "--network", "--constraint", "--no-deps"}
    of_others |= {"--require-hashes", "--requirement", "--array"}
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


def test_contributing_says_where_things_are():
    rows = re.findall(r"\| `(labelclean/[\w/.]+)`: `([^`]+)` \|", DOCS["CONTRIBUTING"])
    assert len(rows) > 9
    for path, what in rows:
        assert what in (ROOT / path).read_text(), (path, what)


def test_every_command_is_in_the_docs():
    text = "\n".join(DOCS.values())
    for command in COMMANDS:
        assert f"labelclean {command}" in text


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 80


def test_the_docs_name_the_columns_of_the_report():
    table = DOCS["report"].split("\n\n")[2]
    first_cells = [row.split("|")[1] for row in table.split("\n")[2:]]
    named = re.findall(r"`([a-z_]+)`", "\n".join(first_cells))
    assert sorted(named) == sorted(COLUMNS)


def test_the_docs_name_the_presets():
    assert all(f"`{name}`" in DOCS["large"] for name in PRESETS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files_and_headings_that_are_there(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", path.read_text(), flags=re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", x).lower().replace(" ", "-") for x in titles]


def test_the_reference_of_the_commands_is_of_these_commands(tmp_path: Path):
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "command_pages.py")
    assert spec is not None and spec.loader is not None
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    pages.write_commands(tmp_path / "commands.rst")
    written = (ROOT / "docs" / "reference" / "commands.rst").read_text()
    assert (tmp_path / "commands.rst").read_text() == written, "make docs writes it anew"


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
