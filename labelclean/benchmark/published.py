"""The paper's own results: Tables 1 and 2 as they are printed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

# Of the methods that the paper has too; what it calls them.
NAMES = {
    "ce": "CE",
    "co-teaching": "Co-teaching",
    "jocor": "JoCoR",
    "nfl-rce": "NFL+RCE",
    "nce-rce": "NCE+RCE",
    "nlnl": "NLNL",
    "forward": "Forward",
    "jnpl": "Ours",
}


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """A method's test accuracy, %, by noise as the grid writes it; "real" on Clothing1M."""

    data: str
    model: str
    method: str
    accuracy: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """source: where it is printed; page: of the paper."""

    source: str
    page: int
    rows: tuple[PublishedRow, ...]


@cache
def published_tables() -> tuple[PublishedTable, PublishedTable]:
    """Table 1, CIFAR with injected noise, and Table 2, Clothing1M."""
    return _read("table1.csv"), _read("table2.csv")


def published_accuracy(data: str, method: str, noise: str) -> float | None:
    """The paper's figure for a method of ours on that data and noise; None if it has none."""
    name = NAMES.get(method)
    for row in published_tables()[0].rows:
        if (row.data, row.method) == (data, name):
            return row.accuracy.get(noise)
    return None


def _read(name: str) -> PublishedTable:
    text = resources.files("labelclean.benchmark").joinpath("paper", name).read_text("utf-8")
    lines = list(csv.DictReader(text.splitlines()))
    facts = ("source", "page", "data", "model", "method")
    rows = tuple(
        PublishedRow(
            data=cells["data"],
            model=cells["model"],
            method=cells["method"],
            accuracy={k: float(v) for k, v in cells.items() if k not in facts and v},
        )
        for cells in lines
    )
    return PublishedTable(source=lines[0]["source"], page=int(lines[0]["page"]), rows=rows)
