"""The quality of a report as a table for people."""

from __future__ import annotations

from labelclean.report.metrics import Estimate, Quality

FIGURES = (
    ("average_precision", "average precision", "of the ranking, wrong labels positive"),
    ("auroc", "AUROC", "of the ranking"),
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


def quality_text(quality: Quality) -> str:
    """One line a figure, with its 95 % interval."""
    lines = [
        f"{quality.rows:,} labels compared, {quality.wrong_labels:,} of them wrong, "
        f"{quality.left_out:,} rows left out",
        "",
    ]
    for name, words, meaning in FIGURES:
        figure: Estimate = getattr(quality, name)
        if figure.value != figure.value:  # NaN: has no meaning here
            continue
        interval = "" if figure.low is None else f"{figure.low:.3f} to {figure.high:.3f}"
        lines.append(f"{words:18} {figure.value:6.3f}   {interval:15}  {meaning}")
    return "\n".join(line.rstrip() for line in lines)
