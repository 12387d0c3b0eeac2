"""flag: what a person should know of single images beside the verdict on their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelclean.config import FilterConfig
from labelclean.data.near_duplicates import near_groups, perceptual_hashes
from labelclean.judging.outliers import NoClass, no_class
from labelclean.judging.verdicts import Verdicts
from labelclean.progress import Reporter, image_counter
from labelclean.workflows.learning import Learned
from labelclean.workflows.preparing import Samples


@dataclass(frozen=True, kw_only=True)
class Flags:
    """The flags of each image.

    no_class  whether it seems to belong to none of the classes
    near      (n,)  first row that looks the same, itself where it is the first
    """

    no_class: NoClass
    near: NDArray[np.int64]


def flag(
    samples: Samples, learned: Learned, verdicts: Verdicts, config: FilterConfig, reporter: Reporter
) -> Flags:
    """Near duplicates are looked for where the decoded images are at hand, not in streams."""
    outside = no_class(
        learned.embeddings if learned.features is None else learned.features,
        learned.predictions.top_probs[:, 0],
        verdicts.issue_probability,
        verdicts.is_label_issue,
        samples.table.num_classes,
        config.train.seed,
    )
    near = samples.first.copy()
    if samples.pixels.pixels is None:
        reporter.note("near duplicates are not looked for: the images are not kept decoded")
        return Flags(no_class=outside, near=near)
    rows, pixels_of = samples.rows, samples.pixels.rows
    with reporter.stage("near duplicates") as advance:
        on_rows = image_counter(advance, len(rows))
        hashes = perceptual_hashes(pixels_of, rows, config.runtime.workers, on_rows)
    with reporter.stage("near duplicates at other sizes") as advance:
        groups = near_groups(
            hashes,
            lambda places: learned.embeddings[rows[places]],
            lambda places: pixels_of(rows[places]),
            lambda share: advance(share, 1, ""),
        )
    near[rows] = rows[groups]
    return Flags(no_class=outside, near=near)
