"""The quality of a report as tables for people."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from labelclean.errors import printable
from labelclean.report.per_class import ClassQuality
from labelclean.report.quality import Estimate, Quality

FIGURES = (
    ("average_precision", "average precision", "of the ranking, wrong labels positive"),
    ("average_precision_clean", "AP, right labels", "of the ranking, right labels positive"),
    ("auroc", "AUROC", "of the ranking, the same for either"),
    ("precision", "precision", "share of the flagged labels that are wrong"),
    ("recall", "recall", "share of the wrong labels that are flagged"),
    ("f1", "F1", "of the two"),
    ("fnr_at_noise_rate", "missed at budget", "wrong labels not among as many most suspicious"),
    ("suggestion_accuracy", "suggestions", "wrong labels for which the true one is suggested"),
    ("corrected_accuracy", "after correction", "labels that are true if every verdict is followed"),
    ("noise_rate_error", "noise rate error", "distance of the estimate"),
    ("transition_error", "transition error", "total variation, mean over classes"),
    ("expected_calibration_error", "calibration error", "of the issue probability, 15 bins"),
    ("brier", "Brier score", "of the issue probability"),
)
NOT_AVAILABLE = "not available"
MOST_CLASSES = 20
WIDTH = 120  # columns of the table of classes at most


def quality_text(quality: Quality) -> str:
    """One line a figure with its 95 % interval, one line a class, the notes."""
    lines = [
        f"{quality.rows:,} labels compared, {quality.wrong_labels:,} of them wrong, "
        f"{quality.left_out:,} rows left out",
        "",
    ]
    for name, words, meaning in FIGURES:
        figure: Estimate = getattr(quality, name)
        interval = "" if figure.low is None else f"{figure.low:.3f} to {figure.high:.3f}"
        is_known = figure.value == figure.value
        value = f"{figure.value:6.3f}   {interval:15}" if is_known else f" {NOT_AVAILABLE:23}"
        lines.append(f"{words:18} {value}  {meaning}")
    if quality.per_class:
        lines += ["", *_class_lines(quality.per_class)]
    if quality.notes:
        lines += ["", *(f"note: {printable(note)}" for note in quality.notes)]
    return "\n".join(line.rstrip() for line in lines)


def _class_lines(classes: tuple[ClassQuality, ...]) -> list[str]:
    """A line for each given label, those with the most wrong ones first."""
    table = Table(title="By given label", title_justify="left", box=None, pad_edge=False)
    table.add_column("label", overflow="fold")
    for heading in (
        "rows", "wrong", "AP", "precision", "recall", "F1", "suggestions", "noise rate", "estimated"
    ):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True)
    for each in sorted(classes, key=lambda each: -each.wrong_labels)[:MOST_CLASSES]:
        figures = (each.average_precision, each.precision, each.recall, each.f1)
        shares = (each.suggestion_accuracy, each.noise_rate, each.estimated_noise_rate)
        table.add_row(
            Text(printable(each.given_label)),
            f"{each.rows:,}",
            f"{each.wrong_labels:,}",
            *("-" if figure != figure else f"{figure:.3f}" for figure in (*figures, *shares)),
        )
    out = io.StringIO()
    Console(file=out, width=WIDTH, force_terminal=False, color_system=None).print(table)
    lines = out.getvalue().splitlines()
    if len(classes) > MOST_CLASSES:
        lines.append(f"and {len(classes) - MOST_CLASSES:,} labels more, see --json")
    return lines
