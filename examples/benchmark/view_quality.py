"""Do features find the wrong labels? `filter`'s views beside what cleanlab and kNN say of the same.

    python examples/benchmark/view_quality.py --data grocery=FOLDER --data cifar10=ROOT --out DIR

A data set is NAME=FOLDER of class folders, NAME=FILE.npz with `features` and `labels`, or
cifar10=ROOT that holds cifar-10-batches-bin (its first --count images; --human FILE has one
annotator's class number a line). Images that lie in two class folders (four of the flowers) count
in no figure: which of their labels is true is not known. DIR/view_quality.csv has a row for each
data set, noise, seed and method; a run that was stopped goes on. The table is printed last:

    default    `labelclean filter` as it is
    features   heads by JNPL on the features, out of fold, with prototypes
    scratch    a network from scratch alone, as `filter` was before it had features
    both       features and scratch, joined
    finetuned  features and the same network, which learns on, joined; in hours on a CPU
    ce head    the same heads by cross-entropy
    cleanlab   find_label_issues on 5-fold logistic regression on the same features
    knn        share of the 30 nearest other images that have the label
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEEDS = {"symm 0.2": (0, 1, 2), "pair 0.3": (0, 1, 2)}
PHOTOS = ("symm 0.05", "symm 0.2", "symm 0.4", "symm 0.6", "pair 0.3")
CIFAR = ("symm 0.05", "symm 0.2", "symm 0.4", "symm 0.6", "asymm 0.4", "human")
METHODS = ("features", "scratch", "both", "finetuned", "ce head", "cleanlab", "knn")
ASKED = tuple(name for name in METHODS if name != "finetuned")  # without --methods
FIGURES = ("ap", "auroc", "f1", "suggestions", "rate_error", "ece", "seconds")
NEIGHBOURS = 30


def noisy(
    truth: NDArray[np.int64], noise: str, seed: int, classes: int, human: Path | None
) -> NDArray[np.int64]:
    from labelclean.data import noise as kinds

    kind, _, rate = noise.partition(" ")
    generator = np.random.Generator(np.random.PCG64(seed))
    if kind == "symm":
        return kinds.symmetric(truth, classes, float(rate), generator)
    if kind == "asymm":
        return kinds.by_matrix(truth, kinds.cifar10_asymmetric(float(rate)), generator)
    if kind == "pair":  # some of each class are given the next class's name
        matrix = np.eye(classes) * (1 - float(rate)) + np.roll(np.eye(classes), 1, 1) * float(rate)
        return kinds.by_matrix(truth, matrix, generator)
    if human is None:
        raise SystemExit("human noise needs --human FILE")
    return np.loadtxt(human, dtype=np.int64)[: len(truth)]


def read(
    name: str,
    place: str,
    count: int,
    device: str,
    cache: Path | None,
    image_size: int | None = None,
) -> Any:
    """Samples with the true labels. Imports here: a worker sets its threads first."""
    import torch

    from labelclean import sources
    from labelclean.config import FilterConfig, RuntimeConfig, ViewConfig
    from labelclean.progress import Reporter
    from labelclean.workflows.filtering import read_samples

    runtime = RuntimeConfig(device=device, cache_dir=cache, image_size=image_size)
    view = ViewConfig()
    options, source = sources.SourceOptions(), place
    if name.startswith("cifar10"):
        options, source = sources.SourceOptions(root=Path(place), split="train"), "cifar10"
    if place.endswith(".npz"):
        return of_features(np.load(place))
    config = FilterConfig(runtime=runtime, view=view)
    samples = read_samples(source, options, config, torch.device(device), Reporter())
    if len(samples.rows) > count and name.startswith("cifar10"):
        samples = replace(samples, rows=samples.rows[:count], train_rows=samples.train_rows[:count])
    return samples


def of_features(file: Any) -> Any:
    """Samples that are features alone."""
    from labelclean.data.samples import SampleTable
    from labelclean.workflows.preparing import prepare_features

    labels = file["labels"].astype(np.int64)
    names = tuple(f"class {k:03d}" for k in range(labels.max() + 1))
    table = SampleTable(
        root=None,
        images=None,  # type: ignore[arg-type]
        paths=tuple(f"{k:06d}" for k in range(len(labels))),
        labels=labels,
        class_names=names,
        status=np.full(len(labels), "ok", dtype=object),
        held_out=np.zeros(len(labels), dtype=bool),
        truth=None,
        notes=(),
    )
    return prepare_features(table)


def run(job: tuple[str, str, str, int], options: argparse.Namespace) -> list[dict[str, Any]]:
    """All methods on one data set with one noise and seed."""
    import torch

    torch.set_num_threads(options.threads)
    from labelclean.config import PRESETS, FilterConfig, RuntimeConfig, ViewConfig
    from labelclean.data.duplicates import conflicting
    from labelclean.progress import Reporter
    from labelclean.workflows import looking
    from labelclean.workflows.filtering import judge

    name, place, noise, seed = job
    device = torch.device(options.device)
    choose_spec = looking.choose_spec  # sizes are those of a CPU, wherever it runs
    looking.choose_spec = lambda table, **given: choose_spec(
        table, **{**given, "device_is_cpu": True}
    )
    samples = read(name, place, options.count, options.device, options.cache, options.image_size)
    truth = samples.table.labels
    rows, classes = samples.train_rows, samples.table.num_classes
    counted = ~conflicting(samples.first, truth)[rows]
    given = truth.copy()
    given[rows] = noisy(truth[rows], noise, seed, classes, options.human)
    samples = replace(samples, table=samples.table.with_labels(given))
    runtime = RuntimeConfig(
        device=options.device, cache_dir=options.cache, image_size=options.image_size
    )
    quick = replace(PRESETS["quick"], seed=seed)
    configs = {
        "features": FilterConfig(train=quick, view=ViewConfig(views=("features",))),
        "finetuned": FilterConfig(train=quick, view=ViewConfig(views=("features", "finetuned"))),
        "both": FilterConfig(train=quick, view=ViewConfig(views=("features", "scratch"))),
        "scratch": FilterConfig(train=quick, view=ViewConfig(views=("scratch",))),
        "ce head": FilterConfig(
            train=replace(quick, method="ce"), view=ViewConfig(views=("features",))
        ),
    }
    found = []
    features = None
    if place.endswith(".npz"):
        features = np.load(place)["features"]
    for method in options.methods:
        started = time.monotonic()
        shares = ""
        if method in configs:
            config = replace(configs[method], runtime=runtime)
            if features is not None:
                if method in ("both", "scratch", "finetuned"):
                    continue
                looking.see = lambda *_: _Seen(features)  # type: ignore[assignment]
            learned = looking.look(samples, given, config, device, Reporter())
            verdicts = judge(samples, given, learned.predictions, config)
            shares = " ".join(f"{k} {v:.1f}" for k, v in learned.shares.items())
            row = figures(
                verdicts.label_score[rows],
                verdicts.issue_probability[rows],
                verdicts.is_label_issue[rows],
                verdicts.suggested[rows],
                verdicts.noise_rate,
                given[rows],
                truth[rows],
                counted,
            )
        else:
            seen = features
            if seen is None:
                config = replace(configs["features"], runtime=runtime)
                seen = looking.see(samples, config.view, runtime, device, Reporter()).features
            seen = standardised(seen[rows].astype(np.float32))
            baseline = cleanlab if method == "cleanlab" else knn
            row = baseline(seen, given[rows], truth[rows], classes, seed, counted)
        seconds = time.monotonic() - started
        facts = {"data": name, "n": len(rows), "noise": noise, "seed": seed, "method": method}
        found.append({**facts, **row, "seconds": seconds, "shares": shares})
    return found


class _Seen:
    def __init__(self, features: NDArray[np.float16]) -> None:
        self.features = self.of_last_layer = features
        self.backbone, self.size = None, 0


def standardised(values: NDArray[np.float32]) -> NDArray[np.float32]:
    std = values.std(axis=0)
    scaled: NDArray[np.float32] = (values - values.mean(axis=0)) / np.where(std > 1e-6, std, 1)
    return scaled


def figures(  # type: ignore[no-untyped-def]
    score, probability, is_issue, suggested, rate, given, truth, counted=slice(None)
) -> dict[str, float]:
    from labelclean.report import metrics

    score, probability, is_issue = score[counted], probability[counted], is_issue[counted]
    suggested, given, truth = suggested[counted], given[counted], truth[counted]
    is_noisy = given != truth
    return {
        "ap": metrics.average_precision(score, is_noisy),
        "auroc": metrics.auroc(score, is_noisy),
        "f1": metrics.f1(is_issue, is_noisy),
        "suggestions": metrics.suggestion_accuracy(suggested, given, truth),
        "rate_error": metrics.noise_rate_error(rate, is_noisy),
        "ece": metrics.expected_calibration_error(probability, is_noisy),
    }


def cleanlab(seen, given, truth, classes, seed, counted):  # type: ignore[no-untyped-def]
    from cleanlab.count import estimate_joint
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    best = None
    for strength in (0.001, 0.01):  # both are tried, and the better AP is reported
        model = LogisticRegression(C=strength, max_iter=300)
        probs = cross_val_predict(model, seen, given, cv=folds, method="predict_proba")
        is_issue = find_label_issues(given, probs, n_jobs=1)
        score = get_label_quality_scores(given, probs)
        top = probs.argsort(axis=1)[:, ::-1]
        other = np.where(top[:, 0] != given, top[:, 0], top[:, 1])
        suggested = np.where(is_issue, other, given)
        rate = 1 - float(np.trace(estimate_joint(given, probs)))
        row = figures(score, 1 - score, is_issue, suggested, rate, given, truth, counted)
        if best is None or row["ap"] > best["ap"]:
            best = row
    return best


def knn(seen, given, truth, classes, seed, counted):  # type: ignore[no-untyped-def]
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    votes = np.zeros((len(given), classes))
    for start in range(0, len(given), 1_000):
        part = slice(start, start + 1_000)
        cosine = unit[part] @ unit.T
        cosine[np.arange(len(cosine)), np.arange(start, start + len(cosine))] = -2
        near = np.argpartition(-cosine, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        for column in range(NEIGHBOURS):
            votes[np.arange(start, start + len(cosine)), given[near[:, column]]] += 1
    probs = votes / NEIGHBOURS
    rows = np.arange(len(given))
    score = probs[rows, given] + 1e-3 * (given == probs.argmax(axis=1))
    is_issue = probs.argmax(axis=1) != given
    suggested = probs.argmax(axis=1)
    rate = is_issue.mean()
    return figures(score, 1 - probs[rows, given], is_issue, suggested, rate, given, truth, counted)


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'data':9} {'noise':9} {'method':9} seeds " + " ".join(f"{x:>13}" for x in FIGURES)]
    keys = sorted({(r["data"], r["noise"], r["method"]) for r in rows}, key=lambda k: (k[0], k[1]))
    order = {name: k for k, name in enumerate(METHODS)}
    for data, noise, method in sorted(keys, key=lambda k: (k[0], k[1], order.get(k[2], 9))):
        some = [r for r in rows if (r["data"], r["noise"], r["method"]) == (data, noise, method)]
        cells = []
        for figure in FIGURES:
            values = np.array([float(r[figure]) for r in some])
            scale, digits = (100, 1) if figure == "ap" else (1, 1 if figure == "seconds" else 3)
            text = f"{scale * values.mean():.{digits}f}"
            if len(values) > 1:
                text += f" ± {scale * values.std():.{digits}f}"
            cells.append(f"{text:>13}")
        lines.append(f"{data:9} {noise:9} {method:9} {len(some):5} " + " ".join(cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", action="append", required=True, metavar="NAME=PLACE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--human", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--methods", default=",".join(ASKED))
    parser.add_argument("--image-size", type=int, help="px; default: that of filter")
    parser.add_argument("--noises", help="e.g. 'symm 0.2,pair 0.3'; default: all")
    parser.add_argument("--seeds", type=int, help="at most so many of each noise")
    options = parser.parse_args()
    options.methods = options.methods.split(",")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "view_quality.csv"
    rows = list(csv.DictReader(open(path))) if path.is_file() else []
    done = {(r["data"], r["noise"], r["seed"], r["method"]) for r in rows}
    jobs = []
    for spec in options.data:
        name, _, place = spec.partition("=")
        noises = CIFAR if name.startswith("cifar10") else PHOTOS
        chosen = options.noises.split(",") if options.noises else noises
        for noise in (x for x in chosen if x in noises):
            for seed in SEEDS.get(noise, (0,))[: options.seeds]:
                keys = {(name, noise, str(seed), m) for m in options.methods}
                if not keys <= done:
                    jobs.append((name, place, noise, seed))
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    for spec in options.data:  # features and pixels are in the cache before the runs start
        name, _, place = spec.partition("=")
        run_features(name, place, options)
    names = ["data", "n", "noise", "seed", "method", *FIGURES, "shares"]
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run, job, options) for job in jobs]):
            rows += [{k: str(v) for k, v in row.items()} for row in future.result()]
            with open(path, "w", newline="") as file:
                writer = csv.DictWriter(file, names)
                writer.writeheader()
                writer.writerows(rows)
            last = rows[-1]
            print(last["data"], last["noise"], last["seed"], "done", flush=True)
    import platform

    import torch

    where = torch.cuda.get_device_name() if options.device == "cuda" else platform.machine()
    print(f"torch {torch.__version__}, {where}, {options.threads} thread a run")
    print(table(rows))


def run_features(name: str, place: str, options: argparse.Namespace) -> None:
    if place.endswith(".npz"):
        return
    import torch

    from labelclean.config import RuntimeConfig, ViewConfig
    from labelclean.progress import TerminalReporter
    from labelclean.workflows.seeing import see

    samples = read(name, place, options.count, options.device, options.cache, options.image_size)
    runtime = RuntimeConfig(
        device=options.device, cache_dir=options.cache, image_size=options.image_size
    )
    device = torch.device(options.device)
    started = time.monotonic()
    see(samples, ViewConfig(), runtime, device, TerminalReporter())
    print(f"{name}: features of {len(samples.rows):,} in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
