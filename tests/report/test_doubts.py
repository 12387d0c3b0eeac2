"""A warning comes before the figures that it is about."""

from __future__ import annotations

from report_data import report_of

from labelclean.report.doubts import doubts, warnings_and_notes
from labelclean.report.summary import summary_text


def test_only_a_rate_that_can_hardly_be_is_doubted():
    assert doubts(0.5) == []
    (doubt,) = doubts(0.988)
    assert doubt.startswith("99% of the labels look wrong")


def test_the_doubt_is_told_apart_from_the_other_notes():
    notes = ("2 rows are skipped", *doubts(0.9))
    assert warnings_and_notes(0.9, notes) == (doubts(0.9), ["2 rows are skipped"])


def test_the_summary_begins_with_the_warning():
    row = ("a.png", "cat", "dog", True, 0.1, 0.9, 0.9, "cat", 0.5, "ok", "")
    report = report_of([row], noise_rate=0.988, notes=("a note", *doubts(0.988)))
    lines = summary_text(report).splitlines()
    assert lines[0].startswith("warning: 99% of the labels look wrong")
    assert [line for line in lines if line.startswith("note: ")] == ["note: a note"]
