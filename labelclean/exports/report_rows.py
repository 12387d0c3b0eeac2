"""Rows of a report for an export, each made when it is asked for: ten million would take 10 GB."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelclean.exports.labelled_rows import ExportRow, finite

AT_ONCE = 65_536  # rows that are told of together


@dataclass(frozen=True, kw_only=True)
class ReportRows(Sequence[ExportRow]):
    """Some rows of a report.

    columns  of the report, (n,) each
    kept     (m,) rows of it, in order
    files    row of the report -> its file; the image's name where there is none
    sizes    (n, 2) width and height in px, where they are needed
    on_rows  is told how many rows were asked for just now
    """

    columns: Mapping[str, NDArray[Any]]
    kept: NDArray[np.int64]
    files: Mapping[int, str] = field(default_factory=dict)
    sizes: NDArray[np.int32] | None = None
    on_rows: Callable[[int], None] = lambda _: None

    @classmethod
    def of(cls, frame: pd.DataFrame, kept: NDArray[np.int64], **given: Any) -> ReportRows:
        columns = {str(name): frame[name].to_numpy() for name in frame.columns}
        return cls(columns=columns, kept=kept, **given)

    def __len__(self) -> int:
        return len(self.kept)

    @overload
    def __getitem__(self, place: int) -> ExportRow: ...
    @overload
    def __getitem__(self, place: slice) -> list[ExportRow]: ...
    def __getitem__(self, place: int | slice) -> ExportRow | list[ExportRow]:
        if isinstance(place, slice):
            rows = self.kept[place].tolist()
            self.on_rows(len(rows))
            return [self._row(row) for row in rows]
        return self._row(int(self.kept[place]))

    def __iter__(self) -> Iterator[ExportRow]:
        for start in range(0, len(self.kept), AT_ONCE):
            yield from self[start : start + AT_ONCE]

    def labels(self) -> list[str]:
        """All given and suggested labels, each once, as they first appear in their column."""
        found: dict[str, None] = {}
        for name in ("given_label", "suggested_label"):
            found |= dict.fromkeys(pd.unique(self.columns[name][self.kept]).tolist())
        return [label for label in found if label]

    def _row(self, row: int) -> ExportRow:
        cells = self.columns
        image = cells["image"][row]
        return ExportRow(
            row=row,
            image=image,
            file=self.files.get(row, image),
            size=None if self.sizes is None else (int(self.sizes[row, 0]), int(self.sizes[row, 1])),
            given=cells["given_label"][row],
            suggested=cells["suggested_label"][row],
            is_label_issue=bool(cells["is_label_issue"][row]),
            label_score=finite(float(cells["label_score"][row])),
            issue_probability=finite(float(cells["issue_probability"][row])),
            suggested_probability=finite(float(cells["suggested_probability"][row])),
        )
