"""Does `filter` find the wrong labels? JNPL beside cross-entropy, cleanlab and the paper's own.

    python examples/benchmark/filter_quality.py --cifar FOLDER [--human FILE] --out DIR
    python examples/benchmark/filter_quality.py --flowers FOLDER --out DIR

FOLDER holds cifar-10-batches-bin/, or one folder of images a class; FILE has one annotator's class
number a line. What each run's network says is kept in DIR/said and not trained again, so the script
goes on where it was stopped. Two runs at a time, one thread each. DIR/filter_quality.csv has a row
for each run; the table is printed last. All methods have the same network, and all but `jnpl short`
the same number of epochs:

    jnpl         `labelclean filter` as it is
    jnpl short   the same in five eighths of the epochs: a third of what cleanlab takes
    ce           the same with --method ce, and with our scores
    ce p_y       the plain baseline: the same network's p_y, averaged over the last five epochs
    cleanlab     find_label_issues on 3-fold cross-validated probabilities of the same network
    jnpl paper   --preset paper (lr, batch, drawn labels, λ, no start) at the same number of steps
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

THREE_SEEDS, ONE_SEED = (0, 1, 2), (0,)
CIFAR_NOISES = {
    "symm 0.0": ONE_SEED,
    "symm 0.05": ONE_SEED,
    "symm 0.2": ONE_SEED,
    "symm 0.4": THREE_SEEDS,
    "symm 0.6": ONE_SEED,
    "asymm 0.4": ONE_SEED,
    "human": THREE_SEEDS,
}
FLOWER_NOISES = {"symm 0.2": ONE_SEED}
METHODS = ("jnpl", "ce", "cleanlab", "jnpl short", "jnpl paper")
FIRST_SEED_ONLY = ("jnpl short", "jnpl paper")
COUNT = 10_000  # CIFAR-10 images: the first ones
FIGURES = ("ap", "auroc", "f1", "suggestions", "rate_error", "ece", "seconds")


@dataclass(frozen=True)
class Job:
    data: str
    noise: str
    seed: int
    method: str

    @property
    def name(self) -> str:
        return f"{self.data}-{self.noise}-{self.seed}-{self.method}".replace(" ", "_")


def noisy_labels(
    truth: NDArray[np.int64], noise: str, seed: int, num_classes: int, human: Path | None
) -> NDArray[np.int64]:
    from labelclean.data import noise as kinds

    kind, _, rate = noise.partition(" ")
    generator = np.random.Generator(np.random.PCG64(seed))
    if kind == "symm":
        return kinds.symmetric(truth, num_classes, float(rate), generator)
    if kind == "asymm":
        return kinds.by_matrix(truth, kinds.cifar10_asymmetric(float(rate)), generator)
    if human is None:
        raise SystemExit("human noise needs --human FILE")
    return np.loadtxt(human, dtype=np.int64)[: len(truth)]


def one(job: Job, options: argparse.Namespace) -> None:
    """Trains one job and keeps what the network says of every row, with the seconds it took."""
    import torch

    from labelclean import sources
    from labelclean.config import PRESETS, FilterConfig, RuntimeConfig, filter_epochs
    from labelclean.progress import Reporter
    from labelclean.workflows import learning, preparing

    torch.set_num_threads(1)
    if job.data == "cifar10":
        table = sources.read("cifar10", sources.SourceOptions(root=options.cifar, split="train"))
        table = replace(
            table,
            paths=table.paths[:COUNT],
            labels=table.labels[:COUNT],
            status=table.status[:COUNT],
            held_out=table.held_out[:COUNT],
            images=replace(table.images, rows=table.images.rows[:COUNT]),
        )
    else:
        table = sources.read(options.flowers, sources.SourceOptions())
    truth = table.labels
    given = noisy_labels(truth, job.noise, job.seed, table.num_classes, options.human)
    table = table.with_labels(given)

    quick = replace(PRESETS["quick"], seed=job.seed)
    epochs = filter_epochs(len(table))
    quick = replace(quick, epochs=epochs)
    ce = replace(quick, method="ce")
    short = replace(quick, epochs=epochs * 5 // 8)
    paper = replace(PRESETS["paper"], seed=job.seed, arch=quick.arch, epochs=quick.epochs)
    train = {
        "jnpl": quick,
        "jnpl short": short,
        "ce": ce,
        "cleanlab": ce,
        "jnpl paper": paper,
    }[job.method]
    cache = options.out / "cache" / job.name
    config = FilterConfig(train=train, runtime=RuntimeConfig(device="cpu", cache_dir=cache))
    started = time.monotonic()
    samples = preparing.prepare(table, config.runtime, device_is_cpu=True, reporter=Reporter())
    if job.method == "cleanlab":
        said = {"probs": cross_validated(samples, given, config)}
    else:
        learned = learning.learn(samples, given, config, torch.device("cpu"), Reporter())
        said = {k: v for k, v in vars(learned.predictions).items() if v is not None}
    facts = {
        "data": job.data,
        "n": len(table),
        "noise": job.noise,
        "seed": job.seed,
        "epochs": train.epochs,
        "arch": train.arch,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, 1 thread",
    }
    np.savez(
        options.out / "said" / f"{job.name}.npz",
        given=given,
        truth=truth,
        class_names=np.array(table.class_names),
        facts=json.dumps(facts),
        seconds=time.monotonic() - started,
        **said,
    )
    shutil.rmtree(cache, ignore_errors=True)


def judged(job: Job, out: Path) -> list[dict[str, object]]:
    """The rows of a job, from what its network said: one, or for ce two that share it."""
    with np.load(out / "said" / f"{job.name}.npz") as file:
        said = dict(file)
    given, truth = said.pop("given"), said.pop("truth")
    facts, classes = json.loads(str(said.pop("facts"))), len(said.pop("class_names"))
    seconds = float(said.pop("seconds"))
    if job.method == "cleanlab":
        return [facts | cleanlab_row(given, said["probs"], truth, seconds)]
    started = time.monotonic()
    decision = decide(given, said, classes, job.seed)
    took = seconds + time.monotonic() - started
    rows = [
        figures(
            job.method,
            decision.label_score,
            decision.issue_probability,
            decision.is_label_issue,
            decision.suggested,
            decision.noise_rate,
            given,
            truth,
            took,
        )
    ]
    if job.method == "ce":
        p = said["epoch_p_given"].astype(np.float64)
        top = said["top_classes"]
        best = np.where(top[:, 0] != given, top[:, 0], top[:, 1])
        is_issue, rate = p < 0.5, float((p < 0.5).mean())
        suggested = np.where(is_issue, best, given)
        rows.append(figures("ce p_y", p, 1 - p, is_issue, suggested, rate, given, truth, seconds))
    return [facts | row for row in rows]


def decide(given, said, classes, seed):  # type: ignore[no-untyped-def]
    from labelclean.config import VerdictConfig
    from labelclean.judging import verdicts
    from labelclean.predictions import Predictions

    verdict, predictions = VerdictConfig(), Predictions(**said)
    return verdicts.decide(given, predictions, num_classes=classes, verdict=verdict, seed=seed)


def figures(
    method: str,
    label_score: NDArray[np.float64],
    issue_probability: NDArray[np.float64],
    is_issue: NDArray[np.bool_],
    suggested: NDArray[np.int64],
    noise_rate: float,
    given: NDArray[np.int64],
    truth: NDArray[np.int64],
    seconds: float,
) -> dict[str, object]:
    from labelclean.report import metrics

    is_noisy = given != truth
    return {
        "method": method,
        "ap": metrics.average_precision(label_score, is_noisy),
        "auroc": metrics.auroc(label_score, is_noisy),
        "f1": metrics.f1(is_issue, is_noisy),
        "suggestions": metrics.suggestion_accuracy(suggested, given, truth),
        "rate_error": metrics.noise_rate_error(noise_rate, is_noisy),
        "ece": metrics.expected_calibration_error(issue_probability, is_noisy),
        "seconds": seconds,
    }


def cross_validated(samples, given, config):  # type: ignore[no-untyped-def]
    """Probabilities (n, c) of each row by a network that did not see it, 3 folds."""
    from sklearn.model_selection import StratifiedKFold

    probs = np.zeros((len(given), samples.table.num_classes))
    folds = StratifiedKFold(3, shuffle=True, random_state=config.train.seed)
    for train_rows, held_out in folds.split(given, given):
        probs[held_out] = fold_probabilities(samples, given, train_rows, held_out, config)
    return probs


def cleanlab_row(
    given: NDArray[np.int64], probs: NDArray[np.float64], truth: NDArray[np.int64], seconds: float
) -> dict[str, object]:
    """cleanlab's verdict and ranking, with its defaults."""
    from cleanlab.count import estimate_joint
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    is_issue = find_label_issues(given, probs)
    score = get_label_quality_scores(given, probs)
    top = probs.argsort(axis=1)[:, ::-1]
    best = np.where(top[:, 0] != given, top[:, 0], top[:, 1])
    suggested = np.where(is_issue, best, given)
    rate = 1 - float(np.trace(estimate_joint(given, probs)))
    return figures("cleanlab", score, 1 - score, is_issue, suggested, rate, given, truth, seconds)


