"""The tables as text for terminals, as Markdown and as a page."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from labelclean.benchmark.method_tables import Cell, Comparison, Table, compare
from labelclean.benchmark.published import PublishedTable, published_tables
from labelclean.benchmark.results import Row, write
from labelclean.errors import printable

MARKDOWN, PAGE = "results.md", "results.html"
IN_TEXT = ("average_precision", "test_accuracy", "classified_accuracy")  # the rest is in the files
LEGEND = "Best of each noise: {best}; ± standard deviation over seeds"
PAPERS = (
    "The paper's figures are of ResNet34, all training images and its own number of epochs; those "
    "of NLNL and Ours are after pseudo-labelling."
)


def write_pages(rows: Sequence[Row], folder: Path) -> None:
    """results.md and results.html, whole. Raises ReportError if they cannot be written."""
    comparisons = compare(rows)
    pages = {MARKDOWN: as_markdown(comparisons), PAGE: as_page(comparisons)}
    for name, text in pages.items():
        write(folder / name, text.encode("utf-8", "backslashreplace"))


def heading(comparison: Comparison) -> str:
    setting = comparison.setting
    epochs = f"{setting.epochs} epoch{'s' if setting.epochs > 1 else ''}"
    return printable(
        f"{setting.data}, {setting.n:,} images, {setting.preset}, {setting.arch}, {epochs}"
    )


def failure(row: Row) -> str:
    return printable(f"{row.key.words()}: {row.error or row.notes}")


def as_text(comparisons: Sequence[Comparison]) -> str:
    """The main tables, each with aligned columns; the paper's figures on a line below ours."""
    parts = []
    for comparison in comparisons:
        parts.append(heading(comparison))
        parts += [_aligned(table) for table in comparison.tables if table.metric.name in IN_TEXT]
        tables = [table for table in comparison.tables if table.metric.name in IN_TEXT]
        if tables:
            parts.append(_legend(tables, "*"))
        if comparison.failed:
            parts.append("\n".join(f"failed: {failure(row)}" for row in comparison.failed))
    return "\n\n".join(parts)


def _legend(tables: Sequence[Table], best: str) -> str:
    has_published = any(line.published_name for table in tables for line in table.lines)
    return LEGEND.format(best=best) + (f". {PAPERS}" if has_published else "")


def _aligned(table: Table) -> str:
    rows = [["", *(f"{printable(noise)} " for noise in table.noises), "seconds"]]
    for line in table.lines:
        marked = [_starred(cell) for cell in line.cells]
        rows.append([printable(line.method), *marked, _seconds(line.seconds)])
        if line.published_name:
            paper = [f"{_published(cell)} " for cell in line.cells]
            rows.append([f"  paper: {line.published_name}", *paper, ""])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]
    return "\n".join([table.metric.title, *lines])


def _starred(cell: Cell | None) -> str:
    """The cell with room for a star behind it."""
    if cell is None:
        return "- "
    return f"{cell.text}{'*' if cell.is_best else ' '}"


def _published(cell: Cell | None) -> str:
    return "" if cell is None or cell.published is None else f"{cell.published:.2f}"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:,.0f}"


def as_markdown(comparisons: Sequence[Comparison]) -> str:
    parts = ["# Results of `labelclean benchmark`"]
    for comparison in comparisons:
        parts.append(f"## {_escaped(heading(comparison))}")
        parts.append("\n".join(f"- {_escaped(words)}" for words in comparison.machines))
        for table in comparison.tables:
            parts += [f"### {table.metric.title}", _markdown_table(table)]
        parts.append(f"{_legend(comparison.tables, '**bold**')}")
        if comparison.failed:
            failed = "\n".join(f"- {_escaped(failure(row))}" for row in comparison.failed)
            parts.append(f"### Failed runs\n\n{failed}")
    parts.append("## The paper's own tables: test accuracy, %")
    for published in published_tables():
        rows = _published_rows(published)
        parts.append(f"{published.source}, page {published.page}.")
        parts.append(_pipes([[_escaped(cell) for cell in row] for row in rows]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_table(table: Table) -> str:
    rows = [["method", *map(_escaped, table.noises), "seconds"]]
    for line in table.lines:
        cells = []
        for cell in line.cells:
            shown = "-" if cell is None else cell.text
            shown = f"**{shown}**" if cell and cell.is_best else shown
            paper = _published(cell)
            cells.append(f"{shown} (paper {paper})" if paper else shown)
        rows.append([_escaped(line.method), *cells, _seconds(line.seconds)])
    return _pipes(rows)


def _pipes(rows: Sequence[Sequence[str]]) -> str:
    ruler = ["---", *("---:" for _ in rows[0][1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], ruler, *rows[1:]))


def _escaped(name: str) -> str:
    """As plain text in Markdown, whatever it holds."""
    return re.sub(r"([\\`*_{}\[\]|#~])", r"\\\1", html.escape(printable(name), quote=False))


def _published_rows(table: PublishedTable) -> list[list[str]]:
    """With a header; a figure that the paper lacks is a dash."""
    noises = list(dict.fromkeys(noise for row in table.rows for noise in row.accuracy))
    return [
        ["data", "model", "method", *noises],
        *(
            [row.data, row.model, row.method]
            + [f"{row.accuracy[n]:.2f}" if n in row.accuracy else "-" for n in noises]
            for row in table.rows
        ),
    ]


def as_page(comparisons: Sequence[Comparison]) -> str:
    environment = Environment(
        loader=PackageLoader("labelclean.benchmark", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = printable
    return environment.get_template("results.html.j2").render(
        comparisons=comparisons,
        heading=heading,
        failure=failure,
        legend=lambda tables: _legend(tables, "bold"),
        published=[(table, _published_rows(table)) for table in published_tables()],
    )
