"""How much faster `filter` trains in two processes than in one, and whether they say the same.

    python examples/benchmark/distributed_speed.py [--device cuda] [--batch-size 512]

The images of `labelclean demo`, by one process, by two of torchrun, and by two that know nothing of
each other at the same time, a CPU thread each; the seconds of the training, which the reports hold,
without start, reading and judging. The table is printed last: seconds of every round; the median of
one process's over two's; the efficiency, which is the images a second of the two of torchrun beside
those of the two that share nothing; and how many verdicts of one and of two processes agree.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


def begin(report: Path, processes: int, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """A run of filter that writes this report."""
    command = [sys.executable]
    if processes > 1:
        command += [*TORCHRUN, str(processes)]
    command += [
        "-m",
        "labelclean",
        "filter",
        "demo/images",
        "demo/labels.csv",
        "--out",
        str(report),
    ]
    command += ["--device", options.device, "--epochs", str(options.epochs), "--quiet", "--force"]
    command += ["--preset", options.preset, "--batch-size", str(options.batch_size)]
    command += ["--views", "scratch"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=report.parent, env=environment, stdout=subprocess.DEVNULL)


def seconds_of(processes: int, runs: int, folder: Path, options: argparse.Namespace) -> float:
    """How long the training takes in so many runs of filter at once, in the mean."""
    reports = [folder / f"{processes}-{number}.csv" for number in range(runs)]
    for report, run in [(path, begin(path, processes, options)) for path in reports]:
        if run.wait():
            raise SystemExit(f"{report.name}: filter failed")
    metas = [json.loads(path.with_suffix(".meta.json").read_text()) for path in reports]
    return statistics.mean(float(meta["seconds"]["training"]) for meta in metas)


def agreement(folder: Path) -> float:
    """Share of the judged rows on whose verdict one process and two agree."""
    one, two = (pd.read_csv(folder / f"{processes}-0.csv") for processes in (1, 2))
    is_judged = one.issue_probability.notna()
    return float((one.is_label_issue == two.is_label_issue)[is_judged].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--batch-size", type=int, default=128, help="of both together")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo = [sys.executable, "-m", "labelclean", "demo", "demo"]
        subprocess.run(demo, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        seconds = [
            [seconds_of(*runs, folder, options) for runs in ((1, 1), (2, 1), (1, 2))]
            for _ in range(options.rounds)
        ]
        agreeing = agreement(folder)
    import torch

    print(
        f"demo, n 4,000, {options.epochs} epochs, preset {options.preset}, {options.batch_size} "
        f"images a step, {platform.machine()}, {options.device}, torch {torch.__version__}"
    )
    print("   one    two  two apart   faster  efficiency")
    for one, two, apart in seconds:
        print(f"{one:6.1f} {two:6.1f} {apart:10.1f} {one / two:8.2f} {apart / two / 2:11.2f}")
    faster = statistics.median(one / two for one, two, _ in seconds)
    efficiency = statistics.median(apart / two / 2 for _, two, apart in seconds)
    print(f"median {'':17} {faster:8.2f} {efficiency:11.2f}")
    print(f"verdicts that agree: {agreeing:.1%}")


if __name__ == "__main__":
    main()
