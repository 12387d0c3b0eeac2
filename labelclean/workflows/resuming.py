"""How a training of filter or train begins, goes on after an interruption, and shows itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean.config import RuntimeConfig
from labelclean.errors import RunError
from labelclean.learning import runtime, team, trainer
from labelclean.progress import Advance, Reporter
from labelclean.workflows.preparing import Samples


def saved_state(
    checkpoint: Path | None,
    identity: Mapping[str, str],
    where: RuntimeConfig,
    reporter: Reporter,
) -> dict[str, Any] | None:
    """What the checkpoint holds, if --resume asks for it and it is there; the same in a team.

    Raises RunError if there is no folder for it, or it is of another run.
    """
    if not where.resume:
        return None

    def load() -> dict[str, Any] | None:
        if checkpoint is None:
            raise RunError("--resume needs a run folder: give --run-dir, or --out a file or folder")
        if not checkpoint.is_file():
            reporter.note(f"{checkpoint}: no checkpoint there, starting from the beginning")
            return None
        saved = runtime.load_checkpoint(checkpoint, identity)
        reporter.note(f"resuming from {checkpoint}")
        return saved

    return team.agreed(load)


def in_run_dir(where: RuntimeConfig, name: str) -> Path | None:
    """The file of that name in the run folder, which the first process alone writes."""
    return where.run_dir / name if where.run_dir is not None and team.is_first() else None


def digest(samples: Samples, arrays: Iterable[NDArray[Any]]) -> str:
    """Of the images, their names, and the arrays: what a resumed run must share."""
    found = hashlib.blake2b(digest_size=16)
    found.update("\0".join(samples.table.paths).encode("utf-8", "surrogateescape"))
    for array in (samples.pixels.digest, *arrays):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def training_progress(advance: Advance, reporter: Reporter) -> trainer.OnProgress:
    """Shows the share that is done, epoch, rate, and how much the network disagrees with labels."""

    def show(progress: trainer.Progress) -> None:
        if progress.note:
            reporter.note(progress.note)
            return
        words = [
            f"epoch {progress.epoch} of {progress.epochs}",
            f"{progress.images_per_second:,.0f} images/s",
            f"{progress.disagreement:.0%} disagree",
        ]
        if progress.taken is not None:
            words.append(f"takes {progress.taken:.0%}")
        advance(progress.share, 1.0, ", ".join(words))

    return show
