"""fit_scheme: from beliefs about labels to a trained network, by one of the schemes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelclean.config import TrainConfig
from labelclean.config.names import CE_CLEAN, CE_NOISY, DEFAULT, SCHEMES, SOFT, TWO_STAGE
from labelclean.data.batches import Batches
from labelclean.data.samples import NO_LABEL
from labelclean.errors import ConfigError, SourceError, printable
from labelclean.learning import schemes
from labelclean.learning.run import Run
from labelclean.learning.soft_labels import SoftLabels
from labelclean.workflows.beliefs import Beliefs
from labelclean.workflows.learner import Environment, Learner, Lesson
from labelclean.workflows.preparing import Samples

FIRST, SECOND = f"{TWO_STAGE}-1", f"{TWO_STAGE}-2"
STAGES = (DEFAULT, SOFT, FIRST, SECOND, CE_CLEAN, CE_NOISY)  # each has a checkpoint of its own


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """All that a scheme learns from.

    rows      rows that may be trained on: with an image, not excluded, of no test split
    val_rows  rows that were taken out of them to fit the temperature
    """

    samples: Samples
    beliefs: Beliefs
    rows: NDArray[np.int64]
    val_rows: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained network and what it must be fed.

    mean, std     of the colours, 0 to 255
    images        how many it has learned from
    architecture, enlarged  as models.build takes them
    epochs        of all stages
    features      (n, f) that the head has learned from, where these came from a pretrained network
    out_of_fold   gives logits (t, c) of the rows that are trained on, by heads that did not see
                  them; None: such heads cannot be had
    """

    network: nn.Module
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    images: int
    architecture: str
    epochs: int
    enlarged: int | None = None
    features: NDArray[np.float16] | None = None
    out_of_fold: Callable[[], Tensor] | None = None


def choose_rows(samples: Samples, beliefs: Beliefs, val: float, seed: int) -> TrainingSet:
    """Splits the usable rows into those to train on and those held out: a share of each label's.

    The same share of the trusted and of the doubted labels: the trusted ones alone are the easy
    images, on which a network is overconfident. Of each label one trusted row stays. Images with
    duplicates are never held out: the copy would leak into the training.

    Raises SourceError if nothing is left to train on.
    """
    held_out = samples.table.held_out
    usable = np.zeros(len(held_out), dtype=bool)
    usable[samples.rows] = True
    usable &= beliefs.is_used & ~held_out & (beliefs.best != NO_LABEL)
    is_repeated = np.bincount(samples.first, minlength=len(held_out))[samples.first] > 1
    generator = np.random.default_rng(seed)
    taken = [np.zeros(0, dtype=np.int64)]
    for label in range(len(beliefs.class_names)):
        of_label = usable & (beliefs.given == label)
        for among in (of_label & beliefs.is_kept, of_label & ~beliefs.is_kept):
            free = np.flatnonzero(among & ~is_repeated)
            count = min(int(val * among.sum()), len(free), max(0, int(among.sum()) - 1))
            taken.append(generator.choice(free, count, replace=False))
    val_rows = np.sort(np.concatenate(taken))
    left = usable.copy()
    left[val_rows] = False
    # a class that is only suggested may have few rows: they stay
    val_rows = val_rows[np.isin(beliefs.best[val_rows], beliefs.best[left])]
    usable[val_rows] = False
    if not usable.any():
        raise SourceError(
            "no image of the report is left to train on: all are excluded or held out"
        )
    return TrainingSet(
        samples=samples, beliefs=beliefs, rows=np.flatnonzero(usable), val_rows=val_rows
    )


def without_held_out(data: TrainingSet) -> TrainingSet:
    """The same with the held-out rows among those to train on."""
    rows = np.sort(np.concatenate([data.rows, data.val_rows]))
    return replace(data, rows=rows, val_rows=data.val_rows[:0])


def classes_without_rows(data: TrainingSet) -> list[str]:
    """The classes that no row is given or best believed to be of."""
    beliefs, rows = data.beliefs, data.rows
    taught = np.union1d(beliefs.given[rows], beliefs.best[rows])
    return [name for k, name in enumerate(beliefs.class_names) if k not in taught]


def check_classes(data: TrainingSet, scheme: str) -> list[str]:
    """Classes without a trusted label that soft labels still cover.

    They are learned from rows that are suggested to be of them; the others have only the labels.

    Raises SourceError if no label is trusted, or a class that had some cannot be learned.
    """
    if scheme == CE_NOISY:
        return []
    beliefs, rows = data.beliefs, data.rows
    kept = rows[beliefs.is_kept[rows]]
    remedy = (
        "look at them (labelclean review), filter again with a higher --threshold, or train by "
        f"--scheme {CE_NOISY}"
    )
    if not len(kept):
        raise SourceError(f"no label of the report is believed to be right: {remedy}")
    there = np.unique(beliefs.given[rows[beliefs.given[rows] != NO_LABEL]])
    if len(there) < 2:
        raise SourceError("only one class is left to train on; two are needed")
    gone = np.setdiff1d(there, beliefs.given[kept])
    is_suggested = scheme in (DEFAULT, SOFT)
    lost = np.setdiff1d(gone, beliefs.best[rows]) if is_suggested else gone
    if len(lost):
        name = printable(beliefs.class_names[lost[0]])
        more = f" and {len(lost) - 1:,} more" if len(lost) > 1 else ""
        raise SourceError(f"no label '{name}'{more} is believed to be right: {remedy}")
    return [beliefs.class_names[k] for k in gone]


