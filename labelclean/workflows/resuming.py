"""How a training of filter or train begins, goes on after an interruption, and shows itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from labelclean import disk
from labelclean.config import RuntimeConfig
from labelclean.errors import RunError
from labelclean.learning import distributed, runtime, trainer
from labelclean.progress import Advance, Reporter
from labelclean.signals import Interrupted
from labelclean.workflows.preparing import Samples


def saved_state(
    checkpoint: Path | None,
    identity: Mapping[str, str],
    where: RuntimeConfig,
    reporter: Reporter,
) -> dict[str, Any] | None:
    """The checkpoint's state, if --resume asks for it and it is there; the same in a team.

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

    return distributed.agreed(load)


@dataclass(frozen=True)
class Begun:
    """Identity and epochs of the run to resume, so that nothing is timed again."""

    identity: Mapping[str, str]
    epochs: int


def begun(where: RuntimeConfig, checkpoint: str) -> Begun | None:
    """The run of that file in the run folder, if --resume asks for it; the same in a team."""
    path = in_run_dir(where, checkpoint)

    def look() -> Begun | None:
        saved = None if path is None or not where.resume else runtime.glance_at(path)
        return None if saved is None else Begun(*saved)

    return distributed.agreed(look)


def precision(where: RuntimeConfig, device: torch.device, before: Begun | None) -> torch.dtype:
    """Precision of the run before; else the one asked for, or the faster one."""
    known = {str(dtype): dtype for dtype in (torch.float32, torch.bfloat16)}
    if where.precision == "auto" and before is not None:
        name = before.identity.get("precision", "")
        if name in known:
            return known[name]
    return runtime.choose_precision(where.precision, device)


@contextmanager
def claimed(outs: Iterable[Path], run_dir: Path | None) -> Iterator[None]:
    """The outputs and the run folder are this run's alone; in a team the first process takes them.

    Raises OutputError, in every process of a team.
    """
    with ExitStack() as stack:

        def take() -> None:
            stack.enter_context(disk.claim(*outs))
            if run_dir is not None:
                stack.enter_context(disk.claim_folder(run_dir))

        try:
            distributed.agreed(take)
            yield
        except Interrupted as error:
            error.can_resume = run_dir is not None and any(run_dir.glob("*.pt"))
            raise


def in_run_dir(where: RuntimeConfig, name: str) -> Path | None:
    """The file of that name in the run folder, which the first process alone writes."""
    return where.run_dir / name if where.run_dir is not None and distributed.is_first() else None


def digest(samples: Samples, arrays: Iterable[NDArray[Any]]) -> str:
    """Digest of the images, their names and the arrays: a resumed run must share it."""
    hasher = hashlib.blake2b(digest_size=16)
    hasher.update("\0".join(samples.table.paths).encode("utf-8", "surrogateescape"))
    for array in (samples.pixels.digest, *arrays):
        hasher.update(np.ascontiguousarray(array).tobytes())
    return hasher.hexdigest()


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
