"""The report: exact round trips in every format, refusals in one line, nothing half-written."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report_data
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labelclean.errors import LabelcleanError
from labelclean.report import files
from labelclean.report.meta import ConfusablePair
from labelclean.report.report import (
    COLUMNS,
    Report,
    check_can_write,
)

EMPTY = {"near_duplicate_of": "", "reason": "", "no_class_score": math.nan}
FILLED = [name for name in COLUMNS if name not in EMPTY]
ENDINGS = [".csv", ".tsv", ".jsonl", ".parquet"]
ROWS = [
    ("a.png", "cat", "dog", True, 0.01, 0.987654321, 0.9, "cat", -0.75, "ok", ""),
    ("007", "NA", "NA", False, 0.9, 1e-7, 0.25, "null", 0.5, "ok", ""),
    ("b/c.png", "dog", "dog", False, None, None, None, None, None, "missing", "held_out"),
    ("d.png", None, "cat", False, None, None, 0.5, "", None, "duplicate_of:a.png", ""),
]
HOSTILE = ["=cmd()", "+1", "-1", "@x", "\tx", "\rx", " =1", "'", "''=1", "'=1", "007", "NA", "null"]
HOSTILE += ["", "nan", "True", "1e5", 'say "hi"', "a,b\nc\r\nd", "😀", "\u2028x", "\ufeffx", "＝1"]

names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8))  # text has no lone surrogates
shares = st.one_of(st.none(), st.floats(0, 1))
rows = st.lists(
    st.tuples(
        *(names, names, names, st.booleans(), shares, shares, shares, names, shares, names, names),
    ),
    max_size=5,
)


def report_of(rows=ROWS, **changes):
    made = {
        "config": {"epochs": 3, "threshold": None, "folder": Path("x"), "lr": (0.1, math.inf)},
        "seed": 7,
        "versions": {"labelclean": "0.1"},
        "seconds": {"train": 1.23456789},
        "noise_rate_interval": (0.15, 0.25),
        "transition_matrix": ((0.9, 0.1), (0.2, 0.8)),
        "confusable_pairs": (ConfusablePair(given="cat", suggested="dog", count=1, share=1 / 3),),
    }
    return report_data.report_of(rows, **(made | changes))


def same(one: Report, other: Report) -> bool:
    pd.testing.assert_frame_equal(one.frame, other.frame, check_exact=True)
    return one.meta == other.meta


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_report_reads_back_as_it_was_written(ending, tmp_path):
    report = report_of(notes=("a [b]note",), self_test={"recall": 0.5}, checkpoint="run/last.pt")
    report.write(tmp_path / f"r{ending}")
    back = Report.read(tmp_path / f"r{ending}")
    assert same(report, back)
    assert back.frame["is_label_issue"].dtype == bool
    assert back.meta.notes == ("a [b]note",)
    assert back.meta.counts == {"ok": 2, "missing": 1, "duplicate_of": 1}


@settings(max_examples=60, deadline=None)
@given(rows)
@example([(name,) * 3 + (True, 0.5, 0.5, 0.5, name, 0.5, name, name) for name in HOSTILE])
def test_names_and_figures_read_back_exactly_in_every_format(tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("r")
    report = report_of(drawn)
    for ending in ENDINGS:
        path = folder / f"report{ending}"
        report.write(path, force=True)
        assert same(report, Report.read(path))
        for row, cells in zip(drawn, Report.read(path).frame.itertuples(index=False), strict=True):
            texts = [value for value in row if isinstance(value, str)]
            assert [*texts, "", ""] == [value for value in cells if isinstance(value, str)]


@settings(max_examples=200, deadline=None)
@given(names)
def test_no_csv_cell_begins_like_a_formula_and_each_is_restored(name):
    cell = files.neutralised(name)
    assert cell.lstrip(" ")[:1] not in tuple("=+-@\t\r\n＝＋－＠")
    assert files.restored(cell) == name


def test_a_name_whose_apostrophe_we_did_not_set_stays():
    assert files.restored("'tis.png") == "'tis.png"


def test_the_csv_file_as_another_program_sees_it(tmp_path):
    report_of([("=1+1", "a,b", 'say "x"', True, 0.1234567, 1.0, 1e-9, "'q", -0.5, "ok", "")]).write(
        tmp_path / "r.csv"
    )
    text = (tmp_path / "r.csv").read_bytes().decode()
    assert text == (
        "image,given_label,suggested_label,is_label_issue,label_score,issue_probability,"
        "suggested_probability,second_label,margin,status,flags,near_duplicate_of,reason,"
        "no_class_score\n"
        '\'=1+1,"a,b","say ""x""",True,0.123457,1,1e-09,\'\'q,-0.5,ok,,,,\n'
    )
    assert pd.read_csv(tmp_path / "r.csv")["is_label_issue"].dtype == bool


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_report_without_the_newer_columns_reads_as_one_where_they_are_empty(ending, tmp_path):
    path = tmp_path / f"r{ending}"
    report_of().write(path)
    older = report_of().frame.drop(columns=["flags", *EMPTY])
    path.write_bytes(files.encode(older, path))
    read = Report.read(path).frame
    assert read["flags"].tolist() == [""] * len(ROWS)
    assert read["no_class_score"].dtype == float and read["no_class_score"].isna().all()


