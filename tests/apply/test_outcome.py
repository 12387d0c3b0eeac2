"""What becomes of every row, and the counts that tell it."""

from __future__ import annotations

import math

import pytest
from report_data import meta_of

from labelclean.apply.applied import Applied
from labelclean.apply.outcome import Policy, settle
from labelclean.decisions.decision import Decision
from labelclean.errors import ConfigError
from labelclean.report.report import COLUMNS, Report

NAN = math.nan


def row(image, given="cat", suggested="dog", probability=0.95, status="ok", flags=""):
    is_issue = suggested != given
    return {
        **dict.fromkeys(COLUMNS, ""),
        **dict.fromkeys(("label_score", "suggested_probability", "margin"), 0.5),
        "image": image,
        "given_label": given,
        "suggested_label": suggested,
        "is_label_issue": is_issue,
        "issue_probability": probability,
        "status": status,
        "flags": flags,
    }


def report_of(*rows):
    meta = meta_of(class_names=("cat", "dog", "fox"), image_root="/images")
    return Report.from_columns({name: [r[name] for r in rows] for name in COLUMNS}, meta)


def said(image, action, label=None, before="cat"):
    return Decision(image=image, action=action, label=label, before=before, reviewer="", at="")


def outcome_of(rows, decisions=(), **policy):
    return settle(report_of(*rows), {d.image: d for d in decisions}, Policy(**policy))


def test_each_action_has_its_label():
    rows = [row(f"{k}.png") for k in range(5)]
    found = outcome_of(
        rows,
        [
            said("0.png", "accept", "dog"),
            said("1.png", "keep", "cat"),
            said("2.png", "other", "fox"),
            said("3.png", "exclude"),
            said("4.png", "unsure"),
        ],
    )
    assert found.labels == ("dog", "cat", "fox", "cat", "cat")
    assert found.is_excluded.tolist() == [False, False, False, True, False]
    assert found.by == ("person", "person", "person", "person", "")
    assert found.is_open.tolist() == [False, False, False, False, True]


def test_a_person_overrides_the_model_and_unsure_does_not():
    rows = [row("a.png"), row("b.png"), row("c.png"), row("d.png")]
    words = [said("a.png", "keep", "cat"), said("b.png", "other", "fox"), said("c.png", "unsure")]
    found = outcome_of(rows, words, above=0.9)
    assert found.labels == ("cat", "fox", "dog", "dog")
    assert found.by == ("person", "person", "model", "model")


def test_above_takes_what_reaches_it_and_nothing_without_a_figure_or_class():
    rows = [
        row("a.png", probability=0.9),
        row("b.png", probability=0.8999),
        row("c.png", probability=NAN, status="missing"),
        row("d.png", flags="held_out no_class"),
        row("e.png", given="", probability=0.99, status="unlabelled"),
        row("f.png", suggested="", probability=0.99),
        row("g.png", suggested="cat", probability=0.99),
    ]
    found = outcome_of(rows, above=0.9)
    assert found.is_changed.tolist() == [True, *[False] * 6]


def test_undecided_rows_that_look_wrong_can_be_left_out_but_no_broken_ones():
    rows = [
        row("a.png", probability=0.5),
        row("b.png", suggested="cat"),
        row("c.png", suggested="cat"),
        row("d.png", probability=NAN, status="unreadable"),
        row("e.png", probability=0.99),
    ]
    found = outcome_of(rows, [said("c.png", "unsure")], above=0.9, undecided="exclude")
    assert found.is_excluded.tolist() == [True, False, True, False, False]
    assert found.is_broken.tolist() == [False, False, False, True, False]
    assert found.labels[4] == "dog"


def test_a_person_may_decide_on_a_broken_or_unlabelled_image():
    rows = [row("a.png", status="missing"), row("b.png", given="", status="unlabelled")]
    found = outcome_of(rows, [said("a.png", "exclude"), said("b.png", "other", "fox", before="")])
    assert found.is_excluded.tolist() == [True, False]
    assert not found.is_broken.any()
    assert found.pairs() == [("", "fox", 1)]


def test_a_csv_without_the_labels_before_is_believed():
    assert outcome_of([row("a.png")], [said("a.png", "accept", "dog", before="")]).labels == (
        "dog",
    )


def test_every_problem_of_the_policy_is_named_with_its_flag():
    with pytest.raises(ConfigError, match="--above is 90, must be .*; --undecided is drop, must"):
        Policy(above=90, undecided="drop")
    with pytest.raises(ConfigError, match="--above is nan"):
        Policy(above=NAN)


def test_the_text_counts_by_class_pair_and_says_what_stays():
    rows = [
        row("a.png"),
        row("b.png"),
        row("c.png", given="dog", suggested="cat"),
        row("d.png", probability=0.5),
        row("e.png", given="dog", suggested="dog", probability=NAN, status="missing"),
        row("f.png", given="x\n\u202ey"),
    ]
    words = [said("c.png", "exclude", before="dog")]
    applied = Applied(outcome=outcome_of(rows, words, above=0.9), unreported=2, renamed=1)
    assert applied.describe() == (
        "3 of 6 labels would change (0 by a person, 3 by the model), 1 row would be left out\n"
        "given       new         rows\n"
        "cat         dog            2\n"
        "x\\n\\u202ey  dog            1\n"
        "dog         (left out)     1\n"
        "1 looks wrong and nobody decided: its label stays as given\n"
        "1 has no readable image: kept as it is\n"
        "2 are not in the report: kept as they are\n"
        "1 file gets another name, its own is taken in the new class\n"
        "nothing was written: a dry run"
    )
    figures = applied.to_json()
    assert figures["pairs"][0] == {"given": "cat", "new": "dog", "count": 2}
    assert figures["exclusions"] == [{"given": "dog", "count": 1}]
    keys = ("rows", "changed", "changed_by_model", "excluded", "open", "broken_kept", "dry_run")
    assert [figures[key] for key in keys] == [6, 3, 3, 1, 1, 1, True]
