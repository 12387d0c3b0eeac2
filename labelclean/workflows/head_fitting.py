"""fit_head: from beliefs about labels to a linear head on a pretrained network's features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from labelclean.config import HeadConfig, ViewConfig
from labelclean.learning import schemes
from labelclean.learning.backbones import Backbone
from labelclean.learning.embedding import network_size
from labelclean.learning.feature_view import train_heads
from labelclean.learning.models import Classifier, Enlarging
from labelclean.learning.soft_labels import SoftLabels
from labelclean.workflows.fitting import (
    CE_CLEAN,
    CE_NOISY,
    DEFAULT,
    SOFT,
    Fitted,
    Surroundings,
    TrainingSet,
    check_classes,
    lesson_of,
)
from labelclean.workflows.resuming import training_progress
from labelclean.workflows.seeing import see

SCHEMES = (DEFAULT, SOFT, CE_CLEAN, CE_NOISY)
# Soft labels are believed as they deserve, so the heads may follow them closer than given labels:
# five times the learning rate of `filter` (grocery, flowers and CIFAR-10, 20 and 40 % wrong; none
# of them held out).
HEAD = HeadConfig(lr=0.1)
COPIES = 2  # heads of two dropouts, whose mean is one linear layer


@dataclass(frozen=True, kw_only=True)
class Features:
    """What the pretrained network sees of every image of a training set, (n, f)."""

    values: NDArray[np.float16]
    backbone: Backbone


def look_at(data: TrainingSet, view: ViewConfig, where: Surroundings) -> Features:
    """The features, from the cache where `filter` left them there.

    Raises ConfigError for a backbone that cannot be had.
    """
    seen = see(data.samples, view, where.runtime, where.device, where.reporter)
    if seen.backbone is None:
        raise ValueError("a classifier needs the network itself, not a file of its features")
    return Features(values=seen.features, backbone=seen.backbone)


def fit_head(
    data: TrainingSet, scheme: str, features: Features, seed: int, where: Surroundings
) -> Fitted:
    """A classifier: the pretrained network as it is, and a head that learns by the scheme.

    Raises SourceError if a class is not left to learn.
    """
    check_classes(data, scheme)
    given, rows, targets = _lesson(data, scheme)
    num_classes = len(data.beliefs.class_names)
    left_out = torch.zeros(len(given), COPIES, dtype=torch.bool, device=where.device)
    with where.reporter.stage(f"training {scheme}") as advance:
        heads, _, _ = train_heads(
            features.values,
            given,
            rows,
            left_out,
            num_classes=num_classes,
            method=schemes.on_labels(targets),
            config=HEAD,
            seed=seed,
            device=where.device,
            on_progress=training_progress(advance, where.reporter),
        )
    size = data.samples.spec.size
    wanted = network_size(size)
    backbone = features.backbone
    network = Classifier(_looking(backbone, size, wanted), backbone.width, num_classes)
    network.head = heads.as_linear()
    return Fitted(
        network=network.to(where.device).eval(),
        mean=backbone.mean,
        std=backbone.std,
        images=len(rows),
        architecture=backbone.architecture,
        enlarged=None if wanted == size else wanted,
        epochs=HEAD.train_config(len(rows), seed).epochs or 0,
        features=features.values,
    )


def _lesson(
    data: TrainingSet, scheme: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], SoftLabels]:
    """Labels (n,), rows (t,), and what is learned of them."""
    # heads see one view of an image, so the default's second view is left out
    lesson = lesson_of(data, SOFT if scheme == DEFAULT else scheme)
    if scheme in (DEFAULT, SOFT):
        return lesson.labels, lesson.rows, data.beliefs.soft
    return lesson.labels, lesson.rows, SoftLabels.certain(lesson.labels)


def _looking(backbone: Backbone, size: int, wanted: int) -> nn.Module:
    network = backbone.network.float().requires_grad_(True)
    return network if wanted == size else nn.Sequential(Enlarging(size, wanted), network)
