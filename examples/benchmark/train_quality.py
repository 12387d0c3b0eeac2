"""Is `train` worth it? Its schemes beside training on the noisy and on the true labels.

    python examples/benchmark/train_quality.py --cifar FOLDER [--human FILE] [--flowers FOLDER]
        [--grocery FOLDER] --out DIR

FOLDER of --cifar holds cifar-10-batches-bin/. The first 10,000 training images get known wrong
labels, or those that FILE holds, a class number for each training image. `filter` judges them once
for each noise and seed, and each scheme trains on the same report: the same network, the same
number of epochs in all, as many images held out; tested on the 10,000 test images. FOLDER of
--flowers and --grocery holds a folder of photos for each class, of which every fifth is for the
test, unless it is also among the others.
Reports and figures are kept in DIR, so the script goes on where it was stopped. --jobs runs at a
time, one thread each. DIR/train_quality.csv has a row for each run; the table is printed last.

    ce-noisy   cross-entropy on the given labels
    ce-clean   cross-entropy on the labels that the filter keeps
    two-stage  the authors': cross-entropy on those, then soft targets for all, half the epochs each
    soft       soft targets of the filter for all
    default    `train --from-scratch`: two views of each image, so at twice the cost an epoch
    right      cross-entropy on those of the given labels that are right: a filter without mistakes
    of-right   the default by the verdicts of that filter
    true       cross-entropy on the true labels: what there is to gain
    head       `labelclean train` as it is: a head on a pretrained network's features
    head-noisy, head-true  such a head by cross-entropy on the given and on the true labels
    head-right  the same on those of the given labels that are right: a filter without mistakes
    finetuned  `labelclean train --finetune`: the pretrained network learns on after its head
    finetuned-noisy, finetuned-true  the same by cross-entropy on the given and on the true labels

gap: the share of the way from ce-noisy to true that a scheme goes; of a head, from head-noisy to
head-true; of a fine-tuned network, from finetuned-noisy to finetuned-true.

A second table tells what `filter --from-model` with the model of `default` finds, beside the first
report: average precision of the wrong labels and error of the noise rate.
"""

from __future__ import annotations

import argparse
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
CIFAR, FLOWERS, GROCERY = "cifar10", "flowers", "grocery"
HUMAN = "human"  # labels as one person gave them
NOISES = {
    CIFAR: {
        "symm 0.2": ONE_SEED,
        "symm 0.4": THREE_SEEDS,
        "symm 0.6": ONE_SEED,
        "symm 0.8": ONE_SEED,
        "asymm 0.4": ONE_SEED,
        HUMAN: ONE_SEED,
    },
    FLOWERS: {"symm 0.2": THREE_SEEDS, "symm 0.4": THREE_SEEDS},
    GROCERY: {"symm 0.2": THREE_SEEDS, "symm 0.4": THREE_SEEDS},
}
TEST_EVERY = 5  # photo of a flower
HEADS = {
    "head": "default",
    "head-noisy": "ce-noisy",
    "head-right": "ce-clean",
    "head-true": "ce-noisy",
}
FINETUNED = {
    f"finetuned{name.removeprefix('head')}": scheme
    for name, scheme in HEADS.items()
    if name != "head-right"
}
SCHEMES = (
    *("ce-noisy", "ce-clean", "two-stage", "soft", "default", "right", "of-right", "true"),
    *HEADS,
    *FINETUNED,
)
# what a report of the truth is learned by, and the end of its name
OF_TRUTH = {
    "right": ("ce-clean", "-right"),
    "of-right": ("default", "-right"),
    "true": ("ce-noisy", "-true"),
    "head-right": ("ce-clean", "-right"),
    "head-true": ("ce-noisy", "-true"),
    "finetuned-true": ("ce-noisy", "-true"),
}
FIGURES = ("accuracy", "gap", "calibration", "seconds")


@dataclass(frozen=True)
class Job:
    data: str
    noise: str
    seed: int
    scheme: str = ""

    @property
    def report(self) -> str:
        """Stem of what is the same for all schemes."""
        return f"{self._of}{self.noise}-{self.seed}".replace(" ", "_")

    @property
    def name(self) -> str:
        """Of its files: the true labels are the same whatever the noise, so one run serves all."""
        if self.scheme.endswith("true"):
            return f"{self._of}seed-{self.seed}-{self.scheme}"
        return f"{self.report}-{self.scheme}"

    @property
    def _of(self) -> str:
        return "" if self.data == CIFAR else f"{self.data}-"


