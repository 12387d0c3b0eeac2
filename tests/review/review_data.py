"""Reports, images and servers for the tests of the review."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import report_data
from PIL import Image
from starlette.testclient import TestClient

from labelclean.decisions.store import DecisionStore, decisions_path, digest_of, read_decisions
from labelclean.report.report import Report
from labelclean.review import server
from labelclean.review.neighbours import Neighbours
from labelclean.review.pages import ReviewRows
from labelclean.review.relearning import Relearn, Relearner
from labelclean.review.session import ReviewSession
from labelclean.review.thumbnails import Thumbnails
from labelclean.workflows.reported import read_source

PORT, TOKEN = 4321, "secret-token"
HOST = f"http://127.0.0.1:{PORT}"

LABELS = ("cat", "dog", "fox")

# image, given, suggested, issue, score, chance, sure, second, margin, status, flags
Row = tuple[str | bool | float | None, ...]


def row(
    image: str,
    given: str = "cat",
    suggested: str = "dog",
    score: float | None = 0.1,
    *,
    issue: bool | None = None,
    second: str = "fox",
    status: str = "ok",
    flags: str = "",
) -> Row:
    """A row with issue_probability 1 - score; an issue where the two labels differ."""
    chance = None if score is None else 1 - score
    is_issue = score is not None and given != suggested if issue is None else issue
    return (image, given, suggested, is_issue, score, chance, chance, second, 0.5, status, flags)


def report_of(rows: Sequence[Row], root: Path, **changes: object) -> Report:
    made = {
        "class_names": LABELS,
        "image_root_given": str(root),
        "image_root": str(root),
        "config": {"train": {"epochs": 3}, "self_test": 0.0},
        "seed": 7,
        "versions": {"labelclean": "0.1"},
        "seconds": {"training": 1.5},
        "noise_rate_interval": (0.15, 0.25),
    }
    return report_data.report_of(rows, **{**made, **changes})


def write_images(folder: Path, names: Sequence[str]) -> None:
    """A 24 px square of its own colour for each name."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names):
        pixels = np.full((24, 24, 3), (40 * k % 256, 90, 160), np.uint8)
        Image.fromarray(pixels).save(folder / name, "PNG")


def simple_review(folder: Path, count: int = 12) -> Path:
    """A report of `count` images, k.png with score k / 100, half of them given cat, half fox."""
    names = [f"{k:02d}.png" for k in range(count)]
    write_images(folder / "images", names)
    rows = [row(n, "cat" if k % 2 == 0 else "fox", "dog", k / 100) for k, n in enumerate(names)]
    report_of(rows, folder / "images").write(folder / "report.csv")
    return folder / "report.csv"


@contextmanager
def served(report: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """labelclean review as its own process: its address, and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "labelclean", "review", str(report), "--no-open", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        address = process.stdout.readline().strip()
        assert address, process.stderr.read()
        yield address, process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


@dataclass
class Review:
    client: TestClient
    session: ReviewSession
    path: Path

    def rows(self, **params: object) -> list[int]:
        answer = self.client.get("/api/rows", params={k: str(v) for k, v in params.items()})
        assert answer.status_code == 200, answer.text
        return [cells["row"] for cells in answer.json()["rows"]]

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return self.client.post(path, json=body, headers={"origin": HOST, **headers})

    def decide(self, rows: list[int], action: str, label: int | None = None) -> dict[str, object]:
        answer = self.post("/api/decisions", {"rows": rows, "action": action, "label": label})
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found


def open_review(path: Path, reviewer: str = "ann", relearn: Relearn | None = None) -> Review:
    report = Report.read(path)
    rows, digest = ReviewRows(report), digest_of(report)
    store = DecisionStore.open(decisions_path(path), report_digest=digest)
    session = ReviewSession(rows, store, reviewer)
    parts = server.ReviewParts(
        session=session,
        thumbnails=Thumbnails(read_source(report).images),
        neighbours=Neighbours(rows),
        title="report.csv",
        digest=digest,
        relearner=None if relearn is None else Relearner(session, relearn),
    )
    client = TestClient(server.make_app(parts, port=PORT, token=TOKEN), base_url=HOST)
    return Review(client, session, path)


def open_grid(page: Any, address: str) -> None:
    page.goto(address)
    page.keyboard.press("r")
    page.wait_for_selector(".thumb.in-focus")


def wait_to_hear(page: Any, start: str, times: int = 1) -> None:
    """Until a screen reader was told that often what starts so (of the last eight lines)."""
    page.wait_for_function(
        "([start, times]) => [...document.querySelectorAll('#announcer p')]"
        ".filter(line => line.textContent.startsWith(start)).length >= times",
        arg=[start, times],
    )


def wait_for_stamps(page: Any, count: int) -> None:
    """Until that many images of the page show a decision, and none waits for its answer."""
    page.wait_for_function(
        "count => document.querySelectorAll('.stamp:not([hidden])').length === count"
        " && !document.querySelector('.waiting')",
        arg=count,
    )


def decided(report: Path) -> dict[str, tuple[str, str | None]]:
    found = read_decisions(decisions_path(report)).values()
    return {decision.image: (decision.action, decision.label) for decision in found}
