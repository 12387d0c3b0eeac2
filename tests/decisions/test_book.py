"""One book of decisions: every command finds, reads and checks them alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from report_data import report_of

from labelclean.decisions.book import DecisionBook
from labelclean.decisions.decision import Decision
from labelclean.decisions.decision_tables import write_decisions_csv
from labelclean.decisions.store import DecisionStore, digest_of
from labelclean.errors import ConfigError, ReportError

REPORT = report_of([(f"{k}.png", "cat", "dog", True, 0.1, 0.9, 0.8, "", 0.0, "ok") for k in "abc"])


def said(image: str, action: str, label: str | None = None, before: str = "cat") -> Decision:
    return Decision(image=image, action=action, label=label, before=before, reviewer="", at="")


def test_the_decisions_beside_the_report_are_taken_unless_others_are_given(tmp_path: Path):
    path = tmp_path / "r.csv"
    nobody = DecisionBook.of(REPORT, path)
    assert not nobody and nobody.path is None and nobody.beside == tmp_path / "r.decisions.sqlite"
    store = DecisionStore.open(nobody.beside, report_digest=digest_of(REPORT))
    store.record([said("a.png", "accept", "dog"), said("b.png", "unsure")])
    store.close()
    book = DecisionBook.of(REPORT, path)
    assert len(book) == 2 and book.settled == {"a.png"} and book.of_action("unsure") == {"b.png"}
    write_decisions_csv(tmp_path / "d.csv", [said("c.png", "other", "fox")])
    given = DecisionBook.of(REPORT, path, tmp_path / "d.csv")
    assert list(given.decisions) == ["c.png"] and given.new_classes(REPORT) == ("fox",)


@pytest.mark.parametrize(
    ("decisions", "says"),
    [
        (
            [said("x", "exclude"), said("y\n", "exclude")],
            "decisions on 2 of 2 images that the report lacks, such as x, y\\n: give",
        ),
        (
            [said("a.png", "accept", "dog", before="fox")],
            "decision on a.png: its label was 'fox' then, in the report it is 'cat'",
        ),
        ([said("a.png", "keep", "dog", before="dog")], "its label was 'dog' then"),
    ],
)
def test_decisions_on_another_report_are_refused(decisions, says: str, tmp_path: Path):
    write_decisions_csv(tmp_path / "d.csv", decisions)
    with pytest.raises(ReportError, match=re.escape(says)):
        DecisionBook.of(REPORT, tmp_path / "r.csv", tmp_path / "d.csv")


def test_a_csv_without_the_labels_before_is_taken(tmp_path: Path):
    (tmp_path / "d.csv").write_text("image,action,label\na.png,accept,dog\n")
    book = DecisionBook.of(REPORT, tmp_path / "r.csv", tmp_path / "d.csv")
    assert book.decisions["a.png"].label == "dog"


def test_decisions_that_are_given_and_not_there_are_named_unless_they_are_to_grow(tmp_path: Path):
    path = tmp_path / "new.sqlite"
    with pytest.raises(ReportError, match="new.sqlite: no such file"):
        DecisionBook.of(REPORT, tmp_path / "r.csv", path)
    book = DecisionBook.of(REPORT, tmp_path / "r.csv", path, is_to_grow=True)
    store = book.open()
    store.record([said("a.png", "keep", "cat")])
    store.close()
    assert len(DecisionBook.of(REPORT, tmp_path / "r.csv", path)) == 1
    with pytest.raises(ConfigError, match="decisions are added to an SQLite file"):
        DecisionBook.of(REPORT, tmp_path / "r.csv", tmp_path / "d.csv", is_to_grow=True)
