"""Is `filter` honest about few images? Rate, interval, calibration and sureness on random parts.

    python examples/benchmark/few_photos.py --data grocery=FOLDER --data cifar10=ROOT --out DIR

Data sets as in view_quality.py. Of each, --sizes images are drawn --draws times, labels are made
wrong, and heads on features judge them. A row for each of it is in DIR/few_photos.csv; the table
has a line for each size and noise, over all data sets and draws.

    ECE     expected calibration error of a run, in the mean; `worst` of all runs
    chance  the ECE that the same probabilities would have if they were exactly right, for a run
            has few images in each of the ten bins
    pooled  the ECE of all runs of the line together, where chance hardly counts
"""

from __future__ import annotations

import argparse
import csv
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import view_quality
from numpy.typing import NDArray

NOISES = ("symm 0.0", "symm 0.05", "symm 0.15", "symm 0.4", "symm 0.6", "pair 0.3")
AGAIN = 20  # draws of which labels are wrong, by a run's own probabilities
SURE = 0.9  # issue probability from which on a label is called surely wrong


Job = tuple[str, str, int, str, int]  # data set, its file, images, noise, draw
Said = tuple[NDArray[np.float64], NDArray[np.bool_]]  # issue probabilities (n,), is it wrong (n,)
Run = tuple[dict[str, Any], Said]  # its figures, and what it said


def heads_say(job: Job) -> tuple[NDArray[np.int64], NDArray[np.int64], Any]:
    """Given labels and true ones (n,) of a draw, and what the heads say of it: Predictions."""
    import torch

    torch.set_num_threads(1)
    from labelclean.config import HeadConfig
    from labelclean.learning.feature_view import HeadTask
    from labelclean.progress import Reporter
    from labelclean.workflows.two_rounds import fit_view

    _, path, count, noise, draw = job
    file = np.load(path)
    generator = np.random.default_rng((draw, count))
    rows = np.sort(generator.choice(len(file["labels"]), count, replace=False))
    _, truth = np.unique(file["labels"][rows], return_inverse=True)
    classes = int(truth.max()) + 1
    given = view_quality.noisy(truth, noise, draw, classes, None)
    task = HeadTask(
        features=file["features"][rows],
        labels=given,
        train_rows=np.arange(count),
        num_classes=classes,
        config=HeadConfig(),
        seed=draw,
        device=torch.device("cpu"),
    )
    view = fit_view(task, np.arange(count), "jnpl", Reporter())
    return given, truth, view.predict(np.arange(count), given, draw)


def run(job: Job) -> Run:
    from labelclean.config import VerdictConfig
    from labelclean.judging import verdicts
    from labelclean.report import metrics

    name, _, count, noise, draw = job
    given, truth, said = heads_say(job)
    classes = int(truth.max()) + 1
    found = verdicts.decide(given, said, num_classes=classes, verdict=VerdictConfig(), seed=draw)
    is_noisy = given != truth
    low, high = found.noise_rate_interval
    probability = found.issue_probability
    sure = probability > SURE
    generator = np.random.default_rng(draw)
    by_chance = [
        metrics.expected_calibration_error(probability, generator.random(count) < probability)
        for _ in range(AGAIN)
    ]
    row = {
        "data": name,
        "n": count,
        "noise": noise,
        "draw": draw,
        "ap": metrics.average_precision(found.label_score, is_noisy) if is_noisy.any() else "",
        "f1": metrics.f1(found.is_label_issue, is_noisy) if is_noisy.any() else "",
        "rate": found.noise_rate,
        "truth": is_noisy.mean(),
        "low": low,
        "high": high,
        "holds": int(low <= is_noisy.mean() <= high),
        "ece": metrics.expected_calibration_error(probability, is_noisy),
        "ece_by_chance": np.mean(by_chance),
        "sure": int(sure.sum()),
        "sure_right": int((sure & is_noisy).sum()),
    }
    return row, (probability, is_noisy)


def line(runs: list[Run], n: str, noise: str) -> str:
    from labelclean.report import metrics

    rows = [row for row, _ in runs]
    said, is_noisy = (np.concatenate([run[1][k] for run in runs]) for k in (0, 1))
    pooled = metrics.expected_calibration_error(said, is_noisy)

    def mean(name: str) -> float:
        values = [float(r[name]) for r in rows if r[name] != ""]
        return float(np.mean(values)) if values else float("nan")

    sure = sum(int(r["sure"]) for r in rows)
    right = sum(int(r["sure_right"]) for r in rows) / sure if sure else float("nan")
    bias = np.mean([float(r["rate"]) - float(r["truth"]) for r in rows])
    width = np.mean([float(r["high"]) - float(r["low"]) for r in rows])
    worst = max(float(r["ece"]) for r in rows)
    return (
        f"{n:>6} {noise:9} {len(rows):4} {100 * mean('ap'):5.1f} {mean('f1'):5.2f} {bias:+6.3f} "
        f"{mean('holds'):5.2f} {width:5.2f} {mean('ece'):5.3f} {worst:6.3f} "
        f"{mean('ece_by_chance'):6.3f} {pooled:6.3f} {sure:6} {right:5.2f}"
    )


def table(runs: list[Run]) -> str:
    heads = "     n noise     runs    AP    F1   bias holds width   ECE  worst chance pooled  >90 %"
    lines = [f"{heads} right"]
    for n in sorted({int(row["n"]) for row, _ in runs}):
        for noise in NOISES:
            some = [run for run in runs if int(run[0]["n"]) == n and run[0]["noise"] == noise]
            if some:
                lines.append(line(some, str(n), noise))
    return "\n".join([*lines, line(runs, "all", "all")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", action="append", required=True, metavar="NAME=PLACE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", default="60,120,360,1000")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options.out.mkdir(parents=True, exist_ok=True)
    runs: list[Run] = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run, job) for job in jobs_of(options)]):
            runs.append(future.result())
    runs.sort(key=lambda run: [run[0][name] for name in ("data", "n", "noise", "draw")])
    rows = [row for row, _ in runs]
    with open(options.out / "few_photos.csv", "w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(table(runs))


def jobs_of(options: argparse.Namespace) -> list[Job]:
    """All draws of all data sets that have so many images."""
    jobs: list[Job] = []
    for spec in options.data:
        name, _, place = spec.partition("=")
        path = features(name, place, options)
        labels = np.load(path)["labels"]
        sizes = [int(x) for x in options.sizes.split(",") if int(x) <= len(labels)]
        jobs += [
            (name, str(path), n, noise, draw)
            for n in sizes
            for noise in NOISES
            for draw in range(options.draws)
        ]
    return jobs


def features(name: str, place: str, options: argparse.Namespace) -> Path:
    """The file of features and labels of a data set, made where it is a folder."""
    if place.endswith(".npz"):
        return Path(place)
    import torch

    from labelclean.config import RuntimeConfig, ViewConfig
    from labelclean.progress import Reporter
    from labelclean.workflows.seeing import see

    samples = view_quality.read(name, place, options.count, options.device, options.cache)
    runtime = RuntimeConfig(device=options.device, cache_dir=options.cache)
    seen = see(samples, ViewConfig(), runtime, torch.device(options.device), Reporter())
    path = options.out / f"{name}.npz"
    rows = samples.train_rows
    np.savez(path, features=seen.features[rows], labels=samples.table.labels[rows])
    return path


if __name__ == "__main__":
    main()
