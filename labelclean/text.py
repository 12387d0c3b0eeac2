"""Rows as text that spreadsheets and programs read alike."""

from __future__ import annotations

import csv
from collections.abc import Iterable


def csv_text(rows: Iterable[Iterable[str]], delimiter: str = ",") -> str:
    """Rows that end in \\n; a lone \\r or \\n in a cell is quoted."""
    lines = _Lines()
    # Before Python 3.13 csv quotes both only if the row's end is \\r\\n.
    writer = csv.writer(lines, delimiter=delimiter, lineterminator="\r\n")
    writer.writerows(rows)
    return "".join(line.removesuffix("\r\n") + "\n" for line in lines)


class _Lines(list[str]):
    """Takes each row that csv writes."""

    def write(self, line: str) -> None:
        self.append(line)
