"""Decisions: kept at once, never lost, never another report's; CSV there and back."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_data import meta_of

from labelclean.decisions.decision import Decision
from labelclean.decisions.decision_tables import write_decisions_csv
from labelclean.decisions.store import DecisionStore, decisions_path, digest_of, read_decisions
from labelclean.errors import OutputError, ReportError
from labelclean.report.report import COLUMNS, Report

HOSTILE = ["=cmd()", "'=1", "a,b\nc\r\nd", 'say "hi"', "\u202eabc", "<script>", "b\udcff.png", "😀"]
LABEL = {"accept": "dog", "keep": "cat", "other": "fox"}


def decision(image="a.png", action="accept", reviewer="ann", label="", before="cat"):
    return Decision(
        image=image,
        action=action,
        label=label or LABEL.get(action),
        before=before,
        reviewer=reviewer,
        at="2026-01-02T03:04:05Z",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return decisions_path(tmp_path / "report.csv")


@pytest.fixture
def store(path: Path):
    store = DecisionStore.open(path, report_digest="d")
    yield store
    store.close()


def _record_some(path: Path, who: str) -> None:
    store = DecisionStore.open(path, report_digest="d")
    for k in range(20):
        store.record([decision(f"{who}{k}.png", reviewer=who)])
    store.close()


def test_the_file_lies_beside_the_report(path: Path):
    assert path.name == "report.decisions.sqlite"
    assert decisions_path(Path("x/r.parquet")) == Path("x/r.decisions.sqlite")


def test_the_last_word_on_an_image_holds_and_the_log_keeps_all(store: DecisionStore):
    first = [decision("a.png"), decision("b.png", "keep")]
    second = [decision("a.png", "exclude", reviewer="bob")]
    store.record(first)
    store.record(second)
    assert store.current() == {"a.png": second[0], "b.png": first[1]}
    assert store.log() == first + second


def test_undo_takes_back_the_last_batch_of_that_reviewer_alone(store: DecisionStore):
    store.record([decision("a.png"), decision("b.png")])
    store.record([decision("a.png", "unsure")])
    store.record([decision("c.png", reviewer="bob")])
    assert store.undo("ann") == ["a.png"]
    assert store.current()["a.png"].action == "accept"
    assert store.undo("ann") == ["a.png", "b.png"]
    assert list(store.current()) == ["c.png"]
    assert store.undo("ann") == []
    assert len(store.log()) == 4


def test_what_another_reviewer_said_later_outlives_an_undo(store: DecisionStore):
    store.record([decision("a.png")])
    store.record([decision("a.png", "keep", reviewer="bob")])
    assert store.undo("ann") == ["a.png"]
    assert store.current()["a.png"].reviewer == "bob"


def test_a_decision_after_an_undo_can_be_undone_itself(store: DecisionStore):
    store.record([decision("a.png")])
    store.undo("ann")
    store.record([decision("b.png")])
    assert store.undo("ann") == ["b.png"]


@pytest.mark.parametrize("verb", ["UPDATE decision SET label = 'x'", "DELETE FROM decision"])
def test_the_log_only_grows(path: Path, store: DecisionStore, verb: str):
    store.record([decision()])
    with (
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="only grows"),
    ):
        connection.execute(verb)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_come_back_as_they_were(path: Path, store: DecisionStore, name: str):
    made = decision(name, "other", label=name, before=name, reviewer=name)
    store.record([made])
    assert store.current() == read_decisions(path) == {name: made}
    assert store.undo(name) == [name]


def test_a_batch_is_written_whole_or_not_at_all(store: DecisionStore):
    with pytest.raises(ReportError, match="no character"):
        store.record([decision("a.png"), decision("\ud800.png")])
    assert store.current() == {}


def test_threads_and_processes_lose_nothing(path: Path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_record_some, args=(path, who)) for who in ("p", "q")]
    for worker in workers:
        worker.start()
    store = DecisionStore.open(path, report_digest="d")
    threads = [
        threading.Thread(
            target=lambda who=who: [store.record([decision(f"{who}{k}.png")]) for k in range(20)]
        )
        for who in ("s", "t")
    ]
    for thread in threads:
        thread.start()
    for each in (*threads, *workers):
        each.join()
    assert set(store.current()) == {f"{who}{k}.png" for who in "pqst" for k in range(20)}
    store.close()


def test_what_was_recorded_is_there_after_the_process_is_killed(path: Path):
    code = (
        "import os, sys; from pathlib import Path; from labelclean.decisions.store import *\n"
        "store = DecisionStore.open(Path(sys.argv[1]), report_digest='d')\n"
        "store.record([Decision(image='a', action='exclude', label=None, before='x', "
        "reviewer='', at='')]); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == -9
    assert read_decisions(path)["a"].action == "exclude"
    with closing(DecisionStore.open(path, report_digest="d")) as store:
        assert list(store.current()) == ["a"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_on_a_read_only_disk_is_read(path: Path, store: DecisionStore):
    store.record([decision()])
    store.close()
    path.parent.chmod(0o500)
    try:
        assert list(read_decisions(path)) == ["a.png"]
    finally:
        path.parent.chmod(0o700)


def test_a_store_of_another_report_is_refused(path: Path, store: DecisionStore):
    store.record([decision()])
    with pytest.raises(ReportError, match="decisions on another report"):
        DecisionStore.open(path, report_digest="e")
    with pytest.raises(ReportError, match="decisions on another report"):
        read_decisions(path, report_digest="e")
    assert list(read_decisions(path, report_digest="d")) == ["a.png"]


def test_a_later_schema_is_refused(path: Path, store: DecisionStore):
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    for read in (lambda: DecisionStore.open(path, report_digest="d"), lambda: read_decisions(path)):
        with pytest.raises(ReportError, match="schema version 2, .* reads 1; update labelclean"):
            read()


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (("a", "other", b"\0\1", "cat", "", ""), "label is b"),
        (("a", "keep", "dog", "cat", "", ""), "must be the given label"),
        (("", "exclude", None, "cat", "", ""), "image is empty"),
        (("a", "sell", None, "cat", "", ""), "action is 'sell'"),
    ],
)
def test_rows_that_another_program_wrote_are_checked(path: Path, store: DecisionStore, cells, says):
    with closing(sqlite3.connect(path)) as connection:
        columns = "batch, image, action, label, before, reviewer, at"
        connection.execute(f"INSERT INTO decision ({columns}) VALUES (9, ?, ?, ?, ?, ?, ?)", cells)
        connection.commit()
    with pytest.raises(ReportError, match=says):
        read_decisions(path)


def test_files_that_are_no_store_are_refused_and_left_alone(path: Path):
    path.write_bytes(b"image,label\n" * 100)
    with pytest.raises(ReportError, match="is no SQLite file of decisions"):
        DecisionStore.open(path, report_digest="d")
    assert path.read_bytes() == b"image,label\n" * 100
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE foreign_one (x)")
    before = path.read_bytes()
    for read in (lambda: DecisionStore.open(path, report_digest="d"), lambda: read_decisions(path)):
        with pytest.raises(ReportError, match="an SQLite file, but not of decisions"):
            read()
    assert path.read_bytes() == before
    with pytest.raises(ReportError, match="cannot be opened; is its folder there"):
        DecisionStore.open(path / "x" / "y.sqlite", report_digest="d")


def test_a_contradiction_is_no_decision():
    for wrong in (
        {"action": "delete"},
        {"action": "exclude", "label": "dog"},
        {"action": "keep", "label": "dog"},
    ):
        with pytest.raises(ValueError, match="must be"):
            decision(**wrong)


def test_the_digest_is_of_images_and_given_labels_alone():
    def report(given, suggested="dog", score=0.5):
        cells = dict.fromkeys(COLUMNS, [""]) | {"image": ["a.png"], "given_label": [given]}
        cells |= {"suggested_label": [suggested], "is_label_issue": [True], "label_score": [score]}
        cells |= dict.fromkeys(
            ("issue_probability", "suggested_probability", "margin"), [float("nan")]
        )
        return Report.from_columns(cells, meta_of(image_root=None))

    assert digest_of(report("cat")) == digest_of(report("cat", "cat", 0.9))
    assert digest_of(report("cat")) != digest_of(report("dog"))


words = st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1, max_size=6))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(words, st.sampled_from([*LABEL, "exclude", "unsure"]), words, words)))
def test_csv_gives_back_what_was_written(tmp_path_factory, cells):
    made = {
        image: decision(image, action, who, label=before if action == "keep" else "", before=before)
        for image, action, before, who in cells
    }
    path = tmp_path_factory.getbasetemp() / "decisions.csv"
    write_decisions_csv(path, made)
    assert read_decisions(path) == made


def test_csv_has_no_cell_that_a_spreadsheet_runs(tmp_path: Path):
    write_decisions_csv(tmp_path / "d.csv", [decision("=cmd()", "other", "@me", label="+1")])
    line = (tmp_path / "d.csv").read_text().splitlines()[1]
    assert line == "'=cmd(),other,'+1,cat,'@me,2026-01-02T03:04:05Z"


def test_a_short_csv_by_hand_is_enough_and_its_last_row_wins(tmp_path: Path):
    path = tmp_path / "d.csv"
    path.write_bytes(b"\xef\xbb\xbfimage;action;label\r\na.png;Accept;dog\r\na.png;exclude;\r\n")
    assert read_decisions(path)["a.png"].action == "exclude"


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "tsv", "csv.gz"])
def test_decisions_are_read_from_any_table(tmp_path: Path, kind: str):
    path = tmp_path / f"d.{kind}"
    frame = pd.DataFrame({"image": ["a.png", "b.png"], "action": ["accept", "exclude"],
                          "label": ["dog", None]})  # fmt: skip
    if kind == "parquet":
        frame.to_parquet(path)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    found = read_decisions(path)
    assert {name: (d.action, d.label) for name, d in found.items()} == {
        "a.png": ("accept", "dog"),
        "b.png": ("exclude", None),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,label\na,b\n", "d.csv: no column action; decisions are an SQLite file"),
        ("", "d.csv: is empty: a header line"),
        ("image,action,label\na,drop,\n", "d.csv:2: action is 'drop', must be one of accept"),
        ("image,action,label\na,accept,\n", "d.csv:2: label is empty, must be the label"),
        ("image,action,label\n\na,exclude,dog\n", "d.csv:3: label is 'dog', must be empty"),
        ("image,action,label,before\na,keep,dog,cat\n", "d.csv:2: label is 'dog', must be the giv"),
        ("image,action,label\n,accept,dog\n", "d.csv:2: image is empty"),
        ("image,action,label\na,accept\n", "d.csv:2: number of fields is 2, in the header 3"),
        ('image,action,label\n"a,accept,x\n', "d.csv:2: a quote"),
    ],
)
def test_a_wrong_csv_is_named_by_its_line(tmp_path: Path, text: str, message: str):
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(ReportError) as found:
        read_decisions(tmp_path / "d.csv")
    assert message in str(found.value)
    assert "\n" not in str(found.value)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ReportError, match=r"d\.csv: no such file"):
        read_decisions(tmp_path / "d.csv")
    with pytest.raises(OutputError, match="there is no folder .*no; make it"):
        write_decisions_csv(tmp_path / "no" / "d.csv", [])