def fit_scheme(data: TrainingSet, scheme: str, train: TrainConfig, where: Environment) -> Fitted:
    """Trains by the scheme; resumes where checkpoints of the same run are there.

    train  with the number of epochs, of which stages take their share

    Raises ConfigError, RunError or SourceError for what the user can mend.
    """
    if train.epochs is None:
        raise ValueError("the number of epochs is not decided")
    if scheme not in SCHEMES:
        raise ConfigError(f"--scheme is {scheme}, must be one of {', '.join(SCHEMES)}")
    check_classes(data, scheme)
    if scheme == TWO_STAGE:
        return _two_stages(data, train, where)
    return _fitted(_stage(data, scheme, lesson_of(data, scheme), train, where), train)


def epoch_seconds(data: TrainingSet, scheme: str, train: TrainConfig, where: Environment) -> float:
    """How long an epoch of the scheme takes, by its first steps."""
    # an epoch of the two stages looks at as much as one of soft labels
    lesson = lesson_of(data, SOFT if scheme == TWO_STAGE else scheme)
    return _learner(data, "timed", lesson, train, where).epoch_seconds()


def lesson_of(data: TrainingSet, scheme: str) -> Lesson:
    """The method, labels and rows of a scheme of one stage."""
    beliefs, rows = data.beliefs, data.rows
    if scheme == CE_NOISY:
        given = data.samples.table.labels
        labelled = rows[given[rows] != NO_LABEL]
        return Lesson(schemes.on_labels(SoftLabels.certain(given)), given, labelled)
    if scheme == CE_CLEAN:
        kept = rows[beliefs.is_kept[rows]]
        certain = SoftLabels.certain(beliefs.given)
        return Lesson(schemes.on_labels(certain), beliefs.given, kept)
    learn_from = schemes.on_labels if scheme == SOFT else schemes.consistent
    return Lesson(learn_from(beliefs.soft), beliefs.best, rows)


def _two_stages(data: TrainingSet, train: TrainConfig, where: Environment) -> Fitted:
    """The authors': labels that are kept first, then what the network said of all (Sec. 6.1)."""
    epochs = train.epochs or 0
    if epochs < 2:
        raise ConfigError(f"--epochs is {epochs}, --scheme {TWO_STAGE} needs at least 2")
    beliefs, rows = data.beliefs, data.rows
    first = epochs // 2
    last = min(schemes.LAST, max(1, round(schemes.LAST_SHARE * first)))
    method = schemes.collecting(
        SoftLabels.certain(beliefs.given),
        torch.from_numpy(beliefs.is_kept.astype(np.float32)),
        first=(first - last) / first,
    )
    lesson = Lesson(method, beliefs.best, rows)
    run, _ = _stage(data, FIRST, lesson, replace(train, epochs=first), where)
    said = run.memory["said"].cpu()
    targets = said / said.sum(dim=1, keepdim=True).clamp(min=1e-12)
    is_used = torch.zeros(len(targets), dtype=torch.bool)
    is_used[torch.from_numpy(rows)] = True
    certain = torch.from_numpy(beliefs.is_certain)
    labels = torch.from_numpy(beliefs.given)[certain]
    targets[certain] = torch.nn.functional.one_hot(labels, targets.shape[1]).float()
    method = schemes.on_targets(targets, schemes.inverse_frequency(targets, is_used))
    lesson = Lesson(method, targets.argmax(dim=1).numpy(), rows)
    second = _stage(data, SECOND, lesson, replace(train, epochs=epochs - first), where)
    return _fitted(second, train)


def _stage(
    data: TrainingSet, name: str, lesson: Lesson, train: TrainConfig, where: Environment
) -> tuple[Run, Batches]:
    """One run of the trainer over the rows, with checkpoints of its own."""
    learner = _learner(data, name, lesson, train, where)
    return learner.fit(f"training {name}"), learner.batches


def _learner(
    data: TrainingSet, name: str, lesson: Lesson, train: TrainConfig, where: Environment
) -> Learner:
    table = replace(data.samples.table, class_names=data.beliefs.class_names)
    return Learner(replace(data.samples, table=table), lesson, train, where, name=name)


def _fitted(stage: tuple[Run, Batches], train: TrainConfig) -> Fitted:
    run, batches = stage
    mean, std = batches.colours
    return Fitted(
        network=run.trained.eval(),
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        images=len(batches.train_rows),
        architecture=train.arch,
        epochs=train.epochs or 0,
    )
