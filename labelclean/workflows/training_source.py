"""Reads the source of `train`: a report, its images, and the decisions on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from labelclean.config.training_config import TrainingConfig
from labelclean.data.images import SMALL, largest_side
from labelclean.data.samples import MISSING, SampleTable, has_image
from labelclean.decisions.book import DecisionBook
from labelclean.errors import ConfigError, printable
from labelclean.learning import distributed
from labelclean.progress import Reporter
from labelclean.report.report import Report
from labelclean.sources.wording import first_three
from labelclean.workflows.beliefs import believe
from labelclean.workflows.fitting import (
    TrainingSet,
    check_classes,
    choose_rows,
    classes_without_rows,
)
from labelclean.workflows.head_fitting import SCHEMES as HEAD_SCHEMES
from labelclean.workflows.head_fitting import can_ask_all
from labelclean.workflows.preparing import prepare
from labelclean.workflows.reported import read_source
from labelclean.workflows.seeing import check_backbone

MANY_SMALL = 20_000  # images of 64 px or less from which on a network of one's own is better


@dataclass(frozen=True, kw_only=True)
class TrainingSource:
    """A report, what is learned of it and how, and how many rows a person decided."""

    report: Report
    data: TrainingSet
    decided: int
    is_from_scratch: bool


def read_training(
    report: Path,
    images: Path | None,
    decisions: Path | None,
    config: TrainingConfig,
    device: torch.device,
    reporter: Reporter,
) -> TrainingSource:
    """The report, what a person decided of it, and its images. Raises ReportError, SourceError."""
    with reporter.stage("reading"):
        read = Report.read(report, reporter.note)
        table = read_source(read, images)
        book = DecisionBook.of(read, report, decisions)
        beliefs = believe(read, table, book.decisions)
    if book:
        reporter.note(f"{len(book):,} decisions of {printable(book.path)} override the report")
    how = read.meta.source
    if form := how.get("format"):
        rows = f"{len(read):,} images of {len(read.meta.class_names):,} classes"
        reporter.note(f"{printable(report)}: {rows}, {form} ({printable(how.get('why'))})")
    is_from_scratch = _is_from_scratch(config, table)
    if not is_from_scratch:
        check_backbone(config.view)
    samples = prepare(
        replace(table, class_names=beliefs.class_names),
        config.runtime,
        device_is_cpu=device.type == "cpu",
        reporter=reporter,
        is_pretrained=not is_from_scratch,
    )
    _tell_what_is_gone(read, table, reporter)
    is_head = not (is_from_scratch or config.learns_on(device.type))
    has_folds = is_head and can_ask_all(len(samples.rows), len(beliefs.class_names))
    val = config.held_out_share(has_folds=has_folds)
    data = choose_rows(samples, beliefs, val, config.train.seed)
    untaught = classes_without_rows(data)
    if untaught:
        names = first_three(untaught, len(untaught))
        reporter.note(f"no image of {names} is left to train on: the model will hardly name it")
    suggested_only = check_classes(data, config.scheme)
    if suggested_only:
        names = first_three(suggested_only, len(suggested_only))
        reporter.note(f"no label of {names} is believed: learned from suggestions alone")
    return TrainingSource(
        report=read, data=data, decided=len(book), is_from_scratch=is_from_scratch
    )


def _is_from_scratch(config: TrainingConfig, table: SampleTable) -> bool:
    """Whether a network of one's own is trained: it beats a head where small images are many."""
    if config.is_finetuned and distributed.size() > 1:
        raise ConfigError("--finetune trains in one process: leave torchrun or --finetune out")
    if config.is_from_scratch or config.scheme not in HEAD_SCHEMES or distributed.size() > 1:
        return True
    if config.is_finetuned:
        return False
    return len(table) > MANY_SMALL and largest_side(table) <= SMALL


def _tell_what_is_gone(report: Report, table: SampleTable, reporter: Reporter) -> None:
    was_there = has_image(report.frame["status"].to_numpy(dtype=object))
    gone = np.flatnonzero((table.status == MISSING) & was_there)
    if len(gone):
        reporter.note(
            f"{len(gone):,} of the report's {len(table):,} images are no longer there, the first "
            f"is {printable(table.paths[gone[0]])}: left out"
        )
