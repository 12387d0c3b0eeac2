"""Which rows are chosen, in which order, and how they are listed."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
import report_data
from rich.console import Console

from labelclean.errors import ConfigError
from labelclean.report.listing import rows_json, rows_table
from labelclean.report.report import COLUMNS
from labelclean.report.selection import Selection, select

NAN = math.nan
ROWS = [
    # image, given, suggested, issue, score, probability, fits, second, margin, status, flags
    ("b/Über.png", "cat", "dog", True, 0.2, 0.8, 0.7, "cow", -2.0, "ok", ""),
    ("a.png", "dog", "dog", False, 0.9, 0.1, 0.9, "cat", 3.0, "ok", "held_out"),
    ("c.png", "dog", "cow", True, 0.1, 0.9, 0.6, "cat", -3.0, "ok", "no_class"),
    ("d.png", "cat", "cow", True, 0.2, 0.8, 0.5, "dog", -1.0, "duplicate_of:a.png", ""),
    ("e.png", "cow", "cow", False, NAN, NAN, NAN, "", NAN, "unreadable", ""),
    ("f.png", "cat", "cat", False, 0.6, 0.4, 0.6, "dog", 1.0, "ok", ""),
]


def report_of(rows, class_names=("cat", "cow", "dog")):
    return report_data.report_of(rows, class_names=class_names)


def chosen(**wishes):
    return select(report_of(ROWS), Selection(**wishes)).tolist()


def test_by_default_the_issues_come_the_most_suspicious_first_equal_ones_in_order():
    assert chosen() == [2, 0, 3]


def test_all_rows_end_with_those_that_are_not_judged():
    assert chosen(only_issues=False) == [2, 0, 3, 5, 1, 4]


def test_given_and_suggested_labels_narrow_the_choice_together():
    assert chosen(given=("cat",)) == [0, 3]
    assert chosen(given=("cat",), suggested=("cow",)) == [3]
    assert chosen(given=("cat", "dog"), suggested=("cow",)) == [2, 3]


@pytest.mark.parametrize(
    "wish, rows",
    [
        ({"statuses": ("unreadable",)}, [4]),
        ({"statuses": ("duplicate_of", "unreadable")}, [3, 4]),
        ({"min_probability": 0.4}, [2, 0, 3, 5]),
        ({"text": "ÜBER"}, [0]),
        ({"text": ".png"}, [2, 0, 3, 5, 1, 4]),
    ],
)
def test_a_status_a_probability_or_a_text_looks_beyond_the_issues(wish, rows):
    assert chosen(**wish) == rows
    assert chosen(**wish, only_issues=True) == [row for row in rows if ROWS[row][3]]


@pytest.mark.parametrize(
    "order, rows",
    [
        ("image", [1, 0, 2, 3, 4, 5]),
        ("given", [0, 3, 5, 4, 2, 1]),
        ("suggested", [5, 2, 3, 4, 0, 1]),
        ("margin", [2, 0, 3, 5, 1, 4]),
        ("row", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_the_rows_are_sorted_as_asked(order, rows):
    assert chosen(order=order, only_issues=False) == rows


def test_every_wish_that_cannot_be_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        Selection(statuses=("lost",), order="size", min_probability=1.5)
    assert str(caught.value) == (
        "--status is lost, must be one of ok, unreadable, missing, unlabelled, duplicate_of; "
        "--sort is size, must be one of suspicion, image, given, suggested, margin, row; "
        "--min-probability is 1.5, must be from 0 to 1"
    )


def test_a_label_that_no_row_has_is_named_with_the_nearest_ones():
    many = report_of(ROWS, tuple(f"class {k}" for k in range(40)))
    with pytest.raises(ConfigError) as caught:
        select(many, Selection(given=("dgo\n",)))
    assert str(caught.value) == (r"--class is dgo\n, must be a label of the report, such as dog")
    with pytest.raises(ConfigError, match="--suggested is horse, must be one of cat, cow, dog"):
        chosen(suggested=("horse",))


def test_names_that_are_no_unicode_are_found_and_sorted():
    rows = [
        (name, name, "dog", True, 0.5, 0.5, 0.5, "", 0.0, "ok", "")
        for name in ("b\udcff", "a\udcfe", "c")
    ]
    report = report_of(rows)
    assert select(report, Selection(given=("b\udcff",))).tolist() == [0]
    assert select(report, Selection(text="\udcfe")).tolist() == [1]
    for order in ("image", "given"):
        assert select(report, Selection(order=order)).tolist() == [1, 0, 2]


def test_a_class_without_rows_is_no_mistake():
    report = report_of(ROWS, ("cat", "cow", "dog", "fox"))
    assert select(report, Selection(given=("fox",))).tolist() == []


def listed(rows, thumbnails=None, **console):
    out = io.StringIO()
    Console(file=out, width=200, **console).print(rows_table(report_of(ROWS), rows, thumbnails))
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def test_the_table_shows_labels_shares_and_remarks():
    assert listed([2, 3, 4]) == (
        "image  given  suggested  wrong   fits  second  remarks\n"
        "c.png  dog    cow        90.0%  60.0%  cat     no_class\n"
        "d.png  cat    cow        80.0%  50.0%  dog     duplicate_of:a.png\n"
        "e.png  cow    cow                              unreadable\n"
    )


def test_names_in_the_table_are_neither_markup_nor_control_codes():
    evil = "[red]x[/] \x1b[31m\u202e\n\udcff"
    report = report_of([(evil, evil, evil, True, 0.1, 0.9, 0.9, evil, 0.0, "ok", "")])
    console = Console(file=io.StringIO(), force_terminal=True, width=300)
    console.print(rows_table(report, [0]))
    shown = console.file.getvalue()
    assert shown.count(r"[red]x[/] \x1b[31m\u202e\n\udcff") == 4
    assert not set("\u202e\udcff") & set(shown)


def test_a_thumbnail_is_drawn_two_pixels_a_character_in_its_colours():
    pixels = np.zeros((4, 2, 3), dtype=np.uint8)
    pixels[0, 0] = (255, 0, 1)
    pixels[1, 0] = (2, 3, 254)
    out = listed([0, 1], {0: pixels}, force_terminal=True, color_system="truecolor")
    assert out.count("▄") == 2 * 2
    assert out.split("\n")[4].strip() == ""  # headings, a gap, two lines of the image, a gap
    assert "38;2;2;3;254;48;2;255;0;1m▄" in out  # below is the letter's colour, above its ground
    assert "no image" in out


def test_the_rows_as_json_have_every_column_and_null_for_no_figure():
    found = rows_json(report_of(ROWS), [4, 0])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found[0]) == list(COLUMNS)
    assert found[0]["issue_probability"] is None
    assert tuple(found[1].values()) == (
        *ROWS[0],
        "",
        "",
        None,
    )  # near_duplicate_of, reason, no_class_score
