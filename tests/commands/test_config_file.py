"""Options from labelclean.toml, pyproject.toml and the meta of a report, and back into a file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from report_data import report_of
from typer.main import get_command
from typer.testing import CliRunner

from labelclean.cli import COMMANDS, app
from labelclean.commands.config_file import find_config, read_config, save_config
from labelclean.commands.help_pages import options_by_name
from labelclean.errors import ConfigError

KNOWN = options_by_name(get_command(app))
LONG = [name for name in COMMANDS if "save_config" in KNOWN[name]]


def toml(folder: Path, text: str, name: str = "labelclean.toml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def write_report(folder: Path) -> Path:
    rows = [
        (f"{k}.png", "cat", "dog", True, 0.1, 0.9, 0.9, "dog", 0.1, "ok", "", "", "")
        for k in range(4)
    ]
    report_of(rows).write(folder / "report.csv")
    return folder / "report.csv"


def run(*words: str, code: int = 0) -> Any:
    done = CliRunner().invoke(app, words, prog_name="labelclean")
    assert done.exit_code == code, done.output
    return done


def test_options_of_the_top_level_are_for_every_command_that_has_them(tmp_path: Path):
    path = toml(tmp_path, 'device = "cpu"\nimage-col = "file"\n[filter]\nbudget = 7\n')
    assert read_config(path, "filter", KNOWN) == {
        "device": "cpu",
        "image_col": "file",
        "budget": 7,
    }
    assert read_config(path, "evaluate", KNOWN) == {"image_col": "file"}
    assert read_config(path, "plan", KNOWN) == {}


def test_an_option_of_the_command_line_wins_over_the_file_and_a_note_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    report = write_report(tmp_path)
    toml(tmp_path, "[plan]\nbudget = 2\n")
    monkeypatch.chdir(tmp_path)
    done = run("plan", str(report), "--json")
    assert done.stderr == "labelclean: from labelclean.toml: budget\n"
    assert json.loads(done.stdout)["steps"][-1]["images"] == 2
    done = run("plan", str(report), "--json", "--budget", "1")
    assert done.stderr == ""
    assert json.loads(done.stdout)["steps"][-1]["images"] == 1


def test_pyproject_counts_where_it_has_a_table_and_labelclean_toml_goes_first(tmp_path: Path):
    project = toml(tmp_path, "[project]\nname = 'x'\n", "pyproject.toml")
    assert find_config(tmp_path) is None
    toml(tmp_path, "[tool.labelclean.plan]\nbudget = 2\n", "pyproject.toml")
    assert find_config(tmp_path) == project
    assert read_config(project, "plan", KNOWN) == {"budget": 2}
    assert find_config(toml(tmp_path, "").parent) == tmp_path / "labelclean.toml"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("devise = 'cpu'", "labelclean.toml: devise is no option; did you mean device?"),
        ("[filter]\nlast = 3", r"labelclean.toml \[filter\]: last is no option"),
        ("[filters]\nseed = 3", r"labelclean.toml: \[filters\] is no command of labelclean"),
        ("force = true", "force is no option"),
        ("[filter]\nresume = true", "resume is no option"),
        ("seed = ", "labelclean.toml: not TOML: "),
    ],
)
def test_a_file_that_says_something_else_is_refused_in_a_line(tmp_path: Path, text, words):
    with pytest.raises(ConfigError, match=words):
        read_config(toml(tmp_path, text), "filter", KNOWN)


def test_no_such_file_is_a_line(tmp_path: Path):
    done = run("filter", "images", "--config", str(tmp_path / "no.toml"), code=2)
    assert done.stderr.endswith("no.toml: cannot be read: No such file or directory\n")


def test_a_value_of_another_kind_is_refused_as_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    toml(tmp_path, "[plan]\nbudget = 'many'\n")
    monkeypatch.chdir(tmp_path)
    assert "Invalid value for '--budget'" in run("plan", "r.csv", code=2).stderr


@pytest.mark.parametrize("name", ["labelclean.toml", "pyproject.toml"])
def test_what_is_saved_is_read_again_and_the_rest_of_the_file_stays(tmp_path: Path, name: str):
    path = toml(tmp_path, "# mine\n[other]\nx = 1  # kept\n", name)
    given = {"views": ("features",), "ignore": ["a", "b"], "self_test": 0.02, "device": "cpu"}
    save_config(path, "filter", given)
    assert path.read_text().startswith("# mine\n[other]\nx = 1  # kept\n")
    text = path.read_text().replace("[other]\nx = 1", "")
    again = read_config(toml(tmp_path, text, name), "filter", KNOWN)
    assert again == {**given, "views": "features"}


@pytest.mark.parametrize("command", LONG)
def test_long_commands_have_both_options(command: str):
    assert {"config", "save_config", "help_all"} <= set(KNOWN[command])


def test_save_config_writes_what_was_given_and_spares_a_table_that_is_there(
    colour_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(colour_folder)
    words = ("inject-noise", "images", "labels.csv", "--out", "noisy", "--save-config", "mine.toml")
    run(*words, "--symm", "20%", "--ignore", "*.tmp", "--quiet")
    saved = {"out": "noisy", "symm": "20%", "ignore": ["*.tmp"], "quiet": True}
    assert tomllib.loads(Path("mine.toml").read_text()) == {"inject-noise": saved}
    done = run(*words, "--symm", "10%", code=2)
    assert done.stderr.endswith(
        "mine.toml has options of inject-noise already; --force replaces them\n"
    )
    run(*words, "--symm", "10%", "--force")
    saved = {"out": "noisy", "symm": "10%"}
    assert tomllib.loads(Path("mine.toml").read_text()) == {"inject-noise": saved}


def test_the_meta_of_a_report_is_a_config(colour_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(colour_folder)
    words = ("filter", "images", "labels.csv")
    given = ("--views", "scratch", "--epochs", "2", "--lr", "0.1", "--budget", "4", "--seed", "5")
    run(*words, "--quiet", *given, "--ignore", "a.tmp", "--ignore", "b.tmp")
    done = run(*words, "--config", "report.meta.json", "--out", "again.csv")
    assert "from report.meta.json: " in done.stderr
    assert Path("again.csv").read_bytes() == Path("report.csv").read_bytes()
    found = read_config(Path("report.meta.json"), "filter", KNOWN)
    assert found == {
        "preset": "quick",
        "views": "scratch",
        "epochs": 2,
        "lr": 0.1,
        "budget": 4,
        "seed": 5,
        "ignore": ["a.tmp", "b.tmp"],
    }
    meta = json.loads(Path("report.meta.json").read_text())
    few = {"arch": "smallnet", "flip": True, "seed": 5}
    meta["config"] |= {"from_model": "model", "decisions": None, "train": few}
    rescored = toml(Path(), json.dumps(meta), "rescored.meta.json")
    found = read_config(rescored, "filter", KNOWN)
    assert (found["from_model"], found["seed"]) == ("model", 5) and "epochs" not in found
    with pytest.raises(ConfigError, match="the options of a report are for filter alone"):
        read_config(Path("report.meta.json"), "train", KNOWN)
    with pytest.raises(ConfigError, match="not the meta file of a report by filter"):
        read_config(toml(Path(), "[1]", "x.meta.json"), "filter", KNOWN)
