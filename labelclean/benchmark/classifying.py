"""The classifier of a run: trained, as `train` does, on what the run's verdicts left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean.benchmark.dataset import Dataset
from labelclean.config import TrainConfig
from labelclean.data.samples import NO_LABEL
from labelclean.data.transform import Transform
from labelclean.learning.applying import logits_of_rows
from labelclean.workflows.beliefs import Beliefs, class_probabilities
from labelclean.workflows.fitting import DEFAULT, Surroundings, choose_rows, fit_scheme


def classify_tests(
    dataset: Dataset,
    kept: Mapping[str, NDArray[Any]],
    train: TrainConfig,
    where: Surroundings,
) -> NDArray[np.int64]:
    """The classes (t,) that `train`'s default scheme gives to the test rows.

    kept  columns of a run's file of scores

    Raises SourceError or RunError if nothing can be learned from what the verdicts left.
    """
    beliefs = believe(dataset, kept)
    data = choose_rows(dataset.samples, beliefs, 0.0, train.seed)
    fitted = fit_scheme(data, DEFAULT, train, where)
    samples = dataset.samples
    logits = logits_of_rows(
        fitted.network,
        Transform(spec=samples.spec, mean=fitted.mean, std=fitted.std),
        samples.pixels,
        dataset.test_rows,
        where.device,
    )
    classes: NDArray[np.int64] = logits.argmax(axis=1)
    return classes


def believe(dataset: Dataset, kept: Mapping[str, NDArray[Any]]) -> Beliefs:
    """What `train` would read from a report of the run: nothing is known of other rows."""
    index, given = kept["index"], kept["given"]
    count, num_classes = len(dataset.table), dataset.table.num_classes
    probs = np.zeros((count, num_classes), dtype=np.float32)
    probs[index] = class_probabilities(
        given,
        kept["suggested"],
        kept["second"],
        kept["is_label_issue"],
        kept["issue_probability"],
        kept["suggested_probability"],
        num_classes,
    )
    labels = np.full(count, NO_LABEL, dtype=np.int64)
    labels[index] = given
    is_kept, is_used = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    is_kept[index] = ~kept["is_label_issue"]
    is_used[index] = True
    return Beliefs(
        class_names=dataset.table.class_names,
        given=labels,
        probs=probs,
        is_kept=is_kept,
        is_certain=np.zeros(count, dtype=bool),
        is_used=is_used,
    )
