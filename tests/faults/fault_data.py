"""Commands run with faults, and what they leave."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

SEED = int(os.environ.get("LABELCLEAN_FAULTS_SEED", "0"))


TINY = ("--epochs", 2, "--batch-size", 8, "--device", "cpu", "--precision", "float32", "--quiet")
FILTER = ("filter", "images", "labels.csv", "--out", "report.csv", *TINY)
TRAIN = ("train", "--report", "report.csv", "--out", "model", *TINY)


def tree(folder: Path, *, of_runs: bool = False) -> dict[str, bytes | str | None]:
    """What is in the folder but for run folders, and the parts of a meta file that vary."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if ".run" in name and not of_runs:
            continue
        if path.is_dir():
            found[name] = None
        elif name.endswith(".meta.json") or ".apply.json" in name:
            facts = json.loads(path.read_bytes())
            facts.get("config", {}).pop("runtime", None)
            for varies in (
                "seconds",
                "at",
                "report",
                "decisions",
                "source",
                "image_root",
                "image_root_given",
                "checkpoint",
            ):
                facts.pop(varies, None)
            found[name] = json.dumps(facts)
        else:
            found[name] = path.read_bytes()
    return found


KILL = int(signal.SIGKILL)
