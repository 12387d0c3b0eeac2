"""Commands of labelclean in forks of one process that has loaded its libraries, see zygote.py."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SECONDS = 120.0  # that a command may take before it counts as a hang


@dataclass(frozen=True)
class Ended:
    """How a command ended. code: negative for a signal, "hang"; changes: its file operations."""

    code: int | str
    out: str
    err: str
    changes: int
    peak: int  # MiB, with what the process had loaded before

    @property
    def line(self) -> str:
        """The last line of standard error."""
        return self.err.splitlines()[-1] if self.err.splitlines() else ""

    def check_refused(self) -> None:
        """One line for the user, no traceback."""
        assert self.code == 2, self.err
        assert "Traceback" not in self.err, self.err
        lines = [line for line in self.err.splitlines() if line.startswith("labelclean: ")]
        assert len(lines) == 1 and len(lines[0]) < 1500, self.err


class Zygote:
    """See zygote.py."""

    def __init__(self, log: Path) -> None:
        self._log, self._numbers = log, itertools.count()
        self._logs: dict[int, Path] = {}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "LABELCLEAN_CACHE": str(log / "cache")},
        )
        self._answer()
        self.peak = 0

    def run(self, cwd: Path, *argv: object, **faults: object) -> Ended:
        return self.wait(self.start(cwd, *argv, **faults))

    def start(self, cwd: Path, *argv: object, **faults: object) -> int:
        log = self._log / str(next(self._numbers))
        words = [str(word) for word in argv]
        answer = self._ask(do="start", cwd=str(cwd), log=str(log), argv=words, **faults)
        self._logs[answer["pid"]] = log
        return answer["pid"]

    def signal(self, pid: int, number: int) -> None:
        self._ask(do="signal", pid=pid, number=number)

    def stderr(self, pid: int) -> str:
        path = Path(f"{self._logs[pid]}.err")
        return path.read_text(errors="replace") if path.exists() else ""

    def wait(self, pid: int) -> Ended:
        answer = self._ask(do="wait", pid=pid, seconds=SECONDS)
        log = self._logs.pop(pid)
        texts = [Path(f"{log}.{name}").read_text(errors="replace") for name in ("out", "err")]
        changes = os.path.getsize(f"{log}.count")
        self.peak = max(self.peak, answer.get("peak", 0))
        return Ended(answer["code"], *texts, changes, answer.get("peak", 0))

    def _ask(self, **task: object) -> dict[str, int]:
        print(json.dumps(task), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, int]:
        line = self._process.stdout.readline()
        assert line, "the zygote has ended"
        return json.loads(line)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
