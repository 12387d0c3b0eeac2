"""The summary of a report: for a person, and as JSON."""

from __future__ import annotations

import html
import io
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from labelclean.data.samples import OK
from labelclean.errors import printable
from labelclean.report.doubts import warnings_and_notes
from labelclean.report.report import Report

MOST = 10  # rows and pairs shown


def summary_text(report: Report, path: str | Path | None = None, width: int = 100) -> str:
    """The summary as plain text; `path` is where the report was written."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=False, color_system=None)
    console.print(render(report, path))
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def summary_html(report: Report, count: int = MOST) -> str:
    """The headlines and the most suspicious rows, for a notebook; every name is escaped."""
    warnings, notes = warnings_and_notes(report.meta.noise_rate, report.meta.notes)
    lines = [*(f"warning: {text}" for text in warnings)]
    lines += [str(line) for line in _headlines(report)]
    shown = ["image", "given_label", "suggested_label", "issue_probability"]
    rows = most_suspicious(report, count)[shown].map(_cell)
    table = rows.to_html(index=False, escape=True, border=0) if len(rows) else ""
    text = "\n".join(html.escape(printable(line)) for line in [*lines, *notes])
    return f'<div><pre style="white-space: pre-wrap">{text}</pre>{table}</div>'


def _cell(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, float) else printable(value)


def render(report: Report, path: str | Path | None = None) -> RenderableType:
    """The summary for a rich console. Names are never read as markup or control codes."""
    warnings, notes = warnings_and_notes(report.meta.noise_rate, report.meta.notes)
    parts: list[RenderableType] = [*(_line("warning: ", printable(text)) for text in warnings)]
    if warnings:
        parts.append(Text())
    parts += _headlines(report)
    suspicious = most_suspicious(report)
    if len(suspicious):
        parts += [Text(), _rows_table(suspicious)]
    if report.meta.confusable_pairs:
        parts += [Text(), _pairs_table(report)]
    if notes:
        parts += [Text(), *(_line("note: ", printable(note)) for note in notes)]
    if path is not None and str(path) != "-":
        command = shlex.join(["labelclean", "review", str(path)])
        parts += [
            Text(),
            _line("report:        ", printable(path)),
            _line("look at it:    ", printable(command)),
        ]
    return Group(*parts)


def most_suspicious(report: Report, count: int = MOST) -> pd.DataFrame:
    """The `count` issues of the lowest label_score, most suspicious first; equal ones in order."""
    issues = report.frame[report.frame["is_label_issue"]]
    return issues.sort_values("label_score", kind="stable", na_position="last").head(count)


def summary_json(report: Report) -> dict[str, Any]:
    """The summary's figures, JSON-ready; names as they are."""
    meta = report.meta
    return {
        "rows": sum(meta.counts.values()),
        "counts": dict(meta.counts),
        "label_issues": int(report.frame["is_label_issue"].sum()),
        "flagged_from": meta.flagged_from,
        "noise_rate": meta.noise_rate,
        "noise_rate_interval": list(meta.noise_rate_interval),
        "most_suspicious": [
            {
                "image": row["image"],
                "given_label": row["given_label"],
                "suggested_label": row["suggested_label"],
                "label_score": _or_none(row["label_score"]),
                "issue_probability": _or_none(row["issue_probability"]),
            }
            for row in most_suspicious(report).to_dict("records")
        ],
        "confusable_pairs": [vars(pair) for pair in meta.confusable_pairs],
        "self_test": meta.self_test,
        "notes": list(meta.notes),
        "image_root": meta.image_root,
        "checkpoint": meta.checkpoint,
        "device": meta.device,
        "seed": meta.seed,
        "seconds": dict(meta.seconds),
    }


