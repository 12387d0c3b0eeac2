"""All that is to be known of a GPU: does it compute the same, how fast is it, how good are reports.

    python examples/benchmark/gpu.py same  --root ROOT
    python examples/benchmark/gpu.py speed --root ROOT
    python examples/benchmark/gpu.py quality --root ROOT --human FILE --noises "symm 0.2,human"

ROOT holds cifar-10-batches-bin. `same` compares CPU and GPU: features, losses, reports of 1,000
images. `speed`: features a second, and training from scratch beside the bare network. `quality`:
`filter` on all training images, with features alone and with both views. Each prints one table.
With --device cpu and --count 300 all runs without a GPU, to try the script.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import view_quality


def _sync(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _samples(options: argparse.Namespace, device: str, count: int) -> Any:
    return view_quality.read("cifar10", str(options.root), count, device, options.cache)


def same(options: argparse.Namespace) -> None:
    from labelclean.config import FilterConfig, RuntimeConfig, ViewConfig
    from labelclean.learning import losses
    from labelclean.learning.backbones import load_backbone
    from labelclean.learning.embedding import embedder
    from labelclean.progress import Reporter
    from labelclean.workflows.filtering import judge
    from labelclean.workflows.looking import look

    device = torch.device(options.device)
    samples = _samples(options, "cpu", options.count or 1_000)
    rows = samples.train_rows
    pixels = samples.pixels.rows(rows[:256])
    seen = []
    for where in (torch.device("cpu"), device):
        embed = embedder(load_backbone("efficientnet-lite0"), 32, where, count=256, mirror=False)
        seen.append(embed(pixels))
    error = np.linalg.norm(seen[0] - seen[1]) / np.linalg.norm(seen[0])
    print(f"features           relative error {error:.1e}")
    logits = 5 * torch.randn(512, 10, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(512) % 10
    for name, loss in (("NL+", losses.nl_plus_all), ("CE", losses.cross_entropy)):
        there = loss(logits.to(device), labels.to(device)).cpu()
        error = float((loss(logits, labels) - there).norm() / there.norm())
        print(f"loss {name:4}          relative error {error:.1e}")
    truth = samples.table.labels
    given = truth.copy()
    given[rows] = view_quality.noisy(truth[rows], "symm 0.2", 0, 10, None)
    samples = replace(samples, table=samples.table.with_labels(given))
    for views in (("features",), ("features", "scratch")):
        reports = []
        for where in ("cpu", options.device):
            config = FilterConfig(
                view=ViewConfig(views=views),
                runtime=RuntimeConfig(device=where, precision="float32", cache_dir=options.cache),
            )
            learned = look(samples, given, config, torch.device(where), Reporter())
            reports.append(judge(samples, given, learned.predictions, config))
        one, two = reports
        agree = (one.is_label_issue[rows] == two.is_label_issue[rows]).mean()
        order = np.corrcoef(one.label_score[rows], two.label_score[rows])[0, 1]
        print(f"{'+'.join(views):18} verdicts agree {agree:.1%}, correlation of scores {order:.4f}")


def speed(options: argparse.Namespace) -> None:
    from labelclean.config import PRESETS, RuntimeConfig
    from labelclean.learning import methods
    from labelclean.learning.backbones import load_backbone
    from labelclean.learning.embedding import embedder, network_size
    from labelclean.progress import Reporter
    from labelclean.workflows.learner import Environment, Learner, Lesson

    device = torch.device(options.device)
    samples = _samples(options, options.device, options.count or 10_000)
    rows = samples.train_rows
    pixels = samples.pixels.rows(rows)
    backbone = load_backbone("efficientnet-lite0")
    embed = embedder(backbone, 32, device, count=10_000, mirror=False)
    embed(pixels[:512])
    _sync(device)
    started = time.perf_counter()
    embed(pixels)
    ours = len(pixels) / (time.perf_counter() - started)
    images = torch.randn(256, 3, network_size(32), network_size(32), device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    network = backbone.network.to(device, memory_format=torch.channels_last)

    def bare() -> None:
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.float16, enabled=device.type == "cuda"),
        ):
            network(images)

    alone = 256 / _median_seconds(bare, device)
    print(
        f"features           {ours:9,.0f} images/s, bare network {alone:9,.0f}, {ours / alone:.2f}"
    )
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    for arch, batch in (("smallnet", 128), ("resnet18", 256)):
        train = replace(PRESETS["quick"], arch=arch, batch_size=batch)
        where = Environment(
            runtime=RuntimeConfig(device=options.device),
            device=device,
            dtype=dtype,
            reporter=Reporter(),
        )
        lesson = Lesson(methods.find(train.method), samples.table.labels, rows)
        learner = Learner(samples, lesson, replace(train, epochs=1), where, name="timed")
        ours = len(rows) / learner.epoch_seconds()
        alone = batch / _median_seconds(_bare_step(learner.model, batch, device, dtype), device)
        print(
            f"training {arch:9} {ours:9,.0f} images/s, bare network {alone:9,.0f}, "
            f"{ours / alone:.2f}"
        )


def _bare_step(model: Any, batch: int, device: torch.device, dtype: torch.dtype) -> Any:
    """A training step of the network alone: no data, no averaging, no scores."""
    images = torch.randn(batch, 3, 32, 32, device=device, dtype=dtype)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch, device=device) % 10
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    model.train()

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(images)
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimiser.step()

    return step


def _median_seconds(step: Any, device: torch.device) -> float:
    for _ in range(3):
        step()
    times = []
    for _ in range(20 if device.type == "cuda" else 3):
        _sync(device)
        started = time.perf_counter()
        step()
        _sync(device)
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def quality(options: argparse.Namespace) -> None:
    from labelclean.config import PRESETS, FilterConfig, RuntimeConfig, ViewConfig
    from labelclean.progress import Reporter
    from labelclean.workflows.filtering import judge
    from labelclean.workflows.looking import look

    device = torch.device(options.device)
    preset = PRESETS["standard" if device.type == "cuda" else "quick"]
    print(f"{'noise':10} {'views':18} {'n':>6}    AP    F1 rate off   ECE suggest seconds")
    for noise in options.noises.split(","):
        for views in (("features",), ("features", "scratch")):
            if len(views) > 1 and noise in options.features_only.split(","):
                continue
            started = time.perf_counter()
            samples = _samples(options, options.device, options.count or 50_000)
            rows, truth = samples.train_rows, samples.table.labels
            given = truth.copy()
            given[rows] = view_quality.noisy(truth[rows], noise, 0, 10, options.human)
            samples = replace(samples, table=samples.table.with_labels(given))
            train = replace(preset, epochs=options.epochs or preset.epochs)
            config = FilterConfig(
                train=train,
                view=ViewConfig(views=views),
                runtime=RuntimeConfig(device=options.device, cache_dir=options.cache),
            )
            reporter = Reporter()
            learned = look(samples, given, config, device, reporter)
            found = judge(samples, given, learned.predictions, config)
            seconds = time.perf_counter() - started
            row = view_quality.figures(
                found.label_score[rows],
                found.issue_probability[rows],
                found.is_label_issue[rows],
                found.suggested[rows],
                found.noise_rate,
                given[rows],
                truth[rows],
            )
            stages = ", ".join(f"{name} {x:.0f}" for name, x in reporter.seconds.items())
            shares = " ".join(f"{name} {x:.1f}" for name, x in learned.shares.items())
            print(
                f"{noise:10} {'+'.join(views):18} {len(rows):6} {100 * row['ap']:5.1f} "
                f"{row['f1']:5.3f} {row['rate_error']:8.3f} {row['ece']:5.3f} "
                f"{row['suggestions']:7.3f} {seconds:7.1f}  ({stages}; {shares})",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["same", "speed", "quality"])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--human", type=Path)
    parser.add_argument("--noises", default="symm 0.2,symm 0.4,symm 0.6,symm 0.8,asymm 0.4,human")
    parser.add_argument("--features-only", default="", help="noises without a net from scratch")
    parser.add_argument("--epochs", type=int, help="of the network from scratch")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--count", type=int)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    print(f"{options.part}: torch {torch.__version__}, {name}")
    {"same": same, "speed": speed, "quality": quality}[options.part](options)


if __name__ == "__main__":
    main()
