"""labelclean evaluate, from files to figures, and what it says when it can't."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from labelclean.cli import app
from labelclean.errors import LabelcleanError
from labelclean.progress import Reporter
from labelclean.workflows import evaluation
from labelclean.workflows.evaluation import evaluate_report


@pytest.fixture(autouse=True)
def few_resamplings(monkeypatch):
    monkeypatch.setattr(evaluation, "BOOTSTRAP", 10)


def write_pair(folder: Path, n: int = 60, **changed) -> tuple[Path, Path]:
    """theirs.csv with cleanlab's columns, a tenth of the labels wrong and found; truth.csv."""
    names = np.array(["cat", "dog", "emu"])
    truth, wrong = np.arange(n) % 3, np.arange(n) % 10 == 0
    columns = {
        "image": [f"{k}.png" for k in range(n)],
        "given_label": names[(truth + wrong) % 3],
        "predicted_label": names[truth],
        "is_label_issue": wrong,
        "label_score": np.where(wrong, 0.1, 0.9),
    } | changed
    frame = pd.DataFrame({name: cells for name, cells in columns.items() if cells is not None})
    frame.to_csv(folder / "theirs.csv", index=False)
    truths = pd.DataFrame({"image": [f"{k}.png" for k in range(n)], "label": names[truth]})
    truths.to_csv(folder / "truth.csv", index=False)
    return folder / "theirs.csv", folder / "truth.csv"


def run(*args: object):
    return CliRunner().invoke(app, ["evaluate", *map(str, args)])


def test_a_perfect_report_of_another_tool_has_perfect_figures(tmp_path: Path):
    quality = evaluate_report(*write_pair(tmp_path))
    assert (quality.rows, quality.wrong_labels) == (60, 6)
    for figure in ("average_precision", "average_precision_clean", "auroc", "f1"):
        estimate = getattr(quality, figure)
        assert (estimate.value, estimate.low, estimate.high) == (1, 1, 1)
    assert quality.suggestion_accuracy.value == quality.corrected_accuracy.value == 1
    assert quality.fnr_at_noise_rate.value == 0
    assert [each.given_label for each in quality.per_class] == ["dog", "emu", "cat"]
    assert [each.wrong_labels for each in quality.per_class] == [2, 2, 2]


def test_json_has_null_for_what_is_not_available_and_every_class(tmp_path: Path):
    done = run(*_with_truth(write_pair(tmp_path)), "--json", "--quiet")
    assert done.exit_code == 0 and done.stderr == ""
    figures = json.loads(done.stdout)
    absent = ("transition_error", "expected_calibration_error", "brier", "noise_rate_error")
    assert all(figures[name] is None and f"{name}_interval" not in figures for name in absent)
    assert figures["estimated_noise_rate"] is None and figures["noise_rate"] == 0.1
    assert {each["given_label"] for each in figures["per_class"]} == {"cat", "dog", "emu"}
    assert len(figures["notes"]) == 2


def test_the_table_says_what_is_not_available(tmp_path: Path):
    done = run(*_with_truth(write_pair(tmp_path, image=None)))
    assert done.exit_code == 0
    assert done.stdout.count("not available ") == 4
    assert "note: rows are matched by their order" in done.stdout
    assert "note: theirs.csv has no column issue_probability" in done.stdout


