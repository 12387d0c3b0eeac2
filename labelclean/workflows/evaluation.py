"""A report, ours or another tool's, or predictions against the true labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from labelclean.errors import ReportError, printable
from labelclean.progress import Reporter
from labelclean.report.classification import Classification, measure_predicted
from labelclean.report.figure_folder import check_can_write_figures, write_figures
from labelclean.report.foreign import AnyReport, read_any, truth_rows, with_right_ones
from labelclean.report.judged import JudgedRows, judged_rows
from labelclean.report.prediction_files import PredictedLabels
from labelclean.report.quality import Quality, evaluate
from labelclean.sources.rows import Rows
from labelclean.tables.packed_names import PackedNames
from labelclean.tables.table import Texts
from labelclean.workflows.truth import read_truth

BOOTSTRAP = 200  # resamplings for the intervals
CONFUSION = "confusion.png"


def evaluate_report(
    report: str | Path,
    truth: str | Path,
    *,
    image_col: str | None = None,
    label_col: str | None = None,
    given: str | Path | None = None,
    plots: str | Path | None = None,
    force: bool = False,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> Quality:
    """The quality of the report at that path; rows without a true label are left out.

    report     of ours, or of another tool with cleanlab's column names
    truth      table of the images, named as in the report, and their true labels
    image_col  of the truth, as label_col
    given      table of the given labels, for a report that lists the issues alone: its other
               images count as judged right
    plots      folder for the plots, made if need be
    force      plots that are there are replaced

    Raises ReportError or SourceError if one of them cannot be read or written, or they share no
    image or no label.
    """
    reporter = reporter or Reporter()
    if plots is not None:
        from labelclean.report.quality_plots import NAMES

        check_can_write_figures(Path(plots), NAMES, force)
    truth = Path(truth)
    names, true_labels = _named(read_truth(truth, image_col, label_col))
    read = read_any(Path(report))
    places, how = truth_rows(read, names)
    true_labels.append(None)  # of place -1
    labels = [true_labels[k] for k in places.tolist()]
    is_absent = np.ones(len(names), dtype=np.bool_)
    is_absent[places[places >= 0]] = False
    absent = np.flatnonzero(is_absent).tolist()
    note = f"{len(absent):,} images of the truth are not in the report" if absent else ""
    if given is not None:
        read, more = _with_absent(read, [names[k] for k in absent], Path(given))
        labels += [true_labels[absent[k]] for k in more]
        note = f"judged right, as they are not in the report: {len(more):,} images"
    elif absent and read.frame.get("is_label_issue", pd.Series([False])).all():
        note += ", which lists issues alone: --given LABELS counts them as judged right"
    del names, true_labels  # the names of ten million rows take two gigabytes
    read = replace(read, images=None, index=None)
    rows = judged_rows(read.frame, labels, read.class_names)
    _check_labels(rows, read.path, truth)
    with reporter.stage("evaluate") as advance:
        quality = evaluate(
            rows,
            noise_rate=read.noise_rate,
            transition=read.transition,
            bootstrap=BOOTSTRAP,
            seed=seed,
            advance=advance,
        )
    notes = [
        how,
        note,
        "AUROC is below one half: is a low label_score suspicious in this report?"
        if quality.auroc.value < 0.5
        else "",
        *read.notes,
    ]
    quality = replace(quality, notes=tuple(filter(None, notes)))
    if plots is not None:
        _draw(Path(plots), rows, quality, reporter)
    return quality


def _named(truth: Rows) -> tuple[PackedNames, Texts]:
    """Names and labels alone: with more of the table, ten million rows would take a GB more."""
    return PackedNames(truth.names), list(truth.labels)


def _with_absent(report: AnyReport, names: list[str], given: Path) -> tuple[AnyReport, list[int]]:
    """The report with a row for each of the images that has a given label, and which have."""
    table = read_truth(given)
    labels = dict(zip(table.names, table.labels, strict=True))
    rows = [k for k, name in enumerate(names) if labels.get(name)]
    if names and not rows:
        raise ReportError(
            f"{printable(given)}: names none of the {len(names):,} images that are not in "
            f"{printable(report.path)}, such as {printable(names[0])}; give the table that the "
            "labels came in"
        )
    return with_right_ones(report, [labels[names[k]] or "" for k in rows]), rows


def evaluate_predictions(
    predicted: PredictedLabels,
    path: Path,
    truth: str | Path,
    *,
    image_col: str | None = None,
    label_col: str | None = None,
    plots: str | Path | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
) -> Classification:
    """How good a classifier is by the predictions of that path, which `predict` wrote.

    The options are those of evaluate_report. Images without a true label are left out, and those
    that could not be read.

    Raises ReportError or SourceError if the truth cannot be read or names none of the images.
    """
    reporter = reporter or Reporter()
    if plots is not None:
        check_can_write_figures(Path(plots), (CONFUSION,), force)
    truth = Path(truth)
    truths = read_truth(truth, image_col, label_col)
    known, first = dict(zip(truths.names, truths.labels, strict=True)), truths.names[0]
    images = [image.replace("\\", "/") for image in predicted.images]
    if not any(image in known for image in images):
        raise ReportError(
            f"the truth names no image of {printable(path)}: its first is {printable(first)}, "
            f"the predictions' {printable(next(iter(images), 'none'))}; write the same names in "
            "both"
        )
    rows = [row for row, image in enumerate(images) if predicted.labels[row] and known.get(image)]
    sure = predicted.probability[rows]
    wrong = np.flatnonzero(~((sure >= 0) & (sure <= 1)))
    if len(wrong):
        image = images[rows[wrong[0]]]
        raise ReportError(
            f"{printable(path)}: the probability of {printable(image)} is {sure[wrong[0]]:g}, must "
            "be from 0 to 1; run predict again"
        )
    said, true = [predicted.labels[row] for row in rows], [known[images[row]] for row in rows]
    class_names = tuple(sorted({*said, *filter(None, true)}))
    if not set(said) & set(true):
        raise ReportError(
            f"{printable(path)}: none of its labels is a true label in {printable(truth)}; write "
            "the same names in both"
        )
    numbers = {name: k for k, name in enumerate(class_names)}
    figures = measure_predicted(
        np.array([numbers[label] for label in said]),
        sure,
        np.array([numbers[label or ""] for label in true]),
        class_names,
    )
    left_out = len(images) - len(rows)
    if left_out:
        reporter.note(f"left out, for want of a true label or an image: {left_out:,} rows")
    if plots is not None:
        from labelclean.report.confusion_plot import confusion_png

        write_figures(Path(plots), (CONFUSION,), {CONFUSION: confusion_png(figures)})
        reporter.note(f"plots: {printable(Path(plots) / CONFUSION)}")
    return figures


def _check_labels(rows: JudgedRows, report: Path, truth: Path) -> None:
    """Raises ReportError if the two name the classes differently: all would seem wrong."""
    given, true = set(rows.given.tolist()), set(rows.truth.tolist())
    if len(rows) and not given & true:
        one, other = (printable(rows.class_names[min(numbers)]) for numbers in (given, true))
        raise ReportError(
            f"{printable(report)}: none of its given labels, such as '{one}', is a true label in "
            f"{printable(truth)}, such as '{other}'; write the same names in both"
        )


def _draw(folder: Path, rows: JudgedRows, quality: Quality, reporter: Reporter) -> None:
    from labelclean.report.quality_plots import NAMES, quality_plots

    with reporter.stage("plots"):
        drawn = quality_plots(rows, quality)
        if not drawn:
            raise ReportError(
                f"--plots {printable(folder)}: nothing to draw: no row has both a true label and "
                "a label_score or an issue_probability"
            )
        write_figures(folder, NAMES, drawn)
    reporter.note(f"plots: {', '.join(printable(folder / name) for name in drawn)}")
