"""fit_head: from beliefs about labels to a linear head on a pretrained network's features."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import nn

from labelclean.config import HeadConfig, TrainConfig
from labelclean.config.names import CE_CLEAN, CE_NOISY, DEFAULT, SOFT
from labelclean.learning import schemes
from labelclean.learning.feature_view import COPIES, HeadTask, train_heads
from labelclean.learning.heads import draw_folds, out_of_fold
from labelclean.report.meta import ReportMeta
from labelclean.workflows.beliefs import label_likelihood
from labelclean.workflows.fitting import (
    Fitted,
    TrainingSet,
    check_classes,
    lesson_of,
)
from labelclean.workflows.learner import Environment, Learner, Lesson, Start
from labelclean.workflows.resuming import training_progress
from labelclean.workflows.seeing import Seen

SCHEMES = (DEFAULT, SOFT, CE_CLEAN, CE_NOISY)
# Soft labels are believed as they deserve, so the heads may follow them closer than given labels:
# five times the learning rate of `filter` at a smaller gain (grocery, flowers and CIFAR-10, 20 and
# 40 % wrong; none of them held out).
HEAD = HeadConfig(lr=0.1, gain=8.0)
REFINED = 2  # times that the soft labels are refined
MOST_TARGETS = 50_000_000  # rows times classes: beyond, soft labels stay, and images are held out


def fit_head(
    data: TrainingSet,
    scheme: str,
    seen: Seen,
    seed: int,
    meta: ReportMeta,
    where: Environment,
    finetune: TrainConfig | None = None,
) -> Fitted:
    """A classifier: the pretrained network, and a head that learns by the scheme.

    The default scheme refines the soft labels first: see `_refined`.

    meta      of the report, for its transition matrix
    finetune  by which the whole network then learns what the head has learned; None: it stays

    Raises SourceError if a class is not left to learn.
    """
    backbone = seen.backbone
    if backbone is None:
        raise ValueError("a classifier needs the network itself, not a file of its features")
    check_classes(data, scheme)
    # heads see one view of an image, so the default's second view is left out
    lesson = lesson_of(data, SOFT if scheme == DEFAULT else scheme)
    num_classes = len(data.beliefs.class_names)
    task = HeadTask(
        features=seen.features,
        labels=lesson.labels,
        train_rows=lesson.rows,
        num_classes=num_classes,
        config=HEAD,
        seed=seed,
        device=where.device,
    )
    if scheme == DEFAULT and can_ask_all(len(lesson.rows), num_classes):
        for _ in range(REFINED):
            lesson = _refined(data, lesson, task, meta, where)
            task = replace(task, labels=lesson.labels)
    if finetune is not None:
        backbone = backbone.of_last_layer()
        task = replace(task, features=seen.of_last_layer)
    left_out = torch.zeros(len(task.labels), COPIES, dtype=torch.bool, device=where.device)
    with where.reporter.stage(f"training {scheme}") as advance:
        progress = training_progress(advance, where.reporter)
        heads, _, history = train_heads(task, left_out, lesson.method, progress)
    start = Start(backbone=backbone, size=seen.size, head=heads.as_linear())
    size, epochs = data.samples.spec.size, len(history)
    if finetune is None:
        network: nn.Module = start.classifier(size).to(where.device).requires_grad_(False)
    else:
        run = finetuning(data, scheme, lesson, finetune, start, where).fit("fine-tuning")
        network, epochs = run.trained, run.epochs
    return Fitted(
        network=network.eval(),
        mean=backbone.mean,
        std=backbone.std,
        images=len(lesson.rows),
        architecture=backbone.architecture,
        enlarged=None if seen.size == size else seen.size,
        epochs=epochs,
        features=seen.features if finetune is None else None,
        out_of_fold=None
        if finetune
        else partial(_out_of_fold, data, lesson, task, where, "calibrating"),
    )


def can_ask_all(rows: int, num_classes: int) -> bool:
    """Whether heads on folds are asked about every class of every row."""
    return rows * num_classes <= MOST_TARGETS


def finetuning(
    data: TrainingSet,
    scheme: str,
    lesson: Lesson,
    train: TrainConfig,
    start: Start,
    where: Environment,
) -> Learner:
    """The training of a whole network that knows the lesson by its head."""
    table = replace(data.samples.table, class_names=data.beliefs.class_names)
    samples = replace(data.samples, table=table)
    return Learner(samples, lesson, train, where, name=checkpoint_of(scheme), start=start)


def checkpoint_of(scheme: str) -> str:
    """Name of the checkpoint of a fine-tuning by that scheme, without its ending."""
    return f"finetuned-{scheme}"


def _refined(
    data: TrainingSet, lesson: Lesson, task: HeadTask, meta: ReportMeta, where: Environment
) -> Lesson:
    """The lesson with better targets: one step of expectation-maximisation on held-out folds.

    Heads learn the soft labels, each without a fold. What they say of the images of that fold,
    times the probability of the given label under the report's transition matrix, is the new
    target: the features' word on a class counts beside the label's, and not through the label.
    """
    rows = data.rows
    said = _out_of_fold(data, lesson, task, where, "refining the soft labels").softmax(dim=1)
    likelihood = torch.from_numpy(label_likelihood(meta, data.beliefs, rows)).to(where.device)
    said *= likelihood.clamp(min=1e-6)
    said /= said.sum(dim=1, keepdim=True).clamp(min=1e-12)
    targets = torch.zeros(len(task.labels), task.num_classes, device=where.device)
    targets[torch.from_numpy(rows).to(where.device)] = said
    weights = torch.ones(len(targets), device=where.device)
    labels = lesson.labels.copy()
    labels[rows] = said.argmax(dim=1).cpu().numpy()
    return Lesson(schemes.on_targets(targets, weights), labels, rows)


def _out_of_fold(
    data: TrainingSet, lesson: Lesson, task: HeadTask, where: Environment, stage: str
) -> torch.Tensor:
    """Logits (t, c) of the rows to train on, by heads that learned the lesson without them."""
    folds = draw_folds(
        lesson.labels,
        lesson.rows,
        data.samples.first,
        folds=task.config.folds,
        repeats=task.config.repeats,
        seed=task.seed,
    )
    left_out = torch.from_numpy(folds).to(where.device)
    with where.reporter.stage(stage) as advance:
        progress = training_progress(advance, where.reporter)
        heads, batches, _ = train_heads(task, left_out, lesson.method, progress)
        parts = out_of_fold(heads, batches, data.rows, left_out)
        return torch.cat([logits for _, logits in parts])
