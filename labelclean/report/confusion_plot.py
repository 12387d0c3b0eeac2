"""The confusion matrix of a classifier as a picture."""

from __future__ import annotations

import numpy as np

from labelclean.report.classification import Classification
from labelclean.report.figures import INK, encode_png, new_figure, paper_style, written

MOST_CLASSES = 60  # in one picture: beyond, names cannot be read; the most confused are shown
NUMBERED = 20  # classes up to which every cell bears its count
NAME = 18  # columns of a class name


def confusion_png(figures: Classification) -> bytes:
    """Rows: true class, columns: predicted; the colour is the share of the row."""
    counts = figures.confusion
    wrong = counts - np.diag(np.diagonal(counts))
    involved = wrong.sum(axis=0) + wrong.sum(axis=1)
    kept = np.sort(np.argsort(-involved, kind="stable")[:MOST_CLASSES])
    shown = counts[np.ix_(kept, kept)]
    shares = shown / np.maximum(counts[kept].sum(axis=1, keepdims=True), 1)
    with paper_style():
        side = max(4.5, 0.42 * len(kept)) if len(kept) <= NUMBERED else 0.2 * len(kept) + 3
        figure = new_figure(side + 1.8, side + 1.2)
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        labels = [written(figures.class_names[k], NAME) for k in kept]
        size = 9 if len(kept) <= NUMBERED else 6
        axes.set_xticks(range(len(kept)), labels, rotation=90, fontsize=size)
        axes.set_yticks(range(len(kept)), labels, fontsize=size)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true class")
        title = f"{figures.accuracy.value:.1%} of {figures.accuracy.count:,} test images right"
        if len(kept) < len(counts):
            title += f": the {len(kept)} most confused of {len(counts):,} classes"
        axes.set_title(title)
        for y, x in np.argwhere(shown) if len(kept) <= NUMBERED else ():
            colour = "white" if shares[y, x] > 0.5 else INK
            axes.text(x, y, f"{shown[y, x]:,}", ha="center", va="center", color=colour, fontsize=8)
        return encode_png(figure)
