"""The only epoch loop, and what it does when something goes wrong on the way."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labelclean import signals
from labelclean.config import TrainConfig
from labelclean.data.batches import Batch
from labelclean.errors import ConfigError, RunError
from labelclean.learning import distributed, runtime
from labelclean.learning.methods import Method, Outputs
from labelclean.learning.models import joined
from labelclean.learning.run import BatchSource, Run, learning_rate
from labelclean.learning.shared_norms import shared_norms

REPORT_EVERY = 1.0  # s between two looks at the device: each one waits for it
SAVE_EVERY = 30.0  # s between two checkpoints
TRIAL_STEPS = 16  # steps that are timed to choose a number of epochs
RECOVERIES = 2  # times that a collapsed run goes back before it gives up
LONGER_START = 0.15  # share of the run that a recovery adds to the start by cross-entropy


@dataclass(frozen=True)
class Progress:
    """How far a run is, and what it looks like so far."""

    epoch: int
    epochs: int
    share: float  # of the steps that are done
    images_per_second: float
    disagreement: float  # share of images whose largest probability is not the given label's
    taken: float | None  # share of images that a selecting step trained on, such as PL+
    note: str | None = None  # something that happened: a recovery, a smaller batch


OnProgress = Callable[[Progress], None]
Measure = Callable[[Run], Mapping[str, float]]


def fit(
    run: Run,
    *,
    checkpoint: Path | None = None,
    identity: Mapping[str, str],
    good: dict[str, Any] | None = None,
    on_progress: OnProgress = lambda _: None,
    measure: Measure = lambda _: {},
) -> None:
    """Trains the run to its last epoch; goes on from where the run stands.

    measure  figures of the run after each epoch, for its history

    Raises RunError for a loss that is not finite, for memory that does not suffice for two
    images, and when the network collapses again after RECOVERIES longer starts; ConfigError for
    more processes than a step's images can be shared by.
    """
    _check_shares(run.batches)
    good = good or copy.deepcopy(run.state())  # where a collapsed run goes back to
    with signals.deferred(distributed.TeamLost):
        _fit(run, checkpoint, identity, good, on_progress, measure)


def _fit(
    run: Run,
    checkpoint: Path | None,
    identity: Mapping[str, str],
    good: dict[str, Any],
    on_progress: OnProgress,
    measure: Measure,
) -> None:
    saved = time.monotonic()
    while run.epoch < run.epochs:
        for progress in _train_epoch(run, on_progress):
            on_progress(progress)
            is_due = signals.is_waiting() or time.monotonic() - saved > SAVE_EVERY
            if checkpoint and is_due:
                runtime.save_checkpoint(checkpoint, {**run.state(), "good": good}, identity)
                saved = time.monotonic()
            if distributed.is_first():  # the others end when they lose it
                signals.stop_if_waiting()
        is_last = run.epoch == run.epochs - 1
        # while cross-entropy alone begins, uneven predictions are no sign yet
        is_judged = is_last or run.progress >= run.config.start
        if is_judged and run.counts.is_collapsed(run.given_shares):
            _recover(run, good, on_progress)
            continue
        run.history.append({**_summary(run), **measure(run)})
        run.epoch, run.step = run.epoch + 1, 0
        run.begin_epoch()
        good = copy.deepcopy(run.state())
    if checkpoint:
        runtime.save_checkpoint(checkpoint, {**run.state(), "good": good}, identity)


def _check_shares(batches: BatchSource) -> None:
    """Batch norm needs two images in each process."""
    fewest = len(batches.train_rows) // batches.steps_per_epoch
    if distributed.size() > 1 and fewest < 2 * distributed.size():
        raise ConfigError(
            f"{distributed.size()} processes are too many for {fewest} images a step; give a "
            "larger --batch-size or fewer processes"
        )


def _train_epoch(run: Run, on_progress: OnProgress) -> Iterator[Progress]:
    """The steps of one epoch; yields about once a second, at a point where all is consistent."""
    run.model.train()
    looked, images = time.monotonic(), 0
    for batch in _batches_left(run):
        run.optimizer.lr = learning_rate(run.progress, run.config)
        logits = _fitting_step(run, batch, on_progress)
        run.average.update_parameters(run.model)
        run.counts.add(logits)
        run.agreeing += (logits.argmax(dim=1) == batch.labels).sum()
        if run.is_scoring:
            run.sums.add(logits, batch)
        images += len(logits)
        run.seen += len(logits)
        run.step += 1
        elapsed = time.monotonic() - looked
        is_last = run.step == run.batches.steps_per_epoch
        if elapsed > REPORT_EVERY or is_last or signals.is_waiting():
            _stop_if_not_finite(run)  # sync point
            yield _progress(run, images / max(elapsed, 1e-9))
            looked, images = time.monotonic(), 0


def _batches_left(run: Run) -> Iterator[Batch]:
    """The batches of the epoch from where the run stands."""
    try:
        yield from run.batches.epoch(run.epoch, run.step)
    except RuntimeError as error:
        if not runtime.is_out_of_memory(error):
            raise
        raise RunError(
            f"out of memory on {run.device} before a step, while its images are augmented; give a "
            "smaller --batch-size or --image-size, or --device cpu"
        ) from None


def _fitting_step(run: Run, batch: Batch, on_progress: OnProgress) -> Tensor:
    """One optimiser step, with smaller pieces of the batch if memory does not suffice."""
    while True:
        try:
            return _optimise(run, batch)
        except RuntimeError as error:
            size = len(batch.index) // (2 * run.parts)
            if not runtime.is_out_of_memory(error):
                raise
            if distributed.size() > 1:  # the others wait for what this one did not get to
                raise RunError(
                    f"out of memory on {run.device} with {len(batch.index):,} images a step in "
                    f"{distributed.size()} processes; give a smaller --batch-size, --image-size or "
                    "--arch"
                ) from None
            if size < 2:
                raise RunError(
                    f"out of memory on {run.device} with two images a step; "
                    "give a smaller --image-size or --arch, or --device cpu"
                ) from None
        # outside of except: the error's traceback would keep the tensors alive
        run.parts *= 2
        if run.device.type == "cuda":
            torch.cuda.empty_cache()
        note = f"out of memory: {size} images at a time from here on"
        on_progress(replace(_progress(run, 0.0), note=note))


def _optimise(run: Run, batch: Batch) -> Tensor:
    """Forward, loss, backward and the optimiser's step; returns the logits (b, c), float32."""
    context = run.context()
    run.model.zero_grad()
    seen = []
    # both views in one pass: batch norm sees the mixture, and its statistics are of both
    views = [batch.images] if batch.distorted is None else [batch.images, batch.distorted]
    for labels, index, *images in zip(
        batch.labels.tensor_split(run.parts),
        batch.index.tensor_split(run.parts),
        *(view.tensor_split(run.parts) for view in views),
        strict=True,
    ):
        is_low = run.dtype != torch.float32
        with torch.autocast(run.device.type, run.dtype, enabled=is_low), shared_norms():
            logits = run.model(torch.cat(images) if len(images) > 1 else images[0])
        logits = logits.float()
        each = logits.unbind() if run.method.networks > 1 else logits.chunk(len(images))
        each = tuple(distributed.whole(part, len(labels)) for part in each)
        result = run.method.step(Outputs(each=each, labels=labels, index=index), context)
        (result.loss * (len(labels) / len(batch.labels))).backward()
        loss = result.loss.detach()
        run.loss += loss * len(labels)
        is_bad = ~torch.isfinite(loss) & (run.bad_step < 0)
        run.bad_step = torch.where(is_bad, run.step, run.bad_step)
        if result.taken is not None:
            run.taken += result.taken * len(labels)
        seen.append(joined(each[: run.method.networks]).detach())
    distributed.add_up(run.model)
    run.optimizer.step()
    return torch.cat(seen)


