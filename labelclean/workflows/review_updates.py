"""relearn_from: new verdicts for a review from the decisions made in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labelclean.judging.updating import Beliefs, Updater
from labelclean.review.pages import ReviewRows
from labelclean.review.relearning import Relearn
from labelclean.review.rescored import Rescored

TIES = 1e-3  # share of the report's own score in one that follows from decisions


def relearn_from(rows: ReviewRows, features: NDArray[np.floating]) -> Relearn:
    """New verdicts from decisions; the features are read when the first ones are asked for."""
    beliefs = Beliefs(
        given=rows.given,
        suggested=rows.suggested,
        second=rows.second,
        chance=rows.chance,
        sure=rows.sure,
        is_issue=rows.is_issue,
        group=rows.first,
        num_classes=len(rows.labels),
    )
    updaters: list[Updater] = []

    def relearn(decided: NDArray[np.int64], labels: NDArray[np.int64]) -> Rescored:
        if not updaters:
            updaters.append(Updater(features, beliefs))
        updated = updaters[0].update(decided, labels)
        return Rescored(
            # Among equal chances the report's own order holds.
            label_score=(1 - TIES) * (1 - updated.chance) + TIES * rows.score,
            issue_probability=updated.chance,
            is_issue=updated.is_issue,
            suggested=updated.suggested,
            suggested_probability=updated.sure,
            second=updated.second,
            noise_rate=updated.noise_rate,
        )

    return relearn