def test_figures_have_six_digits_and_zero_no_sign():
    frame = report_of(
        [("a", "b", "b", False, 0.1234567, 1.0, 1 / 3, "", -1e-320 * 0, "ok", "")]
    ).frame
    figures = frame.select_dtypes(float).drop(columns="no_class_score").iloc[0].tolist()
    assert list(map(str, figures)) == ["0.123457", "1.0", "0.333333", "0.0"]


def test_json_lines_and_parquet_hold_names_unchanged_and_null_for_no_figure(tmp_path):
    report = report_of([("=1", "a", "b", True, None, 0.5, 0.5, "", 0.5, "ok", "")])
    report.write(tmp_path / "r.jsonl")
    report.write(tmp_path / "s.parquet")
    row = json.loads((tmp_path / "r.jsonl").read_text(encoding="utf-8"))
    assert (row["image"], row["label_score"], row["is_label_issue"]) == ("=1", None, True)
    frame = pd.read_parquet(tmp_path / "s.parquet")
    assert frame["image"][0] == "=1" and np.isnan(frame["label_score"][0])
    assert list(frame.columns) == list(row) == list(COLUMNS)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_report_has_the_same_bytes(ending, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        report_of().write(tmp_path / folder / f"r{ending}")
    for name in (f"r{ending}", "r.meta.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_a_file_name_that_is_no_utf8_reads_back_as_it_was(ending, tmp_path):
    name = os.fsdecode(b"\xff\xe9.png")
    report_of([(name, "a", "a", False, 0.5, 0.5, 0.5, "b", 0.5, "ok", "")]).write(
        tmp_path / f"r{ending}"
    )
    assert Report.read(tmp_path / f"r{ending}").frame["image"][0] == name


def test_parquet_refuses_a_file_name_that_is_no_utf8_and_leaves_nothing(tmp_path):
    report = report_of([("\udcff.png", "a", "a", False, 0.5, 0.5, 0.5, "b", 0.5, "ok", "")])
    message = refused(report.write, tmp_path / "r.parquet")
    assert "broken UTF-8 such as image '\\udcff.png'; choose a report that ends in .csv" in message
    assert os.listdir(tmp_path) == []


def test_dash_writes_csv_to_standard_output_and_no_meta(tmp_path, monkeypatch, capsysbinary):
    monkeypatch.chdir(tmp_path)
    report_of().write("-")
    report_of().write(tmp_path / "r.csv")
    assert capsysbinary.readouterr().out == (tmp_path / "r.csv").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["r.csv", "r.meta.json"]


def test_a_frame_of_pandas_own_types_makes_the_same_report():
    frame = pd.DataFrame(ROWS, columns=FILLED).assign(**EMPTY)
    meta = report_of().meta
    assert same(Report(frame=frame, meta=meta), report_of())
    assert same(Report(frame=frame.convert_dtypes(), meta=meta), report_of())


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_that_name_an_image_again_are_in_the_file_and_not_in_the_frame(ending, tmp_path):
    again = ("a.png", "cat", "cat", False, None, None, None, "", None, "repeated", "")
    rows = [ROWS[0], again, *ROWS[1:], again]
    report = report_of(rows)
    assert report.frame["image"].tolist() == [row[0] for row in ROWS]
    assert report.meta.counts["repeated"] == 2
    report.write(tmp_path / f"r{ending}")
    found = Report.read(tmp_path / f"r{ending}")
    assert found.to_frame()["image"].tolist() == [row[0] for row in rows]
    assert found.to_frame()["status"].tolist() == [row[9] for row in rows]
    assert len(found) == len(ROWS) and same(found, report)
    found.write(tmp_path / f"s{ending}")
    assert (tmp_path / f"s{ending}").read_bytes() == (tmp_path / f"r{ending}").read_bytes()


def test_to_frame_is_a_copy():
    report = report_of()
    frame = report.to_frame()
    frame.loc[0, "image"] = "changed"
    assert report.frame["image"][0] == "a.png"


def test_meta_keeps_plain_values_of_the_config():
    assert report_of().meta.config == {
        "epochs": 3,
        "threshold": None,
        "folder": "x",
        "lr": [0.1, None],
    }


# Refusals


def refused(call, *args) -> str:
    with pytest.raises(LabelcleanError) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_existing_report_or_meta_file_stays_without_force(tmp_path):
    path = tmp_path / "r.csv"
    report_of().write(path)
    before = path.read_bytes()
    assert refused(report_of(ROWS[:1]).write, path) == (
        f"{path}: already exists; choose another name, or --force replaces it"
    )
    assert "r.meta.json: already exists" in refused(check_can_write, tmp_path / "r.parquet", False)
    assert path.read_bytes() == before
    report_of(ROWS[:1]).write(path, force=True)
    assert len(Report.read(path)) == 1


@pytest.mark.parametrize(
    "name, words",
    [
        ("nowhere/r.csv", "nowhere/r.csv: there is no folder {folder}/nowhere; make it"),
        ("r.xls", "r.xls: a report ends in .csv, .tsv, .parquet or .jsonl, not '.xls'"),
        ("r", "r: a report ends in .csv, .tsv, .parquet or .jsonl, not 'nothing'"),
        ("folder.csv", "folder.csv: is a folder; choose another name"),
        ("file/r.csv", "file/r.csv: there is no folder {folder}/file; make it"),
        ("x" * 300 + ".csv", "cannot be written: File name too long; choose another place"),
        ("a\nb.xls", "a\\nb.xls: a report ends in"),
    ],
)
def test_a_place_that_cannot_be_written_is_named_before_the_work(name, words, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    for call in (check_can_write, report_of().write):
        assert words.format(folder=tmp_path) in refused(call, tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    assert "Permission denied" in refused(check_can_write, tmp_path / "r.csv")
    tmp_path.chmod(0o700)


def test_a_folder_in_which_no_file_can_be_made_is_refused(tmp_path, monkeypatch):
    def mkdir(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert "r.csv: cannot be written: Permission denied; choose another place" in refused(
        check_can_write, tmp_path / "r.csv"
    )


def test_check_can_write_leaves_nothing(tmp_path):
    check_can_write(tmp_path / "r.csv")
    check_can_write("-")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_disk_that_fills_while_writing_leaves_nothing(call, at, tmp_path, monkeypatch):
    real, calls = getattr(os, call), []

    def full(*args):
        calls.append(args)
        if len(calls) == at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args)

    monkeypatch.setattr(os, call, full)
    message = refused(report_of().write, tmp_path / "r.csv")
    assert message == (
        f"{tmp_path / 'r.csv'}: cannot be written: No space left on device; "
        "free some space, or choose another place"
    )
    assert os.listdir(tmp_path) == []


def test_a_failed_overwrite_leaves_the_earlier_report(tmp_path, monkeypatch):
    path = tmp_path / "r.csv"
    report_of().write(path)

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(report_of(ROWS[:1]).write, path, True)
    assert same(Report.read(path), report_of())
    assert sorted(os.listdir(tmp_path)) == ["r.csv", "r.meta.json"]


def test_an_interrupt_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        report_of().write(tmp_path / "r.csv")
    assert os.listdir(tmp_path) == []


def test_a_report_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "other").touch()
    report_of().write(tmp_path / "r.csv")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def spoiled(folder: Path, ending: str, change) -> str:
    path = folder / f"r{ending}"
    report_of().write(path)
    path.write_bytes(change(path.read_bytes()))
    return refused(Report.read, path).removeprefix(f"{folder}{os.sep}")


@pytest.mark.parametrize(
    "ending, change, words",
    [
        (".csv", lambda b: b"x,y\n1,2\n", "r.csv: not a labelclean report; give what filter wrote"),
        (
            ".csv",
            lambda b: b"",
            "r.csv: is empty: a header line such as image,label",
        ),
        (
            ".csv",
            lambda b: b.replace(b"margin", b"gap").replace(b"status", b"s"),
            "r.csv: no column margin, status; a report keeps all its columns",
        ),
        (
            ".csv",
            lambda b: b.replace(b",-0.75,", b",wide,"),
            "r.csv:2: margin is 'wide', must be a number or empty",
        ),
        (
            ".csv",
            lambda b: b.replace(b"True", b"yes"),
            "r.csv:2: is_label_issue is 'yes', must be True or False",
        ),
        (
            ".csv",
            lambda b: b.replace(b"cat,dog", b"cat"),
            "r.csv:2: number of fields is 13, in the header 14: write all of them",
        ),
        (
            ".csv",
            lambda b: b + b'"open',
            'r.csv:6: a quote " is opened in this row',
        ),
        (".jsonl", lambda b: b + b"{", "r.jsonl:5: not valid JSON: Expecting property name"),
        (".jsonl", lambda b: b"[]\n", "r.jsonl:1: each line must be an object such as"),
        (
            ".jsonl",
            lambda b: b.replace(b'"a.png"', b"5"),
            "r.jsonl:1: image is '5', must be text",
        ),
        (
            ".jsonl",
            lambda b: b.replace(b"-0.75", b"1" + 400 * b"0"),
            "r.jsonl:1: margin is '1",
        ),
        (".parquet", lambda b: b[:-9], "r.parquet: not readable as parquet: Parquet magic bytes"),
        (".parquet", lambda b: b"", "r.parquet: not readable as parquet: Parquet file size is 0"),
    ],
)
def test_a_spoiled_report_says_where_and_what(ending, change, words, tmp_path):
    assert spoiled(tmp_path, ending, change).startswith(words)


def test_a_parquet_cell_of_another_type_is_named_by_its_row(tmp_path):
    report_of().write(tmp_path / "r.parquet")
    frame = pd.read_parquet(tmp_path / "r.parquet")
    frame["label_score"] = ["low", "x", "y", "z"]
    frame.to_parquet(tmp_path / "r.parquet")
    assert refused(Report.read, tmp_path / "r.parquet").endswith(
        "r.parquet row 0 (from 0): label_score is 'low', must be a number or empty"
    )


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda m: m | {"schema_version": 2}, "schema version 2, this labelclean reads 1; update"),
        (lambda m: m | {"schema_version": 0}, "schema version 0, this labelclean reads 1; run fil"),
        (lambda m: {}, "not the meta file of a report; run filter again"),
        (lambda m: [], "not the meta file of a report; run filter again"),
        (lambda m: {k: v for k, v in m.items() if k != "seed"}, "damaged (no 'seed'); restore it"),
        (
            lambda m: m | {"class_names": "cat"},
            "damaged (class_names is 'cat', must be a list)",
        ),
        (
            lambda m: m | {"class_names": [1]},
            "damaged (class_names.0 is 1, must be text)",
        ),
        (lambda m: m | {"noise_rate_interval": [1]}, "damaged (no 'noise_rate_interval.1')"),
        (lambda m: m | {"confusable_pairs": [{}]}, "damaged ("),
        (lambda m: m | {"transition_matrix": [["x"]]}, "damaged ("),
    ],
)
def test_a_spoiled_meta_file_says_what(change, words, tmp_path):
    report_of().write(tmp_path / "r.csv")
    meta = tmp_path / "r.meta.json"
    meta.write_text(json.dumps(change(json.loads(meta.read_bytes()))))
    message = refused(Report.read, tmp_path / "r.csv")
    assert message.removeprefix(f"{meta}: ").startswith(words)