@dataclass(frozen=True)
class Images:
    """The images to train on, (n,) names and classes, and the words for the commands."""

    names: list[str]
    truth: NDArray[np.int64]
    class_names: tuple[str, ...]
    source: tuple[object, ...]  # of filter, before the labels
    options: tuple[object, ...]
    test: tuple[object, ...]


def images_of(data: str, options: argparse.Namespace) -> Images:
    if data == CIFAR:
        from labelclean.sources.formats.cifar import read_cifar

        cifar = read_cifar(CIFAR, options.cifar)
        truth = cifar.labels[: options.count]
        root = ("--root", options.cifar)
        return Images(
            names=[f"train/{k:05d}" for k in range(len(truth))],
            truth=truth,
            class_names=cifar.class_names,
            source=(CIFAR,),
            options=root,
            test=("--test", CIFAR, *root),
        )
    folders = {part: options.out / f"{data}-{part}" for part in ("train", "test")}
    photos = sorted(getattr(options, data).glob("*/*"))
    parts = {"train": [p for k, p in enumerate(photos) if k % TEST_EVERY]}
    seen = {photo.read_bytes() for photo in parts["train"]}  # some photos are there twice
    parts["test"] = [photo for photo in photos[::TEST_EVERY] if photo.read_bytes() not in seen]
    for part, its in parts.items():
        for photo in its:
            copy = folders[part] / photo.parent.name / photo.name
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(photo, copy)
    class_names = tuple(sorted({photo.parent.name for photo in photos}))
    its = parts["train"]
    return Images(
        names=[f"{photo.parent.name}/{photo.name}" for photo in its],
        truth=np.array([class_names.index(photo.parent.name) for photo in its]),
        class_names=class_names,
        source=(folders["train"],),
        options=(),
        test=("--test", folders["test"]),
    )


def labelclean(*words: object) -> str:
    """What the command prints; one thread, so that jobs side by side do not disturb each other."""
    command = [sys.executable, "-m", "labelclean", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}")
    return done.stdout


def write_labels(path: Path, job: Job, images: Images, human: Path | None) -> None:
    """A table of the images with their noisy labels."""
    from labelclean.data import noise as kinds

    kind, _, rate = job.noise.partition(" ")
    generator = np.random.Generator(np.random.PCG64(job.seed))
    if human is not None and job.noise == HUMAN:
        given = np.loadtxt(human, dtype=np.int64)[: len(images.truth)]
    elif kind == "symm":
        given = kinds.symmetric(images.truth, len(images.class_names), float(rate), generator)
    else:
        given = kinds.by_matrix(images.truth, kinds.cifar10_asymmetric(float(rate)), generator)
    rows = [f"{name},{images.class_names[k]}" for name, k in zip(images.names, given, strict=True)]
    path.write_text("\n".join(["image,label", *rows]) + "\n")


def prepare(job: Job, options: argparse.Namespace) -> None:
    """REPORT.csv, of `filter`, REPORT-right.csv, with the true verdicts, and REPORT-true.csv, with
    the true labels as given ones."""
    from labelclean.report.report import Report

    report, true = options.out / f"{job.report}.csv", options.out / f"{job.report}-true.csv"
    if true.exists():
        return
    images = images_of(job.data, options)
    labels = options.out / f"{job.report}.labels.csv"
    write_labels(labels, job, images, options.human)
    if not report.exists():
        words = ("--seed", job.seed, "--device", options.device, "--quiet")
        labelclean("filter", *images.source, labels, "--out", report, *images.options, *words)
    found = Report.read(report)
    right = [images.class_names[k] for k in images.truth]
    frame = found.to_frame()
    frame["is_label_issue"] = [a != b for a, b in zip(frame["given_label"], right, strict=True)]
    frame["issue_probability"] = frame["is_label_issue"].astype(float)
    Report(frame=frame, meta=found.meta).write(options.out / f"{job.report}-right.csv", force=True)
    frame = found.to_frame()
    frame["given_label"] = frame["suggested_label"] = right
    frame["is_label_issue"], frame["issue_probability"] = False, 0.0
    meta = replace(found.meta, noise_rate=0.0, transition_matrix=None)
    Report(frame=frame, meta=meta).write(true, force=True)


