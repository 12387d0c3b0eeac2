"""The confusion matrix of a classifier as a picture."""

from __future__ import annotations

import numpy as np

from labelclean.report.classification import Classification
from labelclean.report.figures import encode_png, new_figure, paper_style
from labelclean.report.matrices import NUMBERED, most_involved, name_classes, write_counts

MOST_CLASSES = 60  # in one picture: beyond, names cannot be read; the most confused are shown


def confusion_png(figures: Classification) -> bytes:
    """Rows: true class, columns: predicted; the colour is the share of the row."""
    counts = figures.confusion
    kept = most_involved(counts - np.diag(np.diagonal(counts)), MOST_CLASSES)
    shown = counts[np.ix_(kept, kept)]
    shares = shown / np.maximum(counts[kept].sum(axis=1, keepdims=True), 1)
    with paper_style():
        side = max(4.5, 0.42 * len(kept)) if len(kept) <= NUMBERED else 0.2 * len(kept) + 3
        figure = new_figure(side + 1.8, side + 1.2)
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        size = 9 if len(kept) <= NUMBERED else 6
        name_classes(axes, [figures.class_names[k] for k in kept], size)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true class")
        title = f"{figures.accuracy.value:.1%} of {figures.accuracy.count:,} test images right"
        if len(kept) < len(counts):
            title += f": the {len(kept)} most confused of {len(counts):,} classes"
        axes.set_title(title)
        if len(kept) <= NUMBERED:
            write_counts(axes, shown, is_dark=shares > 0.5)
        return encode_png(figure)
