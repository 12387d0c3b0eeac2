"""Work of each process in test_distributed: `torchrun -m distributed_member FILE`, or alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from labelclean import signals
from labelclean.config import TrainConfig
from labelclean.data.batches import Batches
from labelclean.learning import distributed, runtime, schemes, trainer
from labelclean.learning.methods import METHODS
from labelclean.learning.models import Classifier, SideBySide
from labelclean.learning.prediction_columns import predict
from labelclean.learning.run import Run
from labelclean.learning.soft_labels import SoftLabels

CPU = torch.device("cpu")
COUNT = 47  # no multiple of anything: some shares are one image larger
METHODS_TRIED = ("jnpl", "elr", "nlnl", "co-teaching")


class Pixels:
    def __init__(self, *, is_streamed: bool) -> None:
        rng = np.random.default_rng(1)
        self.all = rng.integers(0, 100, (COUNT, 8, 8, 3)).astype(np.uint8)
        self.all[np.arange(COUNT), :, :, np.arange(COUNT) % 3] += 100
        self.pixels = None if is_streamed else self.all
        self.asked = 0

    def rows(self, index: np.ndarray) -> np.ndarray:
        self.asked += len(index)
        return self.all[index]


def batches_of(pixels: Pixels, *, distorts: bool = False) -> Batches:
    return Batches(
        pixels,
        np.arange(COUNT, dtype=np.int64) // 2 % 3,
        np.arange(COUNT),
        device=CPU,
        dtype=torch.float32,
        batch_size=16,
        shift=2,
        flip=True,
        seed=0,
        resident_bytes=0,
        own=distributed.own,
        distorts=distorts,
    )


def network(*, is_normed: bool = False) -> Classifier:
    norm = nn.BatchNorm2d(8) if is_normed else nn.GroupNorm(2, 8)
    backbone = nn.Sequential(
        nn.Conv2d(3, 8, 3), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    return Classifier(backbone, 8, 3)


def run_of(method: str, *, is_normed: bool = False, is_streamed: bool = False) -> Run:
    torch.manual_seed(distributed.rank())  # each draws its own: the first one's is what counts
    nets = [network(is_normed=is_normed) for _ in range(METHODS[method].networks)]
    model: nn.Module = nets[0] if len(nets) == 1 else SideBySide(nets)
    distributed.copy_first(model)
    config = TrainConfig(
        method=method, epochs=3, start=0.2, ramp=0.2, pl_start=0.4, pl_weight=0.5, noise_rate=0.2
    )
    pixels = Pixels(is_streamed=is_streamed)
    return Run(model, batches_of(pixels), config, num_classes=3, dtype=torch.float32)


def outcome(run: Run) -> dict[str, Any]:
    """All that must not depend on how many processes learned it."""
    found = predict(
        run.trained,
        run.batches.in_order(np.arange(COUNT)),
        run.batches.labels,
        num_classes=3,
        dtype=torch.float32,
        flip=True,
        sums=run.sums,
        embeddings=(embeddings := np.full((COUNT, 128), np.nan, np.float16)),
    )
    return {
        "model": run.model.state_dict(),
        "average": run.average.state_dict(),
        "memory": dict(run.memory),
        "history": [torch.tensor([at["loss"], at["disagreement"]]) for at in run.history],
        "predictions": {k: torch.from_numpy(v) for k, v in vars(found).items() if v is not None},
        "embeddings": torch.from_numpy(embeddings),
    }


def consistent_run() -> Run:
    """Of train's default scheme, which asks about each image twice."""
    torch.manual_seed(distributed.rank())
    model = network()
    distributed.copy_first(model)
    batches = batches_of(Pixels(is_streamed=False), distorts=True)
    labels = SoftLabels(
        first=batches.labels,
        p_first=torch.full((COUNT,), 0.6),
        second=(batches.labels + 1) % 3,
        p_second=torch.full((COUNT,), 0.3),
    )
    method = schemes.consistent(labels)
    config = TrainConfig(epochs=3)
    return Run(model, batches, config, num_classes=3, dtype=torch.float32, method=method)


class Stopped(Exception):
    pass


def stopped_and_resumed(path: Path) -> Run:
    """A run that ends in its second epoch and goes on from the first process's checkpoint."""

    def stop(progress: trainer.Progress) -> None:
        if progress.share > 0.5:
            raise Stopped

    trainer.REPORT_EVERY = trainer.SAVE_EVERY = 0.0
    checkpoint = path if distributed.is_first() else None
    try:
        trainer.fit(
            run_of("jnpl", is_normed=True), checkpoint=checkpoint, identity={}, on_progress=stop
        )
    except Stopped:
        pass
    saved = distributed.agreed(lambda: runtime.load_checkpoint(path, {}))
    run = run_of("jnpl", is_normed=True)
    run.load(saved)
    trainer.fit(run, identity={}, good=saved["good"])
    return run


def main(path: Path) -> None:
    distributed.begin(CPU)
    found: dict[str, Any] = {}
    for method in METHODS_TRIED:
        run = run_of(method)
        trainer.fit(run, identity={})
        found[method] = outcome(run)
    consistent = consistent_run()
    trainer.fit(consistent, identity={})
    found["consistent"] = outcome(consistent)
    streamed = run_of("jnpl", is_streamed=True)
    trainer.fit(streamed, identity={})
    found["streamed"] = outcome(streamed)
    normed = run_of("jnpl", is_normed=True)
    trainer.fit(normed, identity={})
    found["normed"] = outcome(normed)
    found["resumed"] = outcome(stopped_and_resumed(path.with_name("checkpoint.pt")))
    found["shapes"] = {
        "asked": torch.tensor(streamed.batches._pixels.asked),
        "agreed": torch.tensor(distributed.agreed(lambda: 10 + distributed.rank())),
    }
    with distributed.one_a_machine_first():
        pass
    found["shapes"]["cores"] = torch.tensor(int(os.environ.get(distributed.CORES, 0)))
    torch.save(found, path.with_name(f"{path.name}{distributed.rank()}"))
    distributed.dismiss()
    cores = os.environ.get(distributed.CORES, "all")
    words = f"{distributed.rank()} of {distributed.size()}, cores {cores}"
    path.with_name("alone").write_text(words)


if __name__ == "__main__":
    signals.ended_at_once(lambda: main(Path(sys.argv[1])))