def fold_probabilities(samples, given, train_rows, held_out, config):  # type: ignore[no-untyped-def]
    """Softmax (len(held_out), c) of the averaged network, flips averaged, as `filter` predicts."""
    import torch

    from labelclean.config import RuntimeConfig
    from labelclean.learning import methods, runtime
    from labelclean.progress import Reporter
    from labelclean.workflows.learner import Environment, Learner, Lesson

    device = torch.device("cpu")
    dtype = runtime.choose_precision("auto", device)
    where = Environment(runtime=RuntimeConfig(), device=device, dtype=dtype, reporter=Reporter())
    lesson = Lesson(methods.find(config.train.method), given, train_rows)
    learner = Learner(samples, lesson, config.train, where, name="fold")
    network, found = learner.fit("training").trained.eval(), []
    with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        for batch in learner.batches.in_order(held_out):
            logits = network(batch.images).float() + network(batch.images.flip(3)).float()
            found.append((logits / 2).softmax(dim=1))
    return torch.cat(found).numpy()


def run_all(jobs: list[Job], options: argparse.Namespace) -> None:
    """Trains what is missing, two jobs at a time, each a process of its own with one thread."""
    waiting = [job for job in jobs if not (options.out / "said" / f"{job.name}.npz").exists()]
    command = [sys.executable, __file__, *sys.argv[1:]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(job: Job) -> None:
        began = time.monotonic()
        words = [job.data, job.noise, str(job.seed), job.method]
        subprocess.run([*command, "--one", *words], env=environment, check=True)
        print(f"{job.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(start, waiting))


def write_rows(rows: list[dict[str, object]], out: Path) -> None:
    with open(out / "filter_quality.csv", "w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(
            {k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows
        )


def print_table(out: Path) -> None:
    """Mean, and standard deviation where there are several seeds; average precision in percent."""
    found = pd.read_csv(out / "filter_quality.csv")
    found["ap"] *= 100
    for data, part in found.groupby("data"):
        print(
            f"\n{data}, n {part['n'].iloc[0]:,}, {part['epochs'].iloc[0]} epochs, "
            f"{part['arch'].iloc[0]}, torch {part['torch'].iloc[0]}, {part['machine'].iloc[0]}"
        )
        print(f"{'noise':10} {'method':11} {'seeds':>5} " + " ".join(f"{f:>12}" for f in FIGURES))
        for (noise, method), runs in part.groupby(["noise", "method"], sort=False):
            cells = []
            for name in FIGURES:
                digits = {"ap": 1, "seconds": 0}.get(name, 3)
                mean, spread = runs[name].mean(), runs[name].std()
                text = f"{mean:.{digits}f}"
                cells.append(text if len(runs) == 1 else f"{text} ± {spread:.{digits}f}")
            print(f"{noise:10} {method:11} {len(runs):5} " + " ".join(f"{c:>12}" for c in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar", type=Path, help="folder that holds cifar-10-batches-bin")
    parser.add_argument("--human", type=Path, help="class numbers by one annotator, one a line")
    parser.add_argument("--flowers", type=Path, help="folder of images in class folders")
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    parser.add_argument("--noises", help="only these, separated by commas")
    parser.add_argument("--methods", help="only these, separated by commas")
    parser.add_argument("--seeds", help="only these, separated by commas")
    parser.add_argument("--table", action="store_true", help="of what is there; train nothing")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    (options.out / "said").mkdir(parents=True, exist_ok=True)
    if options.one:
        data, noise, seed, method = options.one
        one(Job(data, noise, int(seed), method), options)
        return
    noises = {"cifar10": CIFAR_NOISES if options.cifar else {}}
    noises["flowers"] = FLOWER_NOISES if options.flowers else {}
    wanted = options.noises.split(",") if options.noises else None
    methods = options.methods.split(",") if options.methods else METHODS
    jobs = [
        Job(data, noise, seed, method)
        for data, kinds in noises.items()
        for noise, seeds in kinds.items()
        if wanted is None or noise in wanted
        for seed in seeds
        if options.seeds is None or str(seed) in options.seeds.split(",")
        for method in methods
        if seed == 0 or method not in FIRST_SEED_ONLY
    ]
    jobs.sort(key=lambda job: job.seed)  # one seed of everything first
    if options.table:
        jobs = [job for job in jobs if (options.out / "said" / f"{job.name}.npz").exists()]
    run_all(jobs, options)
    write_rows([row for job in jobs for row in judged(job, options.out)], options.out)
    print_table(options.out)


if __name__ == "__main__":
    main()