def run(job: Job, options: argparse.Namespace) -> None:
    """Trains one job and keeps what it prints, with the command and the machine."""
    pretrained = {**HEADS, **FINETUNED}
    scheme, end = OF_TRUTH.get(job.scheme, (pretrained.get(job.scheme, job.scheme), ""))
    is_head = job.scheme in HEADS
    report = options.out / f"{job.report}{end}.csv"
    images = images_of(job.data, options)
    words: tuple[object, ...] = (
        "train",
        *("--report", report),
        *("--scheme", scheme),
        *("--out", options.out / f"{job.name}.model"),
        *images.test,
        *("--seed", job.seed, "--device", options.device),
        *(("--epochs", options.epochs) if options.epochs and not is_head else ()),
        "--no-finetune"
        if is_head
        else "--finetune"
        if job.scheme in FINETUNED
        else "--from-scratch",
        *(("--image-size", options.image_size) if options.image_size else ()),
        *("--json", "--quiet", "--force"),
    )
    started = time.monotonic()
    try:
        printed = json.loads(labelclean(*words))
    except SystemExit as error:  # it has said why: there may be no label of a class to believe
        print(f"{job.name}: not trained: {error}", file=sys.stderr, flush=True)
        return
    seconds = time.monotonic() - started
    config = json.loads((options.out / f"{job.name}.model" / "config.json").read_text())
    test = printed["test"]
    facts = {
        "data": job.data,
        "n": len(images.truth),
        "noise": job.noise,
        "seed": job.seed,
        "scheme": job.scheme,
        "epochs": printed["training"]["epochs"],
        "arch": config["architecture"],
        "accuracy": 100 * test["accuracy"]["value"],
        "low": 100 * test["accuracy"]["interval"][0],
        "high": 100 * test["accuracy"]["interval"][1],
        "calibration": test["calibration_error"],
        "seconds": seconds,
        "machine": f"{platform.machine()}, {options.device}, 1 thread",
        **{name: config["versions"][name] for name in ("labelclean", "torch")},
        "command": " ".join(
            str(word) if not isinstance(word, Path) else word.name
            for word in ("labelclean", *words)
        ),
    }
    part = options.out / f".{job.name}.tmp"
    part.write_text(json.dumps(facts))
    os.replace(part, options.out / f"{job.name}.json")
    print(f"{job.name}: {facts['accuracy']:.2f} %, {seconds:.0f} s", file=sys.stderr, flush=True)


def rescore(job: Job, options: argparse.Namespace) -> None:
    """Judges the labels again by the model of the job; keeps the figures of both reports."""
    again = options.out / f"{job.report}-again.csv"
    labels, images = options.out / f"{job.report}.labels.csv", images_of(job.data, options)
    labelclean(
        *("filter", *images.source, labels, *images.options, "--device", options.device),
        *("--from-model", options.out / f"{job.name}.model", "--out", again, "--quiet", "--force"),
    )
    found = {"noise": job.noise, "seed": job.seed}
    for when, report in (("first", options.out / f"{job.report}.csv"), ("again", again)):
        found.update({f"{when}_{k}": v for k, v in quality(report, images).items()})
    (options.out / f"{job.report}-again.json").write_text(json.dumps(found))


def quality(report: Path, images: Images) -> dict[str, float]:
    """Average precision in percent, and error of the noise rate."""
    from labelclean.report import metrics
    from labelclean.report.report import Report

    found = Report.read(report)
    truth = [images.class_names[k] for k in images.truth]
    frame = found.to_frame()
    is_noisy = (frame["given_label"] != truth).to_numpy()
    score = frame["label_score"].to_numpy()
    return {
        "ap": 100 * metrics.average_precision(score, is_noisy),
        "rate_error": metrics.noise_rate_error(found.meta.noise_rate, is_noisy),
    }


def with_gaps(found: pd.DataFrame) -> pd.DataFrame:
    """Adds the share of the gap between ce-noisy and true labels that each run closes."""
    key = ["data", "noise", "seed"]
    by_scheme = found.pivot_table(index=key, columns="scheme", values="accuracy")
    gaps = []
    for row in found.itertuples():
        ends = by_scheme.loc[(row.data, row.noise, row.seed)]
        kind = row.scheme.split("-")[0] if row.scheme in {**HEADS, **FINETUNED} else ""
        first, last = (f"{kind}-noisy", f"{kind}-true") if kind else ("ce-noisy", "true")
        low, high = ends.get(first, np.nan), ends.get(last, np.nan)
        gaps.append((row.accuracy - low) / (high - low) if high > low else np.nan)
    return found.assign(gap=gaps)