def _headlines(report: Report) -> list[Text]:
    meta = report.meta
    low, high = meta.noise_rate_interval
    judged = int(report.frame["label_score"].notna().sum())
    others = [
        f"{count:,} {printable(status)}" for status, count in meta.counts.items() if status != OK
    ]
    lines = [
        _line("images:        ", f"{judged:,} judged, of {sum(meta.counts.values()):,} rows"),
        _line(
            "noise rate:    ",
            f"about {meta.noise_rate:.1%} of the labels are wrong ({low:.1%} to {high:.1%})",
        ),
        _line("wrong labels:  ", _issues(report)),
    ]
    if others:
        lines.insert(1, _line("other rows:    ", ", ".join(others)))
    if meta.self_test:
        lines.append(_line("self-test:     ", _self_test(meta.self_test)))
    if meta.seconds:
        total = sum(meta.seconds.values())
        stages = ", ".join(f"{printable(k)} {v:.1f}" for k, v in meta.seconds.items())
        lines.append(
            _line("seconds:       ", f"{total:.1f} on {printable(meta.device)} ({stages})")
        )
    return lines


def _issues(report: Report) -> str:
    """How many labels look wrong, and how many of these are expected to be wrong."""
    issues = report.frame[report.frame["is_label_issue"]]
    if not len(issues):
        return "none looks wrong"
    looks = "1 looks" if len(issues) == 1 else f"{len(issues):,} look"
    chances = issues["issue_probability"].dropna()
    if not len(chances):
        return f"{looks} wrong"
    least = report.meta.flagged_from
    which = "" if least is None else f" (probability {least:.0%} and more)"
    return f"{looks} wrong{which}, about {chances.sum():,.0f} of them are expected to be"


def _self_test(figures: Mapping[str, Any]) -> str:
    """The figures of a self-test as a sentence; a figure that is missing is left out."""
    words = []
    if figures.get("recall") is not None:
        planted = figures.get("planted")
        of = "labels" if planted is None else f"{planted:,} labels"
        words.append(f"of {of} flipped on purpose {figures['recall']:.0%} were found")
        if figures.get("recall_interval"):
            low, high = figures["recall_interval"]
            words[-1] += f" ({low:.0%} to {high:.0%})"
    if figures.get("suggestion_accuracy") is not None:
        words.append(f"the former label was suggested for {figures['suggestion_accuracy']:.0%}")
    if figures.get("precision") is not None:
        words.append(f"of those that look wrong {figures['precision']:.0%} are expected to be")
    return "; ".join(words)


def _rows_table(rows: pd.DataFrame) -> Table:
    table = Table(title="Most suspicious", title_justify="left", box=None, pad_edge=False)
    for heading in ("image", "given", "suggested"):
        table.add_column(heading, overflow="fold")
    table.add_column("probably wrong", justify="right")
    for row in rows.to_dict("records"):
        names = (row["image"], row["given_label"], row["suggested_label"])
        chance = _or_none(row["issue_probability"])
        shown = "" if chance is None else _chance(chance)
        table.add_row(*(Text(printable(name)) for name in names), Text(shown))
    return table


def _chance(chance: float) -> str:
    """Never 100.0%: no label is certainly wrong."""
    return "> 99.9%" if 0.9995 <= chance < 1 else f"{chance:.1%}"


def _pairs_table(report: Report) -> Table:
    pairs = report.meta.confusable_pairs
    table = Table(title="Mixed up most often", title_justify="left", box=None, pad_edge=False)
    for heading in ("given", "seems to be"):
        table.add_column(heading, overflow="fold")
    for heading in ("rows", "of its class"):
        table.add_column(heading, justify="right")
    for pair in pairs[:MOST]:
        names = (Text(printable(name)) for name in (pair.given, pair.suggested))
        table.add_row(*names, Text(f"{pair.count:,}"), Text(f"{pair.share:.1%}"))
    if len(pairs) > MOST:
        table.caption = Text(f"and {len(pairs) - MOST:,} more in the meta file")
        table.caption_justify = "left"
    return table


def _line(heading: str, words: str) -> Text:
    return Text.assemble((heading, "bold"), words, overflow="fold")


def _or_none(value: float) -> float | None:
    return None if value != value else value
