"""Seconds and memory of the commands on large reports, and of the verdict on many rows and classes.

    python examples/benchmark/scale.py --out DIR                    # 100,000 and 1,000,000 rows
    python examples/benchmark/scale.py --out DIR --rows 10000000 --commands show,plan

Reports are made up: rows x classes, one in ten labels wrong, Parquet; `evaluate` has a table of the
true labels, `apply` one of the given ones. Each command runs in a process of its own, one thread;
its seconds hold the start of Python. `export` is for cleanlab, `tasks` for Label Studio; `coco` and
`cvat` find all images and read their sizes; `verdict` is the noise model alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import many_images
import numpy as np
import pandas as pd

from labelclean import __version__
from labelclean.config.source_options import SourceOptions
from labelclean.report.meta import ReportMeta
from labelclean.report.report import Report

COMMANDS = {
    "show": ("show", "REPORT", "--limit", "3"),
    "plan": ("plan", "REPORT"),
    "export": ("export", "REPORT", "--to", "cleanlab", "--out", "OUT", "--force", "--quiet"),
    "tasks": (
        *("export", "REPORT", "--to", "label-studio", "--url-prefix", "https://example.org/"),
        *("--out", "OUT", "--force", "--quiet"),
    ),
    "coco": (
        *("export", "REPORT", "--to", "coco-classification", "--out", "OUT"),
        *("--force", "--quiet"),
    ),
    "cvat": ("export", "REPORT", "--to", "cvat", "--out", "OUT", "--force", "--quiet"),
    "plot": ("plot", "REPORT", "--out", "OUT", "--force", "--quiet"),
    "apply": ("apply", "REPORT", "--above", "0.9", "--out", "OUT.csv", "--force", "--quiet"),
    "evaluate": ("evaluate", "REPORT", "--truth", "TRUTH", "--quiet"),
    "verdict": (),
}


def paths(folder: Path, rows: int, classes: int) -> tuple[Path, Path]:
    return folder / f"{rows}x{classes}.parquet", folder / f"{rows}x{classes}.csv"


def make(folder: Path, rows: int, classes: int) -> None:
    """Writes the report, its images and the table of true labels, unless they are there."""
    report, truth = paths(folder, rows, classes)
    if report.exists():
        return
    rng = np.random.default_rng(0)
    names = np.array([f"class {k:05d}" for k in range(classes)], dtype=object)
    true, chance = rng.integers(0, classes, rows), rng.beta(0.2, 1.8, rows)
    other = (true + rng.integers(1, classes, rows)) % classes
    given = np.where(rng.random(rows) < chance, other, true)
    is_issue = chance > 0.5
    many_images.make_images(folder / "images", rows)
    images = [f"images/{name}" for name in many_images.names(rows)]
    columns = {
        "image": images,
        "given_label": names[given],
        "suggested_label": names[np.where(is_issue, true, given)],
        "is_label_issue": is_issue.tolist(),
        "label_score": 1 - chance,
        "issue_probability": chance,
        "suggested_probability": np.maximum(chance, 1 - chance),
        "second_label": names[other],
        "margin": rng.normal(size=rows),
        "status": ["ok"] * rows,
    }
    table = report.with_suffix(".given.csv")
    pd.DataFrame({"image": images, "label": names[given]}).to_csv(table, index=False)
    rate = float(chance.mean())
    meta = ReportMeta(
        class_names=tuple(names.tolist()),
        image_root_given=str(folder),
        image_root=str(folder.absolute()),
        config={},
        seed=0,
        versions={},
        device="cpu",
        seconds={},
        noise_rate=rate,
        noise_rate_interval=(rate - 0.01, rate + 0.01),
        source={**SourceOptions().record(str(table)), "format": "table of paths and labels"},
    )
    Report.from_columns(columns, meta).write(report)
    pd.DataFrame({"image": images, "label": names[true]}).to_csv(truth, index=False)


def verdict(rows: int, classes: int) -> None:
    """The verdict on made-up predictions of five classes a row, in this process."""
    from labelclean.config import VerdictConfig
    from labelclean.judging.verdicts import decide
    from labelclean.predictions import Predictions

    rng = np.random.default_rng(0)
    true = rng.integers(0, classes, rows)
    given = np.where(rng.random(rows) < 0.2, rng.integers(0, classes, rows), true)
    top = (true[:, None] + np.arange(5) * max(1, classes // 7)) % classes
    probs = -np.sort(-rng.dirichlet([8, 0.5, 0.5, 0.5, 0.5, 0.3], rows)[:, :5], axis=1)
    p_given = np.where(top == given[:, None], probs, 0).max(axis=1) + 1e-4
    nothing = np.full(rows, np.nan, np.float32)
    said = Predictions(
        p_given=p_given.astype(np.float32),
        margin=np.log(p_given / probs[:, 0]).astype(np.float32),
        top_classes=top.astype(np.int32),
        top_probs=probs.astype(np.float32),
        epoch_p_given=nothing,
        epoch_margin=nothing,
        other_classes=np.zeros((rows, 0), np.int32),
        other_probs=np.zeros((rows, 0), np.float32),
    )
    decide(given, said, num_classes=classes, verdict=VerdictConfig())


def growth(points: list[tuple[int, float]]) -> str:
    """Seconds for a million rows more, of all points; and of the last two their exponent."""
    rows, seconds = np.array(points, dtype=float).T
    slope, start = np.polyfit(rows, seconds, 1)
    text = f"seconds = {start:.1f} + {1e6 * slope:.1f} a million rows"
    if len(points) > 2:
        before, last = seconds[-2:] - start
        exponent = np.log(last / max(before, 1e-9)) / np.log(rows[-1] / rows[-2])
        text += f"; the last step grows as rows to the power of {exponent:.2f}"
    return text


def measure(words: list[str]) -> tuple[float, float]:
    """Seconds and MiB (the most at a time) of a process."""
    began = time.perf_counter()
    process = subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"{' '.join(words)}: failed")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", default="100000,1000000")
    parser.add_argument("--classes", default="10,1000")
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--verdict", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.verdict:
        verdict(*options.verdict)
        return
    if options.make:  # in a process of its own: one that is large when it starts others counts
        make(options.out, *options.make)
        return
    print(f"labelclean {__version__}, Python {platform.python_version()}, {platform.machine()}")
    print(f"{'command':10} {'classes':>8} {'rows':>11} {'seconds':>8} {'MiB':>7}")
    for command in options.commands.split(","):
        for classes in map(int, options.classes.split(",")):
            points = []
            for rows in map(int, options.rows.split(",")):
                me = [sys.executable, __file__, "--out", str(options.out)]
                size = [str(rows), str(classes)]
                if command == "verdict":
                    seconds, memory = measure([*me, "--verdict", *size])
                else:
                    measure([*me, "--make", *size])
                    report, truth = paths(options.out, rows, classes)
                    out = str(options.out / f"{command}.out")
                    files = {"REPORT": str(report), "TRUTH": str(truth)}
                    files |= {"OUT": out, "OUT.csv": f"{out}.csv"}
                    words = [files.get(word, word) for word in COMMANDS[command]]
                    seconds, memory = measure([sys.executable, "-m", "labelclean", *words])
                points.append((rows, seconds))
                line = f"{command:10} {classes:8,} {rows:11,} {seconds:8.1f} {memory:7,.0f}"
                print(line, flush=True)
            if len(points) > 1:
                print(f"{'':10} {'':8} {growth(points)}")


if __name__ == "__main__":
    main()
