"""How fast the review is on a large report: python examples/benchmark/review_speed.py [ROWS]

Makes a report of 100,000 rows on 1,000 small images, which stand in it under many folders' names
(links), serves it by labelclean review, and asks as a browser does. Up to a million rows it has
features of 256 numbers; from a million on it is Parquet. Prints seconds until the server answers,
seconds of the first page with its 60 thumbnails, milliseconds of a decision (median and slowest of
200), of turning to a far page and of a search, each with the server's own CPU time, which a busy
machine does not stretch, and the server's largest memory.
"""

from __future__ import annotations

import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import many_images
import numpy as np

from labelclean.report.meta import ReportMeta
from labelclean.report.report import Report

CLASSES = 100
FEATURES = 256
PAGE = 60
DECISIONS = 200
MILLION = 1_000_000


def make_report(folder: Path, count: int) -> Path:
    """A report of `count` rows, each image file under many folders' names, 15 % of them issues."""
    rng = np.random.default_rng(0)
    images = folder / "images"
    many_images.make_images(images, count)
    classes = np.array([f"class {k:03d}" for k in range(CLASSES)], dtype=object)
    given = rng.integers(0, CLASSES, count)
    is_issue = rng.random(count) < 0.15
    suggested = np.where(is_issue, (given + rng.integers(1, CLASSES, count)) % CLASSES, given)
    chance = np.where(is_issue, rng.uniform(0.5, 1, count), rng.uniform(0, 0.5, count))
    columns = {
        "image": many_images.names(count),
        "given_label": classes[given],
        "suggested_label": classes[suggested],
        "is_label_issue": is_issue.tolist(),
        "label_score": 1 - chance,
        "issue_probability": chance,
        "suggested_probability": chance,
        "second_label": classes[(suggested + 1) % CLASSES],
        "margin": rng.normal(size=count),
        "status": ["ok"] * count,
    }
    meta = ReportMeta(
        class_names=tuple(classes.tolist()),
        image_root_given=str(images),
        image_root=str(images),
        config={},
        seed=0,
        versions={},
        device="none",
        seconds={},
        noise_rate=0.15,
        noise_rate_interval=(0.14, 0.16),
    )
    report = folder / f"report.{'csv' if count < MILLION else 'parquet'}"
    Report.from_columns(columns, meta).write(report)
    if count <= MILLION:
        (folder / "report.run").mkdir()
        features = rng.normal(size=(count, FEATURES)).astype(np.float16)
        np.save(folder / "report.run" / "embeddings.npy", features)
    return report


@dataclass(frozen=True)
class Took:
    """Seconds on the clock, and of the server's CPU (NaN where the system does not tell)."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{1000 * self.wall:8.1f} ms, server's CPU {1000 * self.cpu:7.1f} ms"


def timed(process: int, call: Callable[[], object]) -> Took:
    cpu, started = cpu_seconds(process), time.perf_counter()
    call()
    return Took(time.perf_counter() - started, cpu_seconds(process) - cpu)


def cpu_seconds(process: int) -> float:
    """All threads' CPU time so far, of Linux; in steps of 10 ms."""
    try:
        cells = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(process: int) -> float:
    """The largest resident memory so far, of Linux; NaN elsewhere."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def first_page(client: httpx.Client, address: str) -> None:
    """What a browser asks for until the first page is complete."""
    client.get(address).raise_for_status()
    query = {"verdict": "issue", "size": PAGE, "find": "undecided"}
    rows = client.get("/api/rows", params=query).raise_for_status().json()["rows"]
    for cells in rows:
        client.get(f"/image/{cells['row']}").raise_for_status()
    client.get(f"/api/row/{rows[0]['row']}").raise_for_status()


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = make_report(Path(folder), count)
        command = [sys.executable, "-m", "labelclean", "review", str(report), "--no-open"]
        started = time.perf_counter()
        process = subprocess.Popen([*command, "--quiet"], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            opened = Took(time.perf_counter() - started, cpu_seconds(process.pid))
            host = address.partition("/?")[0]
            settings = {"headers": {"origin": host}, "trust_env": False, "timeout": 60}
            with httpx.Client(base_url=host, **settings) as client:

                def ask(**query: object) -> list[dict[str, object]]:
                    answer = client.get("/api/rows", params={k: str(v) for k, v in query.items()})
                    rows: list[dict[str, object]] = answer.raise_for_status().json()["rows"]
                    return rows

                def decide(rows: list[dict[str, object]]) -> None:
                    for cells in rows:
                        began = time.perf_counter()
                        body = {"rows": [cells["row"]], "action": "accept"}
                        client.post("/api/decisions", json=body).raise_for_status()
                        took.append(time.perf_counter() - began)

                took: list[float] = []
                first = timed(process.pid, lambda: first_page(client, address))
                rows = ask(verdict="issue", size=DECISIONS)
                decisions = timed(process.pid, lambda: decide(rows))
                far = timed(process.pid, lambda: ask(offset=count // 2))
                search = timed(process.pid, lambda: ask(search="777/0777"))
                memory = peak_mib(process.pid)
        finally:  # also after a request that failed
            process.send_signal(signal.SIGINT)
            process.wait()
    decision = Took(statistics.median(took), decisions.cpu / len(took))
    busy = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{count:,} rows, {os.cpu_count()} cores{busy}, Python {platform.python_version()}")
    print(f"server answers after  {opened}")
    print(f"first page            {first} ({PAGE} thumbnails)")
    print(f"decision, median      {decision}")
    print(f"decision, slowest     {1000 * max(took):8.1f} ms of {len(took)}")
    print(f"a far page            {far}")
    print(f"search by name        {search}")
    print(f"peak memory           {memory:8.0f} MiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
