"""How files reach the disk whole: durable writes, moves that all happen or none, rows of CSV."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    """A new file that a power cut does not empty. Raises OSError, also if the file is there."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def move_all(moves: Sequence[tuple[Path, Path]]) -> None:
    """All of them, (from, to), or after a failure none. Raises OSError."""
    done: list[tuple[Path, Path]] = []
    try:
        for old, new in moves:
            os.rename(old, new)
            done.append((old, new))
    except BaseException:  # Ctrl-C too
        for old, new in reversed(done):
            with suppress(OSError):
                os.rename(new, old)
        raise


def csv_text(rows: Iterable[Iterable[str]], delimiter: str = ",") -> str:
    """Rows that end in \\n; a lone \\r or \\n in a cell is quoted."""
    lines = _Lines()
    # Before Python 3.13 csv quotes both only if the row's end is \r\n.
    writer = csv.writer(lines, delimiter=delimiter, lineterminator="\r\n")
    writer.writerows(rows)
    return "".join(line.removesuffix("\r\n") + "\n" for line in lines)


class _Lines(list[str]):
    """Takes each row that csv writes."""

    def write(self, line: str) -> None:
        self.append(line)
