"""How much memory `filter --features` takes, by number of images; the features lie on the disk.

    python examples/benchmark/features_memory.py --out DIR
    python examples/benchmark/features_memory.py --out DIR --rows 10000 --classes 3000

Made-up features of 3,104 numbers, in 10 classes if not said otherwise, one label in ten wrong; one
process, one thread.
Memory is what the process has for itself (RssAnon of Linux, looked at ten times a second): pages of
the mapped file are the system's, which takes them back when it needs them.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

WIDTH = 3104


def make(folder: Path, rows: int, classes: int) -> tuple[Path, Path]:
    """The table of labels and the features of so many made-up images."""
    labels, features = folder / f"{rows}.csv", folder / f"{rows}.npy"
    rng = np.random.default_rng(0)
    true = rng.integers(0, classes, rows)
    given = np.where(rng.random(rows) < 0.1, rng.integers(0, classes, rows), true)
    lines = [f"{row:08d}.jpg,class {label}\n" for row, label in enumerate(given.tolist())]
    labels.write_text("image,label\n" + "".join(lines))
    out = np.lib.format.open_memmap(features, mode="w+", dtype=np.float16, shape=(rows, WIDTH))
    centres = rng.normal(0, 0.3, (classes, WIDTH)).astype(np.float32)
    for begin in range(0, rows, 16_384):
        part = slice(begin, min(rows, begin + 16_384))
        noise = rng.standard_normal((part.stop - begin, WIDTH), dtype=np.float32)
        out[part] = centres[true[part]] + noise
    out.flush()
    return labels, features


def measure(words: list[str]) -> tuple[float, float]:
    """Seconds, and the most MiB that the process had for itself."""
    began, most = time.perf_counter(), 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        sizes = [int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")]
        most = max([most, *sizes])
        time.sleep(0.1)
    if process.wait():
        raise SystemExit(f"{' '.join(words)}: failed")
    return time.perf_counter() - began, most / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", default="100000,500000,1000000")
    parser.add_argument("--classes", type=int, default=10)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    about = f"Python {platform.python_version()}, {platform.machine()}, one thread"
    print(f"{about}, {options.classes:,} classes")
    print(f"{'rows':>11} {'features GB':>11} {'seconds':>8} {'MiB':>7}")
    for rows in map(int, options.rows.split(",")):
        labels, features = make(options.out, rows, options.classes)
        words = [sys.executable, "-m", "labelclean", "filter", str(labels), "--quiet", "--force"]
        words += ["--features", str(features), "--out", str(options.out / f"{rows}.parquet")]
        seconds, memory = measure([*words, "--cache-dir", str(options.out / "cache")])
        size = features.stat().st_size / 1e9
        print(f"{rows:11,} {size:11.2f} {seconds:8.0f} {memory:7,.0f}", flush=True)
        features.unlink()


if __name__ == "__main__":
    main()
