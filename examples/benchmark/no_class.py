"""Does `filter` find images of no class, and leave the others alone?

    python examples/benchmark/no_class.py --data grocery=FOLDER --data flowers=FOLDER
        [--data cifar10=FOLDER]

Each data set is a folder of class folders; of CIFAR-10 3,000 images. near: a sixth of its classes
are taken out, and some of their images (8 % of the rest) come back under labels of the others,
drawn at random. far: such images come from the first other data set. none: there are none. Each
with and without 20 % of the other labels wrong. Printed, mean of three seeds: AP of no_class_score
for the images of no class (beside it that of label_score), how many there are and how many are
flagged, rightly and wrongly. The constants of judging/outliers.py were chosen on these sets with
these seeds: not held out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEEDS, SHARE = (0, 1, 2), 0.08
CIFAR_IMAGES = 3_000
Features, Labels = NDArray[np.float16], NDArray[np.int64]


def features_of(name: str, place: str, device: str) -> tuple[Features, Labels]:
    import torch
    import view_quality

    from labelclean.config import RuntimeConfig, ViewConfig
    from labelclean.progress import TerminalReporter
    from labelclean.workflows.seeing import see

    samples = view_quality.read(name, place, CIFAR_IMAGES, device, None)
    runtime = RuntimeConfig(device=device)
    seen = see(samples, ViewConfig(), runtime, torch.device(device), TerminalReporter())
    rows = samples.train_rows
    return seen.features[rows], samples.table.labels[rows]


def mixed(
    kind: str, own: tuple[Features, Labels], other: Features, seed: int, noise: float
) -> tuple[Features, Labels, NDArray[np.bool_], int]:
    """Features, given labels, which rows are of no class, and the number of classes."""
    from labelclean.data import noise as kinds

    generator = np.random.default_rng(seed)
    features, labels = own
    classes = int(labels.max()) + 1
    strange = other
    if kind == "near":
        out = generator.choice(classes, max(1, classes // 6), replace=False)
        is_out = np.isin(labels, out)
        strange, features = features[is_out], features[~is_out]
        labels = np.unique(labels[~is_out], return_inverse=True)[1].astype(np.int64)
        classes -= len(out)
    count = 0 if kind == "none" else min(int(SHARE * len(labels)), len(strange))
    strange = strange[generator.permutation(len(strange))[:count]]
    given = kinds.symmetric(labels, classes, noise, generator) if noise else labels
    drawn = generator.integers(0, classes, count)
    is_strange = np.arange(len(labels) + count) >= len(labels)
    return np.concatenate([features, strange]), np.concatenate([given, drawn]), is_strange, classes


def measure(
    features: Features, given: Labels, is_strange: NDArray[np.bool_], classes: int, device: str
) -> dict[str, float]:
    import torch
    from sklearn.metrics import average_precision_score

    from labelclean.config import HeadConfig, VerdictConfig
    from labelclean.judging.outliers import no_class
    from labelclean.judging.verdicts import decide
    from labelclean.learning.feature_view import HeadTask
    from labelclean.learning.lite0 import TOP
    from labelclean.progress import Reporter
    from labelclean.workflows.two_rounds import fit_view

    rows = np.arange(len(given))
    task = HeadTask(
        features=features,
        labels=given,
        train_rows=rows,
        num_classes=classes,
        config=HeadConfig(),
        seed=0,
        device=torch.device(device),
    )
    said = fit_view(task, rows, "jnpl", Reporter()).predict(rows, given, 0)
    judged = decide(given, said, num_classes=classes, verdict=VerdictConfig())
    found = no_class(
        features[:, :TOP],  # the last layer's
        said.top_probs[:, 0],
        judged.issue_probability,
        judged.is_label_issue,
        classes,
    )
    has_any = is_strange.any()
    return {
        "score": average_precision_score(is_strange, -found.score) if has_any else np.nan,
        "label": average_precision_score(is_strange, -judged.label_score) if has_any else np.nan,
        "there": is_strange.sum(),
        "rightly": (found.is_none & is_strange).sum(),
        "wrongly": (found.is_none & ~is_strange).sum(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", action="append", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    data: dict[str, Any] = {}
    for spec in options.data:
        name, _, place = spec.partition("=")
        data[name] = features_of(name, str(Path(place)), options.device)
    print("data      images   noise  AP score  AP label   there  flagged rightly  wrongly")
    for name, own in data.items():
        others = [features for other, (features, _) in data.items() if other != name]
        for kind in ("none", "near", *(["far"] if others else [])):
            for noise in (0.0, 0.2):
                runs = [
                    measure(
                        *mixed(kind, own, others[0] if others else own[0], seed, noise),
                        options.device,
                    )
                    for seed in SEEDS
                ]
                mean = {key: np.mean([run[key] for run in runs]) for key in runs[0]}
                print(
                    f"{name:9} {kind:8} {noise:5.0%} {100 * mean['score']:9.1f} "
                    f"{100 * mean['label']:9.1f} {mean['there']:7.1f} {mean['rightly']:16.1f} "
                    f"{mean['wrongly']:8.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
