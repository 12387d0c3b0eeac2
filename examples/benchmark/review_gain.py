"""The gain of learning from decisions: wrong labels found in the first looks, with and without.

    python examples/benchmark/review_gain.py NAME=REPORT=TRUTH [...] [--out FOLDER]

REPORT is one that filter wrote, with its run folder beside it; TRUTH is a table of true labels, as
inject-noise writes it. A simulated reviewer knows the truth and looks at one image after the other
as the review shows them; after every ten decisions the rest is ranked again, as in the review.
Reports of one NAME are seeds of one data set. Writes review_gain.csv and review_gain.png, and
prints the table.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelclean.report.report import Report
from labelclean.review.pages import ReviewRows
from labelclean.review.relearning import EVERY
from labelclean.review.rescored import with_new_scores
from labelclean.review.session import AT_HAND
from labelclean.workflows.review_updates import relearn_from

SHARES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)  # looks, in wrong labels that there are
Found = NDArray[np.int64]


def true_labels(rows: ReviewRows, path: Path) -> NDArray[np.int64]:
    """(n,) codes; of an image that the table does not name the given label."""
    table = pd.read_csv(path, dtype=str)
    known = dict(zip(table["image"], table["label"], strict=True))
    codes = {name: code for code, name in enumerate(rows.labels)}
    return np.array(
        [
            codes[known[image]] if image in known else given
            for image, given in zip(rows.images, rows.given.tolist(), strict=True)
        ]
    )


def look(
    rows: ReviewRows,
    features: NDArray[np.floating],
    truth: NDArray[np.int64],
    looks: int,
    learn: bool,
) -> tuple[Found, float]:
    """(looks,) wrong labels found so far, and the slowest ranking in seconds."""
    relearn = relearn_from(rows, features)
    is_decided = np.isnan(rows.score)  # nothing to decide on
    made: list[int] = []
    slowest = 0.0
    while len(made) < looks:
        coming = rows.order[~is_decided[rows.order]]
        made += (shown := coming[:EVERY].tolist())
        is_decided[shown] = True
        if not learn:
            continue
        started = time.perf_counter()
        is_fixed = is_decided.copy()
        is_fixed[coming[EVERY : EVERY + AT_HAND]] = True
        rows = with_new_scores(rows, relearn(np.array(made), truth[made]), is_fixed)
        slowest = max(slowest, time.perf_counter() - started)
    return np.cumsum(truth[made] != rows.given[made])[:looks], slowest


def measure(name: str, report: Path, truth_path: Path) -> list[dict[str, object]]:
    rows = ReviewRows(Report.read(report))
    features = np.load(report.with_suffix(".run") / "embeddings.npy", mmap_mode="r")
    truth = true_labels(rows, truth_path)
    wrong = int((truth != rows.given).sum())
    looks = min(int(wrong * SHARES[-1]), int((~np.isnan(rows.score)).sum()) - 2 * EVERY)
    curves = {learn: look(rows, features, truth, looks, learn) for learn in (False, True)}
    return [
        {
            "data": name,
            "report": report.name,
            "n": len(truth),
            "wrong": wrong,
            "looks": int(wrong * share),
            "share": share,
            "without": int(curves[False][0][int(wrong * share) - 1]),
            "with": int(curves[True][0][int(wrong * share) - 1]),
            "slowest_s": round(curves[True][1], 2),
        }
        for share in SHARES
        if 1 <= int(wrong * share) <= looks
    ]


def draw(table: pd.DataFrame, path: Path) -> None:
    names = list(dict.fromkeys(table["data"]))
    figure, axes = plt.subplots(1, len(names), figsize=(4.2 * len(names), 3.4), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        part = table[table["data"] == name].groupby("share")[["without", "with", "wrong"]].mean()
        for column, colour in (("without", "#8a94a3"), ("with", "#4f46e5")):
            share = part[column] / part["wrong"]
            axis.plot(part.index, share, marker="o", color=colour, label=f"{column} learning")
        axis.set_title(name)
        axis.set_xlabel("looks / wrong labels")
        axis.set_ylim(0, 1)
    axes[0][0].set_ylabel("share of the wrong labels found")
    axes[0][0].legend(loc="lower right", frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="NAME=REPORT=TRUTH")
    parser.add_argument("--out", type=Path, default=Path("."))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    measured = []
    for run in arguments.runs:
        name, report, truth = run.split("=")
        measured += measure(name, Path(report), Path(truth))
    table = pd.DataFrame(measured)
    table.to_csv(arguments.out / "review_gain.csv", index=False)
    draw(table, arguments.out / "review_gain.png")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