def test_plots_appear_with_the_figures_and_are_named_on_stderr(tmp_path: Path):
    pair = _with_truth(write_pair(tmp_path))
    folder = tmp_path / "plots"
    done = run(*pair, "--plots", folder, "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["f1"] == 1
    written = sorted(path.name for path in folder.iterdir())
    assert written == ["precision_recall.png", "score_histograms.png"]
    assert all(name in done.stderr for name in written)
    again = run(*pair, "--plots", folder)
    assert again.exit_code == 2 and "already exists" in again.stderr and again.stdout == ""
    assert run(*pair, "--plots", folder, "--force").exit_code == 0


def test_a_report_with_nothing_to_draw_leaves_no_folder(tmp_path: Path):
    report, truth = write_pair(tmp_path, label_score=None)
    with pytest.raises(LabelcleanError, match="nothing to draw"):
        evaluate_report(report, truth, plots=tmp_path / "plots")
    assert not (tmp_path / "plots").exists()


def test_progress_is_told_for_every_resampling(tmp_path: Path):
    told = []

    class Listening(Reporter):
        def _shown(self, name):
            from contextlib import nullcontext

            return nullcontext(lambda done, total, words: told.append((name, done, total)))

    evaluate_report(*write_pair(tmp_path), reporter=Listening())
    assert told[-1] == ("evaluate", 9, 10)


def test_scores_the_wrong_way_round_and_images_without_a_row_are_noted(tmp_path: Path):
    report, truth = write_pair(tmp_path, label_score=(np.arange(60) % 10 == 0).astype(float))
    lines = report.read_text().splitlines()
    report.write_text("\n".join(lines[:51]) + "\n")
    notes = evaluate_report(report, truth).notes
    assert "10 images of the truth are not in the report" in notes
    assert any("is a low label_score suspicious" in note for note in notes)


def issues_alone(folder: Path) -> tuple[Path, Path, Path]:
    """theirs.csv with the rows of issues only, one of seven wrong labels overlooked; labels.csv."""
    report, truth = write_pair(folder)
    frame = pd.read_csv(report)
    labels = frame[["image", "given_label"]].rename(columns={"given_label": "label"})
    labels.to_csv(folder / "labels.csv", index=False)
    frame[frame["is_label_issue"]].iloc[1:].to_csv(report, index=False)
    return report, truth, folder / "labels.csv"


def test_a_table_of_the_issues_alone_says_that_it_overlooks_what_it_lacks(tmp_path: Path):
    report, truth, _ = issues_alone(tmp_path)
    notes = evaluate_report(report, truth).notes
    assert any("55 images" in note and "--given LABELS counts them" in note for note in notes)


@pytest.mark.parametrize("by_index", [False, True])
def test_what_a_table_of_issues_lacks_counts_as_judged_right(by_index: bool, tmp_path: Path):
    report, truth, labels = issues_alone(tmp_path)
    if by_index:
        frame = pd.read_csv(report)
        frame.index = frame.pop("image").str.removesuffix(".png").astype(int)
        frame.rename_axis(None).to_csv(report)
    quality = evaluate_report(report, truth, given=labels)
    assert (quality.rows, quality.wrong_labels) == (60, 6)
    assert quality.recall.value == pytest.approx(5 / 6) and quality.precision.value == 1
    assert quality.average_precision.value < 1
    assert "judged right, as they are not in the report: 55 images" in quality.notes


def test_given_labels_of_other_images_are_refused(tmp_path: Path):
    report, truth, labels = issues_alone(tmp_path)
    labels.write_text(labels.read_text().replace(".png", ".jpg"))
    done = run(report, "--truth", truth, "--given", labels)
    assert done.exit_code == 2 and "names none of the 55 images that are not in" in done.stderr


def test_what_the_user_can_mend_is_one_line_that_says_where(tmp_path: Path):
    report, truth = write_pair(tmp_path)
    text = truth.read_text()
    numbers = text.replace("cat", "0").replace("dog", "1").replace("emu", "2")
    for content, says in (
        (text + "\n3.png,dog\n", "truth.csv:63: 3.png is 'dog' here and 'cat' before"),
        (numbers, "none of its given labels, such as 'dog', is a true label in"),
        (text.replace(".png", ".jpg"), "its first is 0.jpg, the report's 0.png"),
        ("x,y\n1,2\n", "no column for image paths"),
    ):
        truth.write_text(content)
        done = run(report, "--truth", truth)
        assert done.exit_code == 2 and done.stdout == ""
        assert says in done.stderr and done.stderr.count("\n") == 1, done.stderr
    done = run(report, "--truth", tmp_path / "gone.csv")
    assert done.exit_code == 2 and "no such file" in done.stderr


def _with_truth(pair: tuple[Path, Path]) -> tuple[Path, str, Path]:
    return pair[0], "--truth", pair[1]
