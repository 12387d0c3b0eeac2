"""plan, show and plot as commands: what they print, write, open and refuse."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from report_data import meta_of
from typer.testing import CliRunner

from labelclean.cli import app
from labelclean.decisions.decision import Decision
from labelclean.decisions.store import DecisionStore, decisions_path, digest_of
from labelclean.report.report import COLUMNS, Report

NAMES = ("red", "green", "blue")
EVIL = '=cmd()"\u202e\n.png'


def run(*arguments: object, **options):
    return CliRunner().invoke(app, [str(each) for each in arguments], **options)


@pytest.fixture
def report(colour_folder: Path) -> Path:
    """A report of the squares, in which the three wrong ones and one right one look wrong."""
    shown = {7: 0.99, 20: 0.9, 42: 0.8, 3: 0.6}
    probability = [shown.get(k, 0.02) for k in range(60)]
    given = [NAMES[(k + 1) % 3 if k in (7, 20, 42) else k % 3] for k in range(60)]
    cells = {
        "image": [f"{k:02d}.png" for k in range(60)],
        "given_label": given,
        "suggested_label": [
            NAMES[k % 3] if k != 3 else "blue" if k in shown else given[k] for k in range(60)
        ],
        "is_label_issue": [k in shown for k in range(60)],
        "label_score": [1 - p for p in probability],
        "issue_probability": probability,
        "suggested_probability": probability,
        "second_label": given,
        "margin": [0.0] * 60,
        "status": ["ok"] * 60,
    }
    meta = meta_of(
        class_names=NAMES,
        image_root=str(colour_folder / "images"),
        noise_rate=sum(probability) / 60,
        noise_rate_interval=(0.05, 0.1),
    )
    path = colour_folder / "report.csv"
    columns = {name: cells[name] for name in COLUMNS if name in cells}
    Report.from_columns(columns, meta).write(path)
    return path


def decide(report: Path, **actions: str) -> None:
    """image="keep" and so on, into the store beside the report."""
    found = Report.read(report)
    given = dict(zip(found.frame["image"], found.frame["given_label"], strict=True))
    store = DecisionStore.open(decisions_path(report), report_digest=digest_of(found))
    store.record(
        [
            Decision(
                image=f"{name[1:]}.png",
                action=action,
                label="red" if action in ("keep", "accept", "other") else None,
                before=given[f"{name[1:]}.png"],
                reviewer="",
                at="2026-01-01T00:00:00Z",
            )
            for name, action in actions.items()
        ]
    )
    store.close()


def test_plan_says_what_a_budget_leaves(report: Path):
    done = run("plan", report, "--budget", 3, "--json")
    plan = json.loads(done.stdout)
    last = plan["steps"][-1]
    assert last["images"] == 3
    assert last["found"] == pytest.approx(0.99 + 0.9 + 0.8)
    assert last["noise"] == pytest.approx((0.6 + 56 * 0.02) / 60)


def test_plan_says_how_many_images_a_target_takes(report: Path):
    done = run("plan", report, "--target-noise", "2%")
    assert done.exit_code == 0
    assert "2.00% or less: look at 4 images" in done.stdout


def test_plan_honours_the_decisions_beside_the_report(report: Path):
    decide(report, _07="accept", _20="exclude", _42="unsure", _03="other")
    plan = json.loads(run("plan", report, "--json").stdout)
    figures = [plan[name] for name in ("settled", "excluded", "unsure", "waiting")]
    assert figures == [3, 1, 1, 56]
    assert plan["steps"][0]["noise"] == pytest.approx((0.8 + 56 * 0.02) / 59)


def test_plan_takes_decisions_from_another_file(report: Path):
    other = report.parent / "mine.csv"
    other.write_text("image,action,label,before,reviewer,at\n07.png,keep,blue,blue,,\n")
    plan = json.loads(run("plan", report, "--decisions", other, "--json").stdout)
    assert plan["settled"] == 1
    done = run("plan", report, "--decisions", report.parent / "none.csv")
    assert done.exit_code == 2 and "none.csv: no such file" in done.stderr


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--budget", "0"), "--budget is 0, must be at least 1"),
        (("--target-noise", "100%"), "--target-noise is 1, must be from 0% to below 100%"),
        (("--target-noise", "few"), "--target-noise is few, must be a share"),
    ],
)
def test_plan_refuses_what_makes_no_sense(report: Path, arguments, words):
    done = run("plan", report, *arguments)
    assert done.exit_code == 2
    assert words in done.stderr and done.stderr.count("\n") == 1


def test_show_lists_the_issues_and_says_how_many_more_there_are(report: Path):
    done = run("show", report, "--limit", 2)
    assert done.stdout == (
        "image   given  suggested  wrong   fits  second\n"
        "07.png  blue   green      99.0%  99.0%  blue\n"
        "20.png  red    blue       90.0%  90.0%  red\n"
    )
    assert done.stderr == "labelclean: 2 more; --limit shows them\n"


def test_show_filters_and_prints_json(report: Path):
    done = run("show", report, "--class", "red", "--suggested", "blue", "--json")
    found = json.loads(done.stdout)
    assert found["selected"] == 2
    assert [row["image"] for row in found["rows"]] == ["20.png", "03.png"]
    assert done.stderr == ""
    nothing = run("show", report, "--search", "nowhere")
    assert (nothing.exit_code, nothing.stderr) == (0, "labelclean: no row is so\n")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--class", "rde"), "--class is rde, must be one of blue, green, red"),
        (("--sort", "size"), "--sort is size"),
        (("--limit", "0"), "--limit is 0, must be at least 1"),
        (("--min-probability", "lots"), "--min-probability is lots"),
        (("--thumbnails", "--images", "nowhere"), "nowhere"),
    ],
)
def test_show_refuses_what_makes_no_sense(report: Path, arguments, words):
    done = run("show", report, *arguments, env={"FORCE_COLOR": "1"})
    assert done.exit_code == 2
    assert words in done.stderr and done.stderr.count("\n") == 1


def test_thumbnails_are_refused_in_words_where_they_cannot_be_drawn(report: Path):
    plain = run("show", report)
    done = run("show", report, "--thumbnails")
    assert done.stdout == plain.stdout
    assert "shown without thumbnails: standard output is no terminal" in done.stderr
    colourless = run("show", report, "--thumbnails", env={"FORCE_COLOR": "1", "NO_COLOR": "1"})
    assert "this terminal shows no colours" in colourless.stderr
    assert "▄" not in colourless.stdout


def test_thumbnails_have_the_colours_of_their_images(report: Path):
    Image.new("RGB", (40, 40), (12, 34, 56)).save(report.parent / "images" / "07.png")
    (report.parent / "images" / "20.png").write_bytes(b"broken")
    environment = {"FORCE_COLOR": "1", "COLORTERM": "truecolor", "TERM": "xterm", "COLUMNS": "120"}
    done = run("show", report, "--thumbnails", "--limit", 2, env=environment)
    assert done.exit_code == 0
    assert done.stdout.count("38;2;12;34;56;48;2;12;34;56m▄") == 20 * 10
    assert "no image" in done.stdout


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="xdg-open is for Linux")
class TestOpen:
    @pytest.fixture
    def opened(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A viewer that copies its arguments and what the files hold; the temporary folder."""
        folder = tmp_path / "viewer"
        folder.mkdir()
        script = folder / "xdg-open"
        script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$#" "$@" > "{folder}/$$.txt"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("TMPDIR", str(folder))
        monkeypatch.setattr("tempfile.tempdir", None)
        return folder

    def test_each_image_is_one_argument_and_a_copy_in_order(self, report: Path, opened: Path):
        done = run("show", report, "--open", "--limit", 2)
        assert done.exit_code == 0, done.stderr
        calls = sorted(path.read_text().split("\n") for path in opened.glob("*.txt"))
        assert [call[0] for call in calls] == ["1", "1"]
        files = [Path(call[1]) for call in sorted(calls, key=lambda call: call[1])]
        assert [file.name for file in files] == ["001-07.png", "002-20.png"]
        for file, name in zip(files, ("07.png", "20.png"), strict=True):
            with Image.open(file) as copy, Image.open(report.parent / "images" / name) as image:
                assert copy.tobytes() == image.tobytes()
        assert "opened 2 of 2 images;" in done.stderr

    def test_a_hostile_name_reaches_neither_a_shell_nor_the_viewer(
        self, report: Path, opened: Path
    ):
        name = "--help $(touch pwned);\n.desktop"
        (report.parent / "images" / "07.png").rename(report.parent / "images" / name)
        found = Report.read(report)
        frame = found.to_frame()
        frame.loc[7, "image"] = name
        Report(frame=frame, meta=found.meta).write(report, force=True)
        done = run("show", report, "--open", "--limit", 1)
        assert done.exit_code == 0, done.stderr
        (call,) = [path.read_text() for path in opened.glob("*.txt")]
        assert call.startswith(f"1\n{opened}") and call.endswith("001---help_touch_pwned_.png\n")
        assert not list(opened.rglob("pwned"))

    def test_more_than_twenty_need_force(self, report: Path, opened: Path):
        done = run("show", report, "--all", "--limit", 21, "--open")
        assert done.exit_code == 2
        assert "--open would open 21 images; choose --limit 20 or less, or --force" in done.stderr
        assert not list(opened.glob("labelclean-*"))
        assert run("show", report, "--all", "--limit", 21, "--open", "--force").exit_code == 0
        assert len(list(opened.glob("*.txt"))) == 21

    def test_what_cannot_be_read_is_counted(self, report: Path, opened: Path):
        (report.parent / "images" / "07.png").write_bytes(b"no image")
        done = run("show", report, "--open", "--limit", 2)
        assert "opened 1 of 2 images, the others cannot be read" in done.stderr

    def test_a_viewer_that_fails_or_is_missing_is_one_line(
        self, report: Path, opened: Path, monkeypatch: pytest.MonkeyPatch
    ):
        (opened / "xdg-open").write_text("#!/bin/sh\nexit 3\n")
        done = run("show", report, "--open", "--limit", 1)
        assert done.exit_code == 2 and "failed (3)" in done.stderr
        assert done.stderr.count("\n") == 1
        monkeypatch.setenv("PATH", str(report.parent))
        done = run("show", report, "--open", "--limit", 1)
        assert done.exit_code == 2 and "there is no program xdg-open" in done.stderr

    def test_a_viewer_that_stays_open_is_not_waited_for(self, report: Path, opened: Path):
        (opened / "xdg-open").write_text(f"#!/bin/sh\nsleep 4\ntouch {opened}/closed\n")
        code = (
            "from labelclean.workflows import viewing; viewing.FAILS_WITHIN = 0.1\n"
            "from labelclean.cli import main; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "show", report, "--open", "--limit", "1"],
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr.count("\n")) == (0, 2), done.stderr
        assert not (opened / "closed").exists()


