"""fit_view: heads on features learn twice, the second time from what the first ones said.

The first round learns the given labels. What the noise model makes of its out-of-fold predictions
is a probability of each class for every row, and from these the second round learns: wrong labels
weigh little in it. Both rounds are asked about every row, each by heads that did not see it. The
second one ranks the rows; how many of them are wrong, the first one says, which does not believe
its own mistakes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from labelclean.config import VerdictConfig
from labelclean.judging.verdicts import decide
from labelclean.learning.feature_view import FeatureView, HeadTask, fit_heads
from labelclean.progress import Reporter
from labelclean.workflows.beliefs import soft_labels
from labelclean.workflows.resuming import training_progress


def fit_view(
    task: HeadTask, groups: NDArray[np.int64], method: str, reporter: Reporter
) -> FeatureView:
    """The heads of both rounds. Parameters and errors are those of fit_heads."""
    with reporter.stage("heads") as advance:
        progress = training_progress(advance, reporter)
        first = fit_heads(task, groups, method, on_progress=progress)
    judged = decide(
        task.labels,
        first.predict(task.train_rows, task.labels, task.seed),
        num_classes=task.num_classes,
        verdict=VerdictConfig(),
        first=groups,
        seed=task.seed,
    )
    targets = soft_labels(
        task.labels,
        judged.suggested,
        judged.second,
        judged.is_label_issue,
        judged.issue_probability,
        judged.suggested_probability,
    )
    with reporter.stage("heads once more") as advance:
        progress = training_progress(advance, reporter)
        second = fit_heads(task, groups, method, targets=targets, on_progress=progress)
    share = task.config.second_share(task.images_a_class)
    return replace(second, earlier=first, share=share)