def test_a_missing_report_or_meta_file_is_named(tmp_path):
    path = tmp_path / "r.csv"
    assert refused(Report.read, path) == (
        f"{path}: no such report; give the file that filter wrote"
    )
    report_of().write(path)
    (tmp_path / "r.meta.json").unlink()
    assert refused(Report.read, path) == (
        f"{tmp_path / 'r.meta.json'}: missing; it belongs beside r.csv, copy it there"
    )
    (tmp_path / "d.csv").mkdir()
    assert "cannot be read: Is a directory" in refused(Report.read, tmp_path / "d.csv")


def test_a_report_that_a_spreadsheet_saved_reads_as_before(tmp_path):
    path = tmp_path / "r.csv"
    report_of().write(path)
    with open(path, encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    with open(path, "w", encoding="utf-8-sig", newline="") as file:  # byte order mark, \r\n, TRUE
        csv.writer(file).writerows(
            [[{"True": "TRUE", "False": "FALSE"}.get(cell, cell) for cell in row] for row in table]
            + [[]]
        )
    assert same(Report.read(path), report_of())


@pytest.mark.parametrize(
    "column, cells",
    [
        ("label_score", [math.inf] * 4),
        ("image", [1, 2, 3, 4]),
        ("is_label_issue", [True, False, None, True]),
    ],
)
def test_a_frame_that_is_no_report_is_a_value_error(column, cells):
    frame = pd.DataFrame(ROWS, columns=FILLED).assign(**EMPTY)
    frame[column] = pd.Series(cells, dtype=object)
    with pytest.raises(ValueError, match=column):
        Report(frame=frame, meta=report_of().meta)
    with pytest.raises(ValueError, match="columns"):
        Report(frame=frame[list(COLUMNS)[::-1]], meta=report_of().meta)