def test_plot_writes_figures_and_says_what_is_absent(report: Path):
    out = report.parent / "a" / "figures"
    done = run("plot", report, "--out", out)
    assert done.exit_code == 0, done.stderr
    names = ["scores.png", "pairs.png", "classes.png", "sheet.png"]
    assert done.stdout == "".join(f"{out / name}\n" for name in names)
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    for name in names:
        with Image.open(out / name) as image:
            image.load()
            assert min(image.size) > 200
    assert done.stderr.endswith(
        "labelclean: no training.png: the report holds no figures of the training\n"
    )


def test_plot_does_without_the_sheet_where_the_images_are_gone(report: Path):
    moved = (report.parent / "images").rename(report.parent / "moved")
    done = run("plot", report, "--out", report.parent / "one")
    assert done.exit_code == 0 and "sheet.png\n" not in done.stdout
    assert "no sheet.png:" in done.stderr and "--images" in done.stderr
    there = run("plot", report, "--out", report.parent / "two", "--images", moved, "--quiet")
    assert "sheet.png" in there.stdout and there.stderr == ""
    wrong = run("plot", report, "--out", report.parent / "three", "--images", report.parent)
    assert wrong.exit_code == 2 and not (report.parent / "three").exists()


def test_plot_replaces_nothing_unless_told_and_writes_all_or_nothing(
    report: Path, monkeypatch: pytest.MonkeyPatch
):
    out = report.parent / "figures"
    out.mkdir()
    (out / "pairs.png").write_text("mine")
    done = run("plot", report, "--out", out)
    assert done.exit_code == 2 and "pairs.png: already exists" in done.stderr
    assert (out / "pairs.png").read_text() == "mine"
    assert run("plot", report, "--out", out, "--force").exit_code == 0
    assert len(list(out.iterdir())) == 4

    fresh = report.parent / "fresh"
    replace, moved = os.replace, []

    def stops_at_the_third(source, target):
        moved.append(target)
        if len(moved) == 3:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", stops_at_the_third)
    done = run("plot", report, "--out", fresh)
    assert done.exit_code == 2 and "No space left on device" in done.stderr
    assert not fresh.exists()


def test_plot_refuses_a_file_as_its_folder(report: Path):
    done = run("plot", report, "--out", report)
    assert done.exit_code == 2 and "is no folder; choose another name" in done.stderr


def test_hostile_names_go_through_all_three(report: Path):
    found = Report.read(report)
    frame = found.to_frame()
    frame.loc[7, "image"] = EVIL
    frame.loc[[7, 20], "given_label"] = "$\\frac{1}$[red]\x1b[31m\udcff"
    data = io.BytesIO()
    Image.new("RGB", (9, 9)).save(data, "PNG")
    (report.parent / "images" / EVIL).write_bytes(data.getvalue())
    Report(frame=frame, meta=found.meta).write(report, force=True)
    for command in (("plan",), ("show", "--all"), ("plot", "--out", report.parent / "figures")):
        done = run(command[0], report, *command[1:])
        assert done.exit_code == 0, done.stderr
        assert not set("\x1b\u202e\udcff") & set(done.stdout + done.stderr)
