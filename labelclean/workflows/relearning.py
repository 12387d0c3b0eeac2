"""fit_view: heads on features; of few images they learn twice, and then from what they said.

The first round learns the given labels. What the noise model makes of its out-of-fold predictions
is a probability of each class for every row, and from these the second round learns: wrong labels
weigh little in it. Both rounds are asked about every row, each by heads that did not see it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from labelclean.config import HeadConfig, VerdictConfig
from labelclean.judging.verdicts import decide
from labelclean.learning.feature_view import FeatureView, fit_heads
from labelclean.progress import Reporter
from labelclean.workflows.beliefs import soft_labels
from labelclean.workflows.resuming import training_progress


def fit_view(
    features: NDArray[np.float16],
    labels: NDArray[np.int64],
    train_rows: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    num_classes: int,
    method: str,
    config: HeadConfig,
    seed: int,
    device: torch.device,
    reporter: Reporter,
) -> FeatureView:
    """The heads of both rounds. Parameters and errors are those of fit_heads."""
    learn = partial(
        fit_heads,
        features,
        labels,
        train_rows,
        groups,
        num_classes=num_classes,
        method=method,
        config=config,
        seed=seed,
        device=device,
    )
    with reporter.stage("heads") as advance:
        progress = training_progress(advance, reporter)
        first = learn(on_progress=progress)
    share = config.second_share(len(train_rows) / num_classes)
    if not share:
        return first
    judged = decide(
        labels,
        first.predict(train_rows, labels, seed),
        num_classes=num_classes,
        verdict=VerdictConfig(),
        first=groups,
        seed=seed,
    )
    targets = soft_labels(
        labels,
        judged.suggested,
        judged.second,
        judged.is_label_issue,
        judged.issue_probability,
        judged.suggested_probability,
    )
    with reporter.stage("heads once more") as advance:
        progress = training_progress(advance, reporter)
        second = learn(targets=targets, on_progress=progress)
    return replace(second, earlier=first, share=share)
