"""fit_head: from beliefs about labels to a linear head on a pretrained network's features."""

from __future__ import annotations

import torch

from labelclean.config import HeadConfig
from labelclean.config.names import CE_CLEAN, CE_NOISY, DEFAULT, SOFT
from labelclean.learning.feature_view import HeadTask, train_heads
from labelclean.learning.models import Classifier, enlarged_by
from labelclean.workflows.fitting import Environment, Fitted, TrainingSet, check_classes, lesson_of
from labelclean.workflows.resuming import training_progress
from labelclean.workflows.seeing import Seen

SCHEMES = (DEFAULT, SOFT, CE_CLEAN, CE_NOISY)
# Soft labels are believed as they deserve, so the heads may follow them closer than given labels:
# five times the learning rate of `filter` (grocery, flowers and CIFAR-10, 20 and 40 % wrong; none
# of them held out).
HEAD = HeadConfig(lr=0.1)
COPIES = 2  # heads of two dropouts, whose mean is one linear layer


def fit_head(data: TrainingSet, scheme: str, seen: Seen, seed: int, where: Environment) -> Fitted:
    """A classifier: the pretrained network as it is, and a head that learns by the scheme.

    Raises SourceError if a class is not left to learn.
    """
    backbone = seen.backbone
    if backbone is None:
        raise ValueError("a classifier needs the network itself, not a file of its features")
    check_classes(data, scheme)
    # heads see one view of an image, so the default's second view is left out
    lesson = lesson_of(data, SOFT if scheme == DEFAULT else scheme)
    task = HeadTask(
        features=seen.features,
        labels=lesson.labels,
        train_rows=lesson.rows,
        num_classes=len(data.beliefs.class_names),
        config=HEAD,
        seed=seed,
        device=where.device,
    )
    left_out = torch.zeros(len(task.labels), COPIES, dtype=torch.bool, device=where.device)
    with where.reporter.stage(f"training {scheme}") as advance:
        progress = training_progress(advance, where.reporter)
        heads, _, history = train_heads(task, left_out, lesson.method, progress)
    size = data.samples.spec.size
    enlarged = None if seen.size == size else seen.size
    looking = enlarged_by(backbone.network, size, enlarged)
    network = Classifier(looking, backbone.width, task.num_classes)
    network.head = heads.as_linear()
    return Fitted(
        network=network.to(where.device).eval(),
        mean=backbone.mean,
        std=backbone.std,
        images=len(lesson.rows),
        architecture=backbone.architecture,
        enlarged=enlarged,
        epochs=len(history),
        features=seen.features,
    )
