"""filter_dataset: from a source of images and labels to a report of wrong labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from labelclean.config import PRESETS, FilterConfig
from labelclean.data import sources
from labelclean.learning import runtime
from labelclean.progress import Reporter
from labelclean.report import selftest
from labelclean.report.table import Report

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "model.safetensors"
GIB = 2**30


def default_preset(device: str) -> str:
    """quick on a CPU, standard on a GPU."""
    return "quick" if runtime.choose_device(device).type == "cpu" else "standard"


def filter_dataset(
    source: str | Path,
    labels: str | Path | None = None,
    *,
    config: FilterConfig | None = None,
    options: sources.SourceOptions | None = None,
    reporter: Reporter | None = None,
) -> Report:
    """Trains a network on the given labels and judges every one of them.

    source   folder, table, Parquet file, or the name of a data set
    labels   table of labels where source is a folder of images
    config   None: the preset that fits the device

    Raises SourceError, ConfigError or RunError for what the user can mend.
    """
    reporter = reporter or Reporter()
    config = config or FilterConfig(train=PRESETS[default_preset("auto")])
    device = runtime.choose_device(config.runtime.device)
    options = options or sources.SourceOptions()
    if labels is not None:
        options = replace(options, labels=Path(labels))
    with reporter.stage("reading"):
        table = sources.read(source, options)
    for note in table.notes:
        reporter.note(note)
    samples = _decode(table, config, device, reporter)
    planted = selftest.plant(
        table.labels, samples.train_rows, table.num_classes, config.self_test, config.train.seed
    )
    learned = _learn(samples, planted.labels, config, device, reporter)
    with reporter.stage("judging"):
        verdicts = _judge(samples, planted, learned, config)
    return _report(str(source), samples, verdicts, learned, reporter)
