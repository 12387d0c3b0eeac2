"""How fast `filter` is: training beside the bare network, --help, memory by number of images.

    python examples/benchmark/filter_speed.py

Training: images a second of whole epochs of the loop (reading, augmentation, loss, optimiser,
averaged weights, scores) over those of the same network's forward and backward pass on one batch
that is in memory already; in turn, five times, the median ratio. Memory: the peak of a process
that filters so many generated images of 8 px for one epoch, from a cold cache. --side-by-side: only
what one training reaches, and each of two at once, with a thread a core and with one thread.
--photos FOLDER: only the seconds and the peak memory of `labelclean filter FOLDER`, the start of
Python included, with an empty cache and then three times with what the first run left there.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROUNDS = 5


def training_ratio(images: int, size: int) -> tuple[float, float, float]:
    """(loop images/s, bare images/s, median ratio) on this machine's default device."""
    import torch

    from labelclean.config import PRESETS, RuntimeConfig, preset
    from labelclean.data.cache import Pixels
    from labelclean.data.images import ImageSpec
    from labelclean.data.samples import OK, SampleTable
    from labelclean.learning import methods, runtime, trainer
    from labelclean.learning.run import Run
    from labelclean.progress import Reporter
    from labelclean.workflows.filtering import default_preset
    from labelclean.workflows.learner import Environment, Learner, Lesson
    from labelclean.workflows.preparing import Samples

    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (images, size, size, 3), dtype=np.uint8)
    labels = np.arange(images, dtype=np.int64) % 10
    rows, status = np.arange(images), np.full(images, OK, dtype=object)
    stored = Pixels(
        status=status, reason=status, digest=np.zeros((images, 2), np.uint64), pixels=pixels
    )
    table = SampleTable(
        images=None,  # type: ignore[arg-type]  # nothing is read: the pixels are there
        paths=("",) * images,
        labels=labels,
        class_names=tuple("0123456789"),
        status=status,
        held_out=np.zeros(images, bool),
        root=None,
    )
    samples = Samples(
        table=table,
        pixels=stored,
        spec=ImageSpec(size=size, resize=size),
        first=rows,
        rows=rows,
        train_rows=rows,
    )
    device = runtime.choose_device("auto")
    dtype = runtime.choose_precision("auto", device)
    train = preset(default_preset("auto"), epochs=2 * ROUNDS)
    assert train.arch == PRESETS[default_preset("auto")].arch
    where = Environment(runtime=RuntimeConfig(), device=device, dtype=dtype, reporter=Reporter())
    lesson = Lesson(methods.find(train.method), labels, rows)
    learner = Learner(samples, lesson, train, where, name="timed")
    model, batches = learner.model, learner.batches
    run = Run(model, batches, train, num_classes=10, dtype=dtype)
    batch = next(iter(batches.epoch(0)))
    steps = batches.steps_per_epoch

    def bare() -> float:
        began = time.perf_counter()
        for _ in range(steps):
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                logits = model(batch.images)
            logits.float().logsumexp(dim=1).mean().backward()
        float(logits.detach().sum())  # sync point
        return steps * len(batch.images) / (time.perf_counter() - began)

    def loop() -> float:
        began = time.perf_counter()
        for _ in trainer._train_epoch(run, lambda progress: None):
            pass
        run.epoch, run.step = run.epoch + 1, 0
        run.begin_epoch()
        return images / (time.perf_counter() - began)

    bare(), loop()  # the first round allocates
    pairs = [(loop(), bare()) for _ in range(ROUNDS)]
    ratio = statistics.median(a / b for a, b in pairs)
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), ratio


def help_seconds() -> float:
    command = [sys.executable, "-m", "labelclean", "--help"]
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def write_tiny(folder: Path, count: int) -> None:
    """Images of 8 px in two class folders."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for name in ("even", "odd"):
        (folder / name).mkdir(parents=True)
    for row in range(count):
        pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / ("even", "odd")[row % 2] / f"{row:08}.bmp")


def peak_mebibytes(count: int) -> float:
    """Peak memory of the process that filters so many images, without its decoding processes."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_tiny(folder / "images", count)
        command = [sys.executable, __file__, "--filter", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return float(done.stdout.split()[-1])


def side_by_side(threads: str | None, together: int, images: int) -> float:
    """Images a second of each of so many trainings at once; None: with a thread a core."""
    command = [sys.executable, __file__, "--training-only", "--images", str(images)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OMP_")}
    environment |= {"OMP_NUM_THREADS": threads} if threads else {}
    runs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(together)
    ]
    return statistics.mean(float(run.communicate()[0].split()[-1]) for run in runs)


def seconds_of_photos(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "labelclean", "filter", str(folder), "--quiet", "--force"]
        command += ["--out", f"{place}/report.csv", "--cache-dir", f"{place}/cache"]
        for which in ("from nothing", *["from the cache"] * 3):
            began = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                raise SystemExit("filter failed")
            seconds, mebibytes = time.perf_counter() - began, usage.ru_maxrss / 1024
            print(f"{which}: {seconds:.1f} s, {mebibytes:,.0f} MiB", flush=True)


def print_side_by_side(images: int) -> None:
    for together in (1, 2):
        rounds = [
            [side_by_side(threads, together, images) for threads in (None, "1")] for _ in "123"
        ]
        all_cores, one = (statistics.median(part) for part in zip(*rounds, strict=True))
        print(
            f"{together} at once, images/s of each: a thread a core {all_cores:,.0f}, "
            f"OMP_NUM_THREADS=1 {one:,.0f} (medians of 3)",
            flush=True,
        )


def filter_once(folder: Path) -> None:
    from labelclean import filter_dataset
    from labelclean.config import FilterConfig, RuntimeConfig, preset
    from labelclean.workflows.filtering import default_preset

    config = FilterConfig(
        train=preset(default_preset("auto"), epochs=1),
        runtime=RuntimeConfig(cache_dir=folder / "cache"),
    )
    filter_dataset(folder / "images", config=config, out=folder / "report.csv")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=4_000, help="of the training measure")
    parser.add_argument("--size", type=int, default=32, help="px")
    parser.add_argument("--memory", default="10000,100000", help="numbers of images")
    parser.add_argument("--filter", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--side-by-side", action="store_true", help="measure only that")
    parser.add_argument("--photos", type=Path, help="measure only the command on this folder")
    parser.add_argument("--training-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.filter:
        filter_once(options.filter)
        return
    if options.side_by_side:
        print_side_by_side(options.images)
        return
    if options.photos:
        seconds_of_photos(options.photos)
        return
    if options.training_only:
        print(training_ratio(options.images, options.size)[0])
        return
    import torch

    print(f"torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores")
    loop, bare, ratio = training_ratio(options.images, options.size)
    print(f"training {loop:,.0f} images/s, bare network {bare:,.0f}, ratio {ratio:.2f}")
    print(f"labelclean --help {help_seconds():.2f} s")
    for count in map(int, options.memory.split(",")):
        print(f"peak memory of {count:,} images: {peak_mebibytes(count):,.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