def _stop_if_not_finite(run: Run) -> None:
    if (step := int(run.bad_step)) >= 0:
        raise RunError(
            f"the loss is not finite at epoch {run.epoch + 1}, step {step + 1}; "
            f"try a lower --lr (it is {run.config.lr:g}) or --precision float32"
        )


def _progress(run: Run, images_per_second: float) -> Progress:
    return Progress(
        epoch=run.epoch + 1,
        epochs=run.epochs,
        share=run.progress,
        images_per_second=images_per_second,
        disagreement=1 - run.mean(run.agreeing),
        taken=run.mean(run.taken) or None,
    )


def _summary(run: Run) -> dict[str, float]:
    """The record of an epoch; nothing that differs between runs of the same seed."""
    return {
        "epoch": run.epoch + 1,
        "lr": run.optimizer.lr,
        "loss": run.mean(run.loss),
        "disagreement": 1 - run.mean(run.agreeing),
        "taken": run.mean(run.taken),
    }


def _recover(run: Run, good: dict[str, Any], on_progress: OnProgress) -> None:
    """Back with a longer start: to the last good epoch first, then to the very beginning."""
    at, recoveries = run.epoch + 1, run.recoveries + 1
    if recoveries > RECOVERIES or not run.method.has_start:
        raise RunError(
            f"the network gives nearly all images the same class (epoch {at}, after "
            f"{run.recoveries} longer starts); try a lower --lr, or another --method or --scheme"
        )
    run.load(copy.deepcopy(good if recoveries == 1 else run.initial))
    start = min(1.0, max(run.progress, run.config.start) + recoveries * LONGER_START)
    ramp = max(run.config.ramp, LONGER_START)  # a switch at once is what collapses
    pl_start = min(1.0, max(run.config.pl_start, start + ramp))
    run.config = replace(run.config, start=start, ramp=ramp, pl_start=pl_start)
    run.recoveries = recoveries
    note = f"collapsed to few classes in epoch {at}: back to epoch {run.epoch + 1}, longer start"
    on_progress(replace(_progress(run, 0.0), note=note))


def epoch_seconds(
    model: nn.Module,
    batches: BatchSource,
    config: TrainConfig,
    *,
    num_classes: int,
    dtype: torch.dtype,
    method: Method | None = None,
) -> float:
    """How long an epoch takes, judged by the first steps of a copy of the network.

    Raises ConfigError for more processes than a step's images can be shared by.
    """
    _check_shares(batches)
    once = replace(config, epochs=1)
    trial = Run(
        copy.deepcopy(model), batches, once, num_classes=num_classes, dtype=dtype, method=method
    )
    times: list[float] = []
    started = time.monotonic()
    for batch in batches.epoch(0):
        _fitting_step(trial, batch, lambda _: None).sum().item()  # sync point: the step is done
        trial.average.update_parameters(trial.model)
        now = time.monotonic()
        times.append(now - started)
        started = now
        if len(times) == TRIAL_STEPS:
            break
    step_seconds = float(np.median(times[len(times) // 4 :]))  # the first ones warm up
    return distributed.agreed(lambda: step_seconds * batches.steps_per_epoch)
