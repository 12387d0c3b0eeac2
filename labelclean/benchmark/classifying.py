"""The classifier of a run: trained on what its verdicts left, as `train --val 0` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean.benchmark.dataset import Dataset
from labelclean.config import TrainConfig
from labelclean.config.names import DEFAULT
from labelclean.data.samples import NO_LABEL
from labelclean.data.transform import Transform
from labelclean.learning.inference import logits_of_rows
from labelclean.workflows.beliefs import Beliefs, soft_labels
from labelclean.workflows.fitting import choose_rows, fit_scheme
from labelclean.workflows.learner import Environment


def classify_tests(
    dataset: Dataset,
    kept: Mapping[str, NDArray[Any]],
    train: TrainConfig,
    where: Environment,
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
    """The beliefs that `train` would read from a report of the run; other rows have none."""
    index, count = kept["index"], len(dataset.table)

    def of_all(name: str, nothing: Any) -> NDArray[Any]:
        column = np.full(count, nothing, dtype=kept[name].dtype)
        column[index] = kept[name]
        return column

    given, is_issue = of_all("given", NO_LABEL), of_all("is_label_issue", False)
    is_used = np.zeros(count, dtype=bool)
    is_used[index] = True
    return Beliefs(
        class_names=dataset.table.class_names,
        given=given,
        soft=soft_labels(
            given,
            of_all("suggested", NO_LABEL),
            of_all("second", NO_LABEL),
            is_issue,
            of_all("issue_probability", np.nan),
            of_all("suggested_probability", np.nan),
        ),
        is_kept=is_used & ~is_issue,
        is_certain=np.zeros(count, dtype=bool),
        is_used=is_used,
    )
