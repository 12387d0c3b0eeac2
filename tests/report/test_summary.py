"""The summary: its exact text, hostile names, and its figures as JSON."""

from __future__ import annotations

import io
import json

import report_data
from rich.console import Console

from labelclean.report.meta import ConfusablePair
from labelclean.report.summary import most_suspicious, render, summary_json, summary_text

PAIR = ConfusablePair(given="cat", suggested="dog", count=1, share=1 / 3)
MADE = {"seed": 7, "seconds": {"train": 1.23456789}, "noise_rate_interval": (0.15, 0.25)}


def report_of(rows, **changes):
    return report_data.report_of(rows, **(MADE | {"confusable_pairs": (PAIR,)} | changes))


def row(image, given, suggested, score, issue=True, status="ok"):
    return (image, given, suggested, issue, score, 1 - score, 0.9, given, -0.5, status, "")


def test_the_summary_names_counts_rate_rows_pairs_notes_and_the_way_on():
    rows = [
        row("b.png", "cat", "dog", 0.25),
        row("a.png", "dog", "cat", 0.001),
        row("c.png", "dog", "dog", 0.9, issue=False),
        row("d.png", "dog", "dog", float("nan"), issue=False, status="missing"),
    ]
    flips = {"planted": 30, "recall": 0.91, "recall_interval": [0.79, 0.97], "precision": 0.8}
    report = report_of(rows, notes=("1 label has no image",), self_test=flips)
    assert summary_text(report, "my report.csv") == (
        "images:        3 judged, of 4 rows\n"
        "other rows:    1 missing\n"
        "noise rate:    about 20.0% of the labels are wrong (15.0% to 25.0%)\n"
        "wrong labels:  2 look wrong, about 2 of them are expected to be\n"
        "self-test:     of 30 labels flipped on purpose 91% were found (79% to 97%); of those that "
        "look wrong\n80% are expected to be\n"
        "seconds:       1.2 on cpu (train 1.2)\n"
        "\n"
        "Most suspicious\n"
        "image  given  suggested  probably wrong\n"
        "a.png  dog    cat                 99.9%\n"
        "b.png  cat    dog                 75.0%\n"
        "\n"
        "Mixed up most often\n"
        "given  seems to be  rows  of its class\n"
        "cat    dog             1         33.3%\n"
        "\n"
        "note: 1 label has no image\n"
        "\n"
        "report:        my report.csv\n"
        "look at it:    labelclean review 'my report.csv'\n"
    )


def test_the_summary_says_from_which_probability_on_labels_are_flagged():
    report = report_of([row("b.png", "cat", "dog", 0.25)], flagged_from=0.384)
    said = "1 looks wrong (probability 38% and more), about 1 of them are expected to be\n"
    assert said in summary_text(report, "r.csv")
    assert summary_json(report)["flagged_from"] == 0.384


def test_a_report_without_issues_says_so_and_shows_no_tables():
    text = summary_text(report_of([row("a", "x", "x", 0.9, issue=False)], confusable_pairs=()))
    assert "wrong labels:  none looks wrong" in text
    assert "Most suspicious" not in text and "Mixed up" not in text and "labelclean" not in text


def test_names_are_neither_markup_nor_emoji_codes_nor_control_codes():
    evil = "[red]x[/] :smile: \x1b[31m\u202e\n\udcff"
    shown = "[red]x[/] :smile: \\x1b[31m\\u202e\\n\\udcff"
    pair = ConfusablePair(given=evil, suggested=evil, count=1, share=0.5)
    report = report_of(
        [row(evil, evil, evil, 0.1)],
        confusable_pairs=(pair,),
        notes=(evil,),
        device=evil,
        seconds={evil: 1.0},
        self_test={evil: evil, "recall": 0.5},
    )
    text = summary_text(report, evil, width=300)
    assert text.count(shown) == 3 + 2 + 1 + 2 + 2
    assert not set("\x1b\u202e\udcff😄") & set(text)
    terminal = Console(file=io.StringIO(), force_terminal=True, width=300)
    terminal.print(render(report))
    assert "\x1b[31m" not in terminal.file.getvalue()


def test_no_label_reads_as_certainly_wrong():
    text = summary_text(report_of([row("a.png", "cat", "dog", 0.0001)]))
    assert "> 99.9%" in text and "100.0%" not in text


def test_no_line_is_wider_than_the_terminal():
    rows = [row(f"{'long ' * 9}{k}.png", "a b " * 9, "c d " * 9, 0.1) for k in range(3)]
    report = report_of(rows, notes=("a note " * 30,), seconds={f"stage {k}": 1.0 for k in range(9)})
    for width in (40, 80, 132):
        lines = summary_text(report, "report.csv", width=width).splitlines()
        assert max(map(len, lines)) <= width


def test_a_long_name_is_folded_and_not_cut():
    text = summary_text(report_of([row("q" * 250, "a", "b", 0.1)]), width=80)
    assert text.count("q") == 250


def test_a_notebook_shows_the_summary_with_every_name_escaped():
    hostile = "<script>alert(1)</script>"
    report = report_of([row(hostile, "cat", "dog", 0.1), row("b.png", "dog", "dog", 0.9, False)])
    text = report._repr_html_()
    assert "noise rate:" in text and "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script" not in text and "b.png" not in text
    assert repr(report) == "<Report of 2 rows, about 20.0% of the labels wrong>"
    assert "<table" not in report_of([row("b.png", "dog", "dog", 0.9, False)])._repr_html_()


def test_the_most_suspicious_are_the_issues_of_lowest_score_equal_ones_in_order():
    rows = [row(f"{k}.png", "a", "b", score) for k, score in enumerate([0.3, 0.1, *[0.3] * 40])]
    rows.append(row("right.png", "a", "a", 0.0, issue=False))
    assert most_suspicious(report_of(rows), 3)["image"].tolist() == ["1.png", "0.png", "2.png"]


def test_the_json_summary_is_plain_json_with_names_as_they_are():
    figures = summary_json(report_of([row("[b]\n", "a", "b", 0.25), row("c", "a", "b", 0.125)]))
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["label_issues"] == figures["rows"] == 2
    assert figures["most_suspicious"][1] == {
        "image": "[b]\n",
        "given_label": "a",
        "suggested_label": "b",
        "label_score": 0.25,
        "issue_probability": 0.75,
    }
    assert figures["noise_rate_interval"] == [0.15, 0.25]
    assert figures["confusable_pairs"][0]["suggested"] == "dog"
