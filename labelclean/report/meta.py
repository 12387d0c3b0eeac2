"""ReportMeta: what a report says beside its rows, and the file that holds it."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, TypeAdapter

from labelclean import schema
from labelclean.errors import ReportError
from labelclean.report import files
from labelclean.report.fingerprint import Fingerprint
from labelclean.schema import Count, Number, PathText, Share, Text, Whole

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ConfusablePair:
    """Two classes that labels mix up: count rows given one and judged to be the other.

    share  of the rows with that given label, 0 to 1
    """

    given: Text
    suggested: Text
    count: Count
    share: Share


def _with_pair(figures: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    for name, value in (figures or {}).items():
        is_list = isinstance(value, list)
        is_wrong = is_list != (name == "recall_interval") or (is_list and len(value) != 2)
        if is_wrong and value is not None:
            raise ValueError("numbers, and a pair of them for recall_interval alone")
    return figures


@dataclass(frozen=True, kw_only=True)
class ReportMeta:
    """The facts of a report beside its rows; kept in `<stem>.meta.json`.

    image_root         absolute folder of the images, None where they have none
    source             how the source was read: source, labels, root (absolute), image_col,
                       label_col, split_col, split
    training           by epoch: epoch, lr, loss, disagreement, taken
    seconds            by stage
    noise_rate         0 to 1, with (low, high)
    flagged_from       issue probability from which on labels are flagged; None: not by that
    transition_matrix  (c, c) row: true class, column: given class, in the order of class_names
    counts             rows by status, set by the Report
    rows               by which the rows are known again, set when the report is written
    """

    class_names: tuple[Text, ...]
    image_root_given: PathText
    image_root: PathText | None
    config: Mapping[Text, Any]
    seed: Whole
    versions: Mapping[Text, Text]
    device: Text
    seconds: Mapping[Text, Number]
    noise_rate: Share
    noise_rate_interval: tuple[Share, Share]
    flagged_from: Share | None = None
    transition_matrix: tuple[tuple[Share, ...], ...] | None = None
    confusable_pairs: tuple[ConfusablePair, ...] = ()
    checkpoint: PathText | None = None
    source: Mapping[Text, PathText | None] = field(default_factory=dict)
    training: tuple[Mapping[Text, Number | None], ...] = ()
    self_test: Annotated[
        Mapping[Text, Number | list[Number] | None] | None, AfterValidator(_with_pair)
    ] = None
    notes: tuple[Text, ...] = ()
    counts: Mapping[Text, Count] = field(default_factory=dict)
    rows: Fingerprint | None = field(default=None, compare=False)
    schema_version: Whole = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.noise_rate, *self.noise_rate_interval))):
            raise ValueError(f"noise rate {self.noise_rate}, {self.noise_rate_interval}")
        matrix, classes = self.transition_matrix, len(self.class_names)
        if matrix is not None and [len(row) for row in matrix] != [classes] * classes:
            raise ValueError(f"transition_matrix is not {classes} rows of {classes} numbers")
        if len(set(self.class_names)) < classes:
            raise ValueError("class_names has a name twice")
        plain = {
            "class_names": tuple(self.class_names),
            "config": _plain(self.config),
            "seconds": {stage: six_digits(value) for stage, value in self.seconds.items()},
            "noise_rate": six_digits(self.noise_rate),
            "noise_rate_interval": tuple(map(six_digits, self.noise_rate_interval)),
            "flagged_from": None if self.flagged_from is None else six_digits(self.flagged_from),
            "transition_matrix": matrix
            if matrix is None
            else tuple(tuple(map(six_digits, row)) for row in matrix),
            "confusable_pairs": tuple(
                replace(pair, share=six_digits(pair.share)) for pair in self.confusable_pairs
            ),
            "self_test": _plain(self.self_test),
            "source": _plain(self.source),
            "training": tuple(_plain(epoch) for epoch in self.training),
            "notes": tuple(self.notes),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    def to_json(self) -> bytes:
        """One top-level key a line: readable, and a (c, c) matrix takes one line."""
        lines = []
        for each in sorted(fields(self), key=lambda each: each.name != "schema_version"):
            value = getattr(self, each.name)
            if each.name == "confusable_pairs":
                value = [vars(pair) for pair in value]
            elif each.name == "rows":
                value = None if value is None else vars(value)
            lines.append(f'  "{each.name}": '.encode() + files.encode_json(value))
        return b"{\n" + b",\n".join(lines) + b"\n}\n"

    @classmethod
    def from_json(cls, data: bytes, place: str) -> ReportMeta:
        """Raises ReportError that begins with `place` if it is none, or of another schema."""
        facts = schema.loads(data)
        if not isinstance(facts, dict) or not isinstance(facts.get("schema_version"), int):
            raise ReportError(f"{place}: not the meta file of a report; run filter again")
        version = facts["schema_version"]
        if version != SCHEMA_VERSION:
            remedy = "update labelclean" if version > SCHEMA_VERSION else "run filter again"
            raise ReportError(
                f"{place}: schema version {version}, this labelclean reads {SCHEMA_VERSION}; "
                f"{remedy}"
            )
        try:
            return schema.checked(_schema(), facts)
        except ValueError as error:
            raise ReportError(
                f"{place}: damaged ({error}); restore it or run filter again"
            ) from None


@functools.cache
def _schema() -> TypeAdapter[ReportMeta]:
    return TypeAdapter(ReportMeta)


def meta_path(path: Path) -> Path:
    """`report.csv` → `report.meta.json` in the same folder."""
    return path.with_suffix(".meta.json")


def six_digits(value: float) -> float:
    return float(f"{value:.6g}") + 0.0  # -0.0 becomes 0.0


def _plain(value: Any) -> Any:
    """The value as JSON gives it back: str, int, float, bool, None, list, dict."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (str, int, float)) else str(value)
