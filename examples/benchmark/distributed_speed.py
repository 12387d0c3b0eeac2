"""How much faster `filter` trains in two processes than in one.

    python examples/benchmark/distributed_speed.py [--device cuda] [--batch-size 512]

The images of `labelclean demo`, by one process and by two of torchrun in turn, a CPU thread each;
the seconds of the training, which the reports hold, without start, reading and judging. The table
is printed last: seconds of every round, and the median of one process's over two's.
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

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


def seconds_of(processes: int, folder: Path, options: argparse.Namespace) -> float:
    """Of the training, by a run of filter."""
    command = [sys.executable]
    if processes > 1:
        command += [*TORCHRUN, str(processes)]
    report = folder / "report.csv"
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
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    meta = json.loads(report.with_suffix(".meta.json").read_text())
    return float(meta["seconds"]["training"])


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
            [seconds_of(processes, folder, options) for processes in (1, 2)]
            for _ in range(options.rounds)
        ]
    import torch

    print(
        f"demo, n 4,000, {options.epochs} epochs, preset {options.preset}, {options.batch_size} "
        f"images a step, {platform.machine()}, {options.device}, torch {torch.__version__}"
    )
    for one, two in seconds:
        print(f"one process {one:6.1f} s   two {two:6.1f} s   {one / two:.2f}")
    print(f"median {statistics.median(one / two for one, two in seconds):.2f}")


if __name__ == "__main__":
    main()