def print_table(found: pd.DataFrame) -> None:
    """Mean, and standard deviation where there are several seeds; accuracy in percent."""
    first = found.iloc[0]
    print(
        f"{first.data}, n {first.n:,}, {first.epochs} epochs, {first.arch}, labelclean "
        f"{first.labelclean}, torch {first.torch}, {first.machine}"
    )
    print(f"{'noise':10} {'scheme':15} {'seeds':>5} " + " ".join(f"{f:>13}" for f in FIGURES))
    for (noise, scheme), runs in found.groupby(["noise", "scheme"], sort=False):
        cells = []
        for name in FIGURES:
            digits = {"accuracy": 2, "gap": 2, "calibration": 3, "seconds": 0}[name]
            text = "-" if runs[name].isna().any() else f"{runs[name].mean():.{digits}f}"
            spread = "" if len(runs) == 1 or text == "-" else f" ± {runs[name].std():.{digits}f}"
            cells.append(text + spread)
        print(f"{noise:10} {scheme:15} {len(runs):5} " + " ".join(f"{c:>13}" for c in cells))


def print_rescored(found: pd.DataFrame) -> None:
    """What filter finds first, and again by the model of `default`."""
    print("filter, and filter --from-model with the model of default: AP, error of the noise rate")
    for noise, runs in found.groupby("noise", sort=False):
        cells = [
            f"{runs[f'{time}_ap'].mean():.1f} {runs[f'{time}_rate_error'].mean():.3f}"
            for time in ("first", "again")
        ]
        print(f"{noise:10} {len(runs):5} " + " ".join(f"{cell:>13}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar", type=Path, help="holds cifar-10-batches-bin")
    parser.add_argument("--human", type=Path, help="class numbers by one annotator, one a line")
    parser.add_argument("--flowers", type=Path, help="holds a folder of photos for each class")
    parser.add_argument("--grocery", type=Path, help="holds a folder of photos for each class")
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--count", type=int, default=10_000, help="images: the first ones")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--epochs", type=int, help="of each scheme; default: that of train")
    parser.add_argument("--image-size", type=int, help="px; default: that of train")
    parser.add_argument("--noises", help="only these, separated by commas")
    parser.add_argument("--schemes", help="only these, separated by commas")
    parser.add_argument("--seeds", help="only these, separated by commas")
    parser.add_argument("--table", action="store_true", help="of what is there; train nothing")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    of_data = {CIFAR: options.cifar, FLOWERS: options.flowers, GROCERY: options.grocery}
    if not any(of_data.values()):
        parser.error("give --cifar, --flowers or --grocery")
    schemes = options.schemes.split(",") if options.schemes else SCHEMES
    jobs = [
        Job(data, noise, seed, scheme)
        for data, folder in of_data.items()
        if folder is not None
        for noise, seeds in NOISES[data].items()
        if options.noises is None or noise in options.noises.split(",")
        if noise != HUMAN or options.human is not None
        for seed in seeds
        if options.seeds is None or str(seed) in options.seeds.split(",")
        for scheme in schemes
    ]
    if not jobs:
        parser.error("nothing to run: see --noises, --seeds, --schemes and --human")
    jobs.sort(key=lambda job: job.seed)  # one seed of everything first
    missing = [job for job in jobs if not (options.out / f"{job.name}.json").exists()]
    if not options.table:
        for data in {job.data for job in missing}:
            images_of(data, options)  # copies photos before the jobs need them
        with ThreadPoolExecutor(options.jobs) as pool:
            reports = {job.report: job for job in missing}
            list(pool.map(lambda job: prepare(job, options), reports.values()))
            once = {job.name: job for job in missing}.values()
            list(pool.map(lambda job: run(job, options), once))
            judging = [job for job in jobs if (options.out / f"{job.name}.model").is_dir()]
            judging = [job for job in judging if job.scheme == "default"]
            new = [j for j in judging if not (options.out / f"{j.report}-again.json").exists()]
            list(pool.map(lambda job: rescore(job, options), new))
    kept = [
        {**json.loads(path.read_text()), "noise": job.noise}
        for job in jobs
        if (path := options.out / f"{job.name}.json").exists()
    ]
    if not kept:
        raise SystemExit("nothing is there yet: leave --table out")
    found = with_gaps(pd.DataFrame(kept))
    found.to_csv(options.out / "train_quality.csv", index=False, float_format="%.4f")
    for data, its in found.groupby("data", sort=False):
        print_table(its)
        judged = [job for job in jobs if job.data == data and job.scheme == "default"]
        again = [options.out / f"{job.report}-again.json" for job in judged]
        rescored = [json.loads(path.read_text()) for path in again if path.exists()]
        if rescored:
            print_rescored(pd.DataFrame(rescored))


if __name__ == "__main__":
    main()
