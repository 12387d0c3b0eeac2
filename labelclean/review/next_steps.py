"""The commands that come after a review, for the page and for the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

TABLES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")


@dataclass(frozen=True, kw_only=True)
class NextStep:
    """A next step and the command line for it."""

    title: str
    command: str


def next_steps(report: Path, source: Mapping[str, str | None]) -> tuple[NextStep, ...]:
    """The commands for a report, as it was named on the command line.

    source  what the report says of where its labels came from
    """
    clean = _clean_name(source.get("labels") or source.get("source") or "")
    words = {
        "Write the corrected labels": ["apply", str(report), "--out", clean],
        "Train a classifier on them": ["train", "--report", str(report)],
        "Go on with the review": ["review", str(report)],
    }
    return tuple(
        NextStep(title=title, command=shlex.join(["labelclean", *line]))
        for title, line in words.items()
    )


def _clean_name(labels: str) -> str:
    """`labels.csv` → `labels-clean.csv`, a folder `photos` → `photos-clean`."""
    name = PurePath(labels.replace("\\", "/")).name or "labels"
    path = PurePath(name)
    if path.suffix.lower() in TABLES:
        return f"{path.stem}-clean{path.suffix}"
    return f"{name}-clean"
