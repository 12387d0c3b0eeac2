"""flag: what a person should know of single images beside the verdict on their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelclean.config import FilterConfig, RuntimeConfig
from labelclean.data.cache import Pixels, Streamed
from labelclean.data.feature_shards import looks_in, shards_of
from labelclean.data.looks import Looks, looks_of
from labelclean.data.near_duplicates import near_groups
from labelclean.judging.outliers import NoClass, no_class
from labelclean.judging.verdicts import Verdicts
from labelclean.progress import Reporter, image_counter
from labelclean.workflows.learning import Learned
from labelclean.workflows.preparing import Samples, Unseen
from labelclean.workflows.seeing import features_folder

STREAMED_SIDE = 128  # px: streamed images are decoded again for their looks, small to save time
Seeable = Pixels | Streamed | Unseen


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
    """The flags of all images.

    Near duplicates are looked for by the images, in a stream at a smaller size, and without any by
    the looks that stand beside their features.
    """
    outside = no_class(
        learned.embeddings if learned.features is None else learned.features,
        learned.predictions.top_probs[:, 0],
        verdicts.issue_probability,
        verdicts.is_label_issue,
        samples.table.num_classes,
        config.train.seed,
    )
    near = samples.first.copy()
    rows, pixels = samples.rows, None
    if isinstance(samples.pixels, Unseen):
        looks = _given_looks(samples, config)
        if looks is None:
            reporter.note("near duplicates are not looked for: no image is opened")
            return Flags(no_class=outside, near=near)
    else:
        pixels = _in_small(samples.pixels)
        looks = look(samples, config.runtime, reporter)
    with reporter.stage("near duplicates at other sizes") as advance:
        groups = near_groups(
            looks,
            lambda places: learned.embeddings[rows[places]],
            None if pixels is None else lambda places: pixels.rows(rows[places]),
            lambda share: advance(share, 1, ""),
        )
    near[rows] = rows[groups]
    return Flags(no_class=outside, near=near)


def look(samples: Samples, where: RuntimeConfig, reporter: Reporter) -> Looks:
    """The looks of the rows that have an image."""
    with reporter.stage("near duplicates") as advance:
        return looks_of(
            _in_small(samples.pixels).rows,
            samples.rows,
            size=samples.spec.size,
            workers=where.workers,
            on_rows=image_counter(advance, len(samples.rows)),
            folder=features_folder(where),
        )


def _in_small(pixels: Seeable) -> Seeable:
    return pixels.at(STREAMED_SIDE) if isinstance(pixels, Streamed) else pixels


def _given_looks(samples: Samples, config: FilterConfig) -> Looks | None:
    """The looks that stand beside the features; None where there are none."""
    features = config.view.features
    shards = [] if features is None else shards_of(features)
    if not shards:
        return None
    return looks_in(shards, samples.table.paths, samples.rows, features_folder(config.runtime))
