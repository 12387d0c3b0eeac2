"""Reports of other tools: which column means what, how rows find their truth, what is refused."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_data import meta_of

from labelclean.errors import LabelcleanError, ReportError
from labelclean.report.foreign import read_any, truth_rows
from labelclean.report.meta import meta_path
from labelclean.report.report import COLUMNS, Report
from labelclean.tables.packed_names import PackedNames

CLEANLAB = {
    "is_label_issue": [False, True, False],
    "label_quality": [0.9, 0.1, 0.6],
    "given_label": ["cat", "dog", "cat"],
    "predicted_label": ["cat", "cat", "dog"],
}


def saved(folder: Path, columns, name="theirs.csv", index=False) -> Path:
    path, frame = folder / name, pd.DataFrame(columns)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=index)
    return path


def own_report(names=("a.png", "=b.png")) -> Report:
    columns = dict.fromkeys(COLUMNS, ["", ""]) | {
        "image": list(names),
        "given_label": ["cat", "dog"],
        "suggested_label": ["cat", "cat"],
        "is_label_issue": [False, True],
        "label_score": [0.9, 0.1],
        "issue_probability": [0.1, 0.9],
        "suggested_probability": [0.9, 0.9],
        "margin": [0.5, 0.5],
        "status": ["ok", "ok"],
    }
    meta = meta_of(
        class_names=("dog", "cat"),
        image_root=None,
        noise_rate=0.25,
        noise_rate_interval=(0.2, 0.3),
        transition_matrix=((0.9, 0.1), (0.2, 0.8)),
    )
    return Report.from_columns(columns, meta)


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.parquet", "x.jsonl"])
def test_cleanlabs_columns_are_read_from_every_kind_of_file(tmp_path: Path, name: str):
    if name == "x.tsv":
        path = tmp_path / name
        pd.DataFrame(CLEANLAB).to_csv(path, sep="\t", index=False)
    else:
        path = saved(tmp_path, CLEANLAB, name)
    found = read_any(path)
    assert found.frame.to_dict("list") == {
        "given_label": ["cat", "dog", "cat"],
        "label_score": [0.9, 0.1, 0.6],
        "is_label_issue": [False, True, False],
        # a prediction suggests only where the verdict is that the given label is wrong
        "suggested_label": ["cat", "cat", "cat"],
    }
    assert found.images is None and found.index is None and found.noise_rate is None
    assert "no column issue_probability: calibration and the noise rate" in found.notes[0]
    assert found.notes[1] == "x.meta.json is not there: transition error is not available"


def test_without_a_verdict_every_prediction_is_a_suggestion_and_integers_are_names(tmp_path):
    columns = {"Given Label": [0, 1], "label-score": [0.5, math.nan], "predicted_label": [0, 0]}
    found = read_any(saved(tmp_path, columns))
    assert found.frame["given_label"].tolist() == ["0", "1"]
    assert found.frame["suggested_label"].tolist() == ["0", "0"]
    assert found.frame["label_score"].isna().tolist() == [False, True]
    assert "no column is_label_issue: precision, recall and F1" in found.notes[0]


def test_the_export_of_cleanlab_studio_is_read(tmp_path: Path):
    columns = {
        "path": ["a.png", "b.png"],
        "label": ["cat", "dog"],
        "is_label_issue": [False, True],
        "label_issue_score": [0.1, 0.8],
        "suggested_label": [None, "cat"],
        "suggested_label_confidence_score": [0.2, 0.9],
        "outlier_score": [0.1, 0.2],
    }
    found = read_any(saved(tmp_path, columns))
    assert found.frame["given_label"].tolist() == ["cat", "dog"]
    assert found.frame["label_score"].tolist() == pytest.approx([0.9, 0.2])  # high is suspicious
    assert found.frame["suggested_label"].tolist() == ["cat", "cat"]
    assert found.images == ("a.png", "b.png")
    assert "given labels: column 'label'" in found.notes


def test_our_report_keeps_its_meta_and_reads_without_it(tmp_path: Path):
    own_report().write(tmp_path / "r.csv")
    whole = read_any(tmp_path / "r.csv")
    assert (whole.noise_rate, whole.class_names, whole.notes) == (0.25, ("dog", "cat"), ())
    np.testing.assert_allclose(whole.transition, [[0.9, 0.1], [0.2, 0.8]])
    meta_path(tmp_path / "r.csv").unlink()
    alone = read_any(tmp_path / "r.csv")
    assert alone.images == whole.images == ("a.png", "=b.png")
    assert alone.transition is None and len(alone.notes) == 1
    pd.testing.assert_frame_equal(alone.frame, whole.frame[alone.frame.columns])


def test_names_that_are_no_utf8_survive_in_our_report_without_its_meta(tmp_path: Path):
    name = os.fsdecode(b"\xff.png")
    for ending in ("csv", "jsonl"):
        path = tmp_path / f"r.{ending}"
        own_report(("a.png", name)).write(path)
        meta_path(path).unlink()
        assert read_any(path).images == ("a.png", name)


def test_a_meta_file_of_another_report_is_not_used(tmp_path: Path):
    own_report().write(tmp_path / "r.csv")
    found = read_any(saved(tmp_path, CLEANLAB, "r.csv"))
    assert len(found) == 3 and found.transition is None
    assert found.notes[-1].startswith("r.meta.json is of another report")


def test_a_damaged_report_of_ours_is_refused(tmp_path: Path):
    own_report().write(tmp_path / "r.csv")
    text = (tmp_path / "r.csv").read_text()
    (tmp_path / "r.csv").write_text(text.replace(",0.9,0.9,", ",1.5,0.9,"))
    with pytest.raises(
        ReportError, match=r"row 2: issue_probability is '1.5', must be from 0 to 1"
    ):
        read_any(tmp_path / "r.csv")
    (tmp_path / "r.csv").write_text(text.replace("True", "perhaps"))
    with pytest.raises(ReportError, match=r"r.csv:3: is_label_issue is 'perhaps'"):
        read_any(tmp_path / "r.csv")
    meta_path(tmp_path / "r.csv").write_text("{}")
    with pytest.raises(ReportError, match="not the meta file"):
        read_any(tmp_path / "r.csv")


REFUSED = {
    "no column given_label, among 'is_label_issue', 'label_score'; rename what means it, or with "
    "cleanlab's Datalab save get_issues('label')": {"is_label_issue": [True], "label_score": [0.1]},
    r"no column label_score (or label_quality) (or label_issue_score) or is_label_issue, among "
    r"'given_label', 'q\x1b'; rename what means it": {"given_label": ["a"], "q\x1b": [0.1]},
    "no column given_label, and none label_score (or label_quality) (or label_issue_score) or "
    "is_label_issue, among 'text'; rename what means it": {"text": ["a"]},
    "'label_quality' and 'label_score' mean the same; keep one of them": {
        **CLEANLAB,
        "label_score": [1, 2, 3],
    },
    "theirs.csv:2: is_label_issue is 'maybe', must be True or False": {
        "given_label": ["a"],
        "is_label_issue": ["maybe"],
    },
    "theirs.csv:3: label_quality is 'inf', must be a number or empty": {
        "given_label": ["a", "b"],
        "label_quality": ["0.5", "inf"],
    },
    "theirs.csv:2: issue_probability is '-0.1', must be from 0 to 1 or empty": {
        "given_label": ["a"],
        "label_score": [1],
        "issue_probability": [-0.1],
    },
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_called_differently_is_named_in_one_line(tmp_path: Path, message: str):
    path = saved(tmp_path, REFUSED[message])
    with pytest.raises(ReportError) as error:
        read_any(path)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"given_label\n", b"\x00\x01", b'given_label\n"a'])
def test_a_file_that_is_no_table_is_a_problem_the_user_can_fix(tmp_path: Path, content: bytes):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(LabelcleanError):
        read_any(tmp_path / "x.csv")
    with pytest.raises(ReportError, match="no such report"):
        read_any(tmp_path / "gone.csv")


# the truth of each row


def true_labels(report, names, labels):
    places, how = truth_rows(report, PackedNames(names))
    return [None if k < 0 else labels[k] for k in places.tolist()], how


NAMES, TRUTH = ["a.png", "sub/b.png", "c.png"], ["cat", "dog", None]


def test_rows_are_matched_by_names_in_any_order(tmp_path: Path):
    for column in ("image", "file_name", "Path", "id"):
        path = saved(tmp_path, CLEANLAB | {column: ["c.png", "sub\\b.png", "other.png"]})
        assert true_labels(read_any(path), NAMES, TRUTH) == ([None, "dog", None], "")


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_an_index_of_names_or_of_row_numbers_is_used(tmp_path: Path, name: str):
    frame = pd.DataFrame(CLEANLAB, index=["c.png", "a.png", "sub/b.png"])
    by_names = read_any(saved(tmp_path, frame, name, index=True))
    assert true_labels(by_names, NAMES, TRUTH) == ([None, "cat", "dog"], "")
    frame = pd.DataFrame(CLEANLAB).sort_values("label_quality")  # rows 1, 2, 0
    by_numbers = read_any(saved(tmp_path, frame, name, index=True))
    labels, how = true_labels(by_numbers, NAMES, TRUTH)
    assert labels == ["dog", None, "cat"] and "numbers in the index" in how


def test_without_names_rows_are_matched_by_order_if_there_are_as_many(tmp_path: Path):
    found = read_any(saved(tmp_path, CLEANLAB))
    labels, how = true_labels(found, NAMES, TRUTH)
    assert labels == TRUTH and "by their order" in how
    with pytest.raises(ReportError, match="3 rows where the truth has 2; add a column image"):
        true_labels(found, NAMES[:2], TRUTH[:2])


def test_rows_that_match_nothing_are_refused(tmp_path: Path):
    found = read_any(saved(tmp_path, CLEANLAB | {"image": ["x", "y", "z"]}))
    with pytest.raises(
        ReportError, match="names no image of .*: its first is a.png, the report's x;"
    ):
        true_labels(found, NAMES, TRUTH)
    for index in ([0, 1, 7], [0, 1, 1], ["x", "y", "z"]):
        frame = pd.DataFrame(CLEANLAB, index=index)
        found = read_any(saved(tmp_path, frame, index=True))
        with pytest.raises(ReportError, match="its index, which begins with"):
            true_labels(found, NAMES, TRUTH)


def test_columns_of_encoded_images_hold_no_names(tmp_path: Path):
    path = saved(tmp_path, CLEANLAB | {"image": [b"1", b"2", b"3"]}, "x.parquet")
    assert read_any(path).images is None


@pytest.mark.filterwarnings("ignore")  # cleanlab's own, of a pandas newer than it
def test_frames_that_cleanlab_makes_are_read(tmp_path: Path):
    cleanlab = pytest.importorskip("cleanlab", reason="only for examples/benchmark")
    pytest.importorskip("datasets", reason="without it cleanlab has no Datalab")
    from sklearn.metrics import average_precision_score

    from labelclean.report.judged import judged_rows
    from labelclean.report.quality import evaluate

    rng = np.random.default_rng(0)
    names = np.array(["cat", "dog", "emu"])
    truth = np.repeat([0, 1, 2], 60)
    given = truth.copy()
    wrong = rng.choice(180, 30, replace=False)
    given[wrong] = (given[wrong] + 1) % 3
    probs = rng.dirichlet(np.ones(3), 180) + 1.5 * np.eye(3)[truth]
    probs /= probs.sum(axis=1, keepdims=True)
    lab = cleanlab.Datalab({"label": names[given].tolist()}, label_name="label", verbosity=0)
    lab.find_issues(pred_probs=probs, issue_types={"label": {}})
    theirs = lab.get_issues("label")
    theirs.insert(0, "file_name", [f"{k}.png" for k in range(180)])
    images = [f"{k}.png" for k in range(180)]
    for name in ("d.csv", "d.parquet", "d.jsonl"):
        found = read_any(saved(tmp_path, theirs.sample(frac=1, random_state=0), name, index=True))
        labels, _ = true_labels(found, images, names[truth].tolist())
        quality = evaluate(judged_rows(found.frame, labels))
        noisy = given != truth
        assert quality.average_precision.value == pytest.approx(
            average_precision_score(noisy, -theirs["label_score"])
        )
        issue = theirs["is_label_issue"].to_numpy()
        assert quality.precision.value == pytest.approx(noisy[issue].mean())
        followed = np.where(issue, theirs["predicted_label"], names[given]) == names[truth]
        assert quality.corrected_accuracy.value == pytest.approx(followed.mean())
        assert math.isnan(quality.brier.value) and math.isnan(quality.transition_error.value)
    combined = saved(tmp_path, lab.get_issues(), "combined.csv")
    with pytest.raises(ReportError, match=r"no column given_label, .* get_issues\('label'\)"):
        read_any(combined)


@pytest.mark.filterwarnings("ignore")  # as above
def test_a_frame_of_cleanlearning_is_matched_by_its_row_order(tmp_path: Path):
    classification = pytest.importorskip("cleanlab.classification")
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 20)
    points = rng.normal(0, 0.5, (60, 2)) + np.stack([truth * 3, truth % 2 * 3], axis=1)
    given = truth.copy()
    given[::10] = (given[::10] + 1) % 3
    theirs = classification.CleanLearning(LogisticRegression()).find_label_issues(points, given)
    found = read_any(saved(tmp_path, theirs))
    labels, _ = true_labels(found, [f"{k}.png" for k in range(60)], [str(k) for k in truth])
    assert [
        given != true for given, true in zip(found.frame["given_label"], labels, strict=True)
    ] == [k % 10 == 0 for k in range(60)]
    assert json.dumps(found.frame["label_score"].tolist()[:1]) != "[NaN]"
