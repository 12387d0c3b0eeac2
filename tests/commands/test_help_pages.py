"""The help pages: one screen, whole sentences, the order of work, everything on request."""

from __future__ import annotations

import inspect
import re

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from labelclean.cli import COMMANDS, app
from labelclean.commands.help_pages import OFTEN, PANELS, STEPS

LONG = sorted(OFTEN)


def said(*words: str, **env: str) -> str:
    done = CliRunner().invoke(app, words, env={"COLUMNS": "80", **env}, prog_name="labelclean")
    assert done.exit_code == 0, done.output
    return done.stdout


def options(text: str) -> set[str]:
    return set(re.findall(r"^  (?:-\w, )?(--[a-z][a-z-]*)", text, flags=re.MULTILINE))


def test_the_program_lists_each_command_once_in_the_order_of_work_and_cuts_no_sentence():
    text = said("--help")
    listed = re.findall(r"^  ([a-z][a-z-]+)  +\S", text, flags=re.MULTILINE)
    assert listed == [name for names in STEPS.values() for name in names]
    assert sorted(listed) == sorted(COMMANDS)
    assert "..." not in text.replace("[ARGS]...", "")
    assert "labelclean filter clothes/images clothes/labels.csv --out report.csv" in text


@pytest.mark.parametrize("command", LONG)
def test_the_help_of_a_long_command_is_one_screen_in_panels_and_says_how_many_are_missing(command):
    text, everything = said(command, "--help"), said(command, "--help-all")
    assert len(text.splitlines()) <= 50
    assert "Output:\n" in text and "Machine:\n" in text
    missing = options(everything) - options(text)
    assert f"\n{len(missing)} more options: labelclean {command} --help-all\n" in text
    assert len(missing) > 5


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_all_shows_every_option_of_a_command(command):
    params = get_command(app).commands[command].params
    flags = {param.opts[-1] for param in params if param.param_type_name == "option"}
    assert flags <= options(said(command, "--help-all"))


@pytest.mark.parametrize("command", LONG)
def test_what_is_needed_often_are_options_of_the_command(command):
    assert set(OFTEN[command]) <= set(inspect.signature(COMMANDS[command]).parameters)


def test_every_panel_names_options_that_some_command_has():
    known = {"config", "save_config"}  # of every long command
    known |= {name for each in COMMANDS.values() for name in inspect.signature(each).parameters}
    assert {name for names in PANELS.values() for name in names} <= known


@pytest.mark.parametrize(("short", "long"), [(["-h"], ["--help"]), (["-V"], ["--version"])])
def test_h_and_v_are_short_for_help_and_version(short, long):
    assert said(*short) == said(*long)
    assert said("plan", "-h") == said("plan", "--help")


def test_help_of_a_command_shows_all_its_options():
    assert said("help", "filter") == said("filter", "--help-all")
    assert said("filter", "images", "--help-all") == said("filter", "--help-all")
    assert said("help") == said("--help")


@pytest.mark.parametrize(
    ("command", "usage"),
    [("filter", "IMAGES [LABELS]"), ("evaluate", "REPORT"), ("apply", "[REPORT]")],
)
def test_the_usage_names_what_a_command_needs(command, usage):
    assert said(command, "--help").startswith(f"Usage: labelclean {command} [OPTIONS] {usage}\n")


def test_help_of_no_command_is_one_line():
    done = CliRunner().invoke(app, ["help", "fillter"])
    assert done.exit_code == 2
    assert done.stderr.startswith("labelclean: no command 'fillter'; there are inspect, ")
    assert len(done.stderr.splitlines()) == 1


def test_a_shell_completes_commands_and_options():
    words = {"_LABELCLEAN_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    assert said(COMP_WORDS="labelclean im", **words).split() == ["import-decisions"]
    words["COMP_CWORD"] = "2"
    assert "--target-precision" in said(COMP_WORDS="labelclean filter --tar", **words)
