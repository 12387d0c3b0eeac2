"""evaluate_report: a report against the true labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from labelclean.data.rows import read_rows
from labelclean.data.tables import read_table
from labelclean.errors import SourceError
from labelclean.report.metrics import Quality, evaluate
from labelclean.report.table import Report

BOOTSTRAP = 200  # resamplings for the intervals


def evaluate_report(
    report: str | Path,
    truth: str | Path,
    *,
    image_col: str | None = None,
    label_col: str | None = None,
    seed: int = 0,
) -> Quality:
    """The quality of the report at that path; rows without a true label are left out.

    truth  table of the images, named as in the report, and their true labels

    Raises ReportError or SourceError if one of them cannot be read, or they share no image.
    """
    found = Report.read(report)
    truth = Path(truth)
    if not truth.is_file():
        raise SourceError(f"{truth}: no such file; give the table of the true labels")
    rows = read_rows(read_table(truth), image_col=image_col, label_col=label_col, split_col=None)
    labels = {
        name.replace("\\", "/"): label for name, label in zip(rows.names, rows.labels, strict=True)
    }
    images = found.frame["image"].tolist()
    if not any(name in labels for name in images):
        raise SourceError(
            f"{truth}: names no image of {report}: its first is {rows.names[0]}, the report's is "
            f"{images[0]}"
        )
    matrix = found.meta.transition_matrix
    return evaluate(
        found.frame,
        [labels.get(name) for name in images],
        noise_rate=found.meta.noise_rate,
        transition=None if matrix is None else np.array(matrix),
        class_names=found.meta.class_names,
        bootstrap=BOOTSTRAP,
        seed=seed,
    )
