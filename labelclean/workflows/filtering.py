"""filter_dataset: from a source of images and labels to a report of wrong labels."""

from __future__ import annotations

import platform
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from numpy.typing import NDArray

from labelclean import __version__, sources
from labelclean.config import PRESETS, FilterConfig
from labelclean.config.names import SCRATCH
from labelclean.data.duplicates import conflicting
from labelclean.data.feature_shards import identical, shards_of, unseen
from labelclean.data.samples import SampleTable
from labelclean.judging import self_test, verdicts
from labelclean.learning import distributed, runtime
from labelclean.learning.model_folder import TrainedModel, load_model
from labelclean.predictions import Predictions
from labelclean.progress import Reporter
from labelclean.report.doubts import doubts
from labelclean.report.meta import ConfusablePair, ReportMeta
from labelclean.report.report import (
    HELD_OUT,
    NO_CLASS,
    Report,
    check_can_write,
    report_files,
)
from labelclean.sources.formats.feature_folder import FeatureFolder
from labelclean.sources.inspection import understood
from labelclean.workflows import resuming
from labelclean.workflows.decided import Decided, check_can_store, read_decided
from labelclean.workflows.flagging import Flags, flag
from labelclean.workflows.learning import CHECKPOINT, Learned, find_method, learn
from labelclean.workflows.looking import choose_views, look
from labelclean.workflows.preparing import Samples, prepare, prepare_features
from labelclean.workflows.reasons import (
    as_given,
    reason_notes,
    unjudged_reasons,
    with_repeated,
    without_untrained,
)
from labelclean.workflows.rescoring import ask_model, check_classes
from labelclean.workflows.seeing import check_backbone, with_features_of

NAMED = 5  # images in a note on conflicts


def default_preset(device: str) -> str:
    """quick on a CPU, standard on a GPU."""
    return "quick" if runtime.choose_device(device).type == "cpu" else "standard"


def filter_dataset(
    source: str | Path,
    labels: str | Path | None = None,
    *,
    out: str | Path | None = None,
    force: bool = False,
    config: FilterConfig | None = None,
    options: sources.SourceOptions | None = None,
    reporter: Reporter | None = None,
) -> Report:
    """Trains a network on the given labels and judges every one; or judges by a model of train.

    source   folder, table, Parquet file, or the name of a data set
    labels   table of labels where source is a folder of images
    out      report to write; None: none; "-": CSV on stdout
    config   None: the preset that fits the device

    Of several processes (torchrun) only the first returns: the others end here.

    Raises SourceError, ConfigError, RunError or ReportError for what the user can mend, and
    SystemExit in other processes than the first.
    """
    reporter = reporter or Reporter()
    config = config or FilterConfig(train=PRESETS[default_preset("auto")])
    config = with_features_of(source, config)
    if out is not None and config.runtime.run_dir is None and str(out) != "-":
        beside = Path(out).with_suffix(".run")
        config = replace(config, runtime=replace(config.runtime, run_dir=beside))
    options = options or sources.SourceOptions()
    if labels is not None:
        options = replace(options, labels=Path(labels))
    device = runtime.choose_device(config.runtime.device)
    distributed.begin(device)
    reporter = reporter if distributed.is_first() else Reporter()
    with resuming.claimed(() if out is None else report_files(out), config.runtime.run_dir):
        if out is not None:
            check_can_write(out, force)  # before hours of training, not after
        if config.decisions is not None:
            check_can_store(out)
        return _filter(source, out, force, config, options, device, reporter)


def _filter(
    source: str | Path,
    out: str | Path | None,
    force: bool,
    config: FilterConfig,
    options: sources.SourceOptions,
    device: torch.device,
    reporter: Reporter,
) -> Report:
    method = find_method(config.train)
    model = None if config.from_model is None else load_model(config.from_model)
    samples = read_samples(source, options, config, device, reporter, model)
    table = samples.table
    decided = None
    if config.decisions is not None:
        decided = read_decided(config.decisions, samples)
        samples = decided.learned(samples)
    candidates = samples.train_rows
    if decided is not None:
        candidates = np.setdiff1d(candidates, decided.rows)
    planted = self_test.plant(
        table.labels, candidates, table.num_classes, config.self_test, config.train.seed
    )
    if model is not None:
        distributed.dismiss()
        learned = ask_model(samples, model, config, device, reporter)
    else:
        if method.needs_noise_rate and config.train.noise_rate is None:
            config = _with_noise_rate(samples, planted.labels, config, device, reporter)
        lesson = planted.labels if decided is None else decided.over(planted.labels)
        learned = look(samples, lesson, config, device, reporter)
        distributed.dismiss()
    with reporter.stage("judging"):
        decision, tested = _judge_and_test(samples, planted, learned, decided)
    flags = flag(samples, learned, decision, config, reporter)
    report = _report(
        str(source), options, samples, decision, flags, tested, learned, decided, reporter
    )
    if out is not None:
        report.write(out, force)
        if decided is not None and str(out) != "-":
            decided.store(report, Path(out))
    checkpoint = resuming.in_run_dir(config.runtime, CHECKPOINT)
    if checkpoint is not None and model is None:  # nothing is left to resume
        checkpoint.unlink(missing_ok=True)
    return report


def check_input(
    source: str | Path,
    options: sources.SourceOptions,
    config: FilterConfig,
    *,
    out: str | Path,
    force: bool,
    reporter: Reporter,
) -> None:
    """Refuses bad input of filter_dataset before processes are started for it.

    Leaves the decoded images in the cache. Raises SourceError, ConfigError or ReportError.
    """
    check_can_write(out, force)
    config = with_features_of(source, config)
    find_method(config.train)
    device = runtime.choose_device(config.runtime.device)
    read_samples(source, options, config, device, reporter)


def read_samples(
    source: str | Path,
    options: sources.SourceOptions,
    config: FilterConfig,
    device: torch.device,
    reporter: Reporter,
    model: TrainedModel | None = None,
) -> Samples:
    """The samples of the source, decoded, with its notes printed. Raises SourceError.

    model  by which they are to be judged: an image may be of any of its classes
    """
    looks_pretrained = model is None and choose_views(config) != (SCRATCH,)
    if looks_pretrained:
        check_backbone(config.view)  # before images are decoded, not after
    with reporter.stage("reading") as advance:
        needs_images = config.view.features is None
        is_to_train = model is None and needs_images
        how = replace(options, is_to_train=is_to_train, needs_images=needs_images)
        table = sources.read(source, how, advance)
    for line in understood(table):
        reporter.note(line)
    for note in table.notes:
        reporter.note(note)
    spec = None
    if model is not None:
        check_classes(model, table.class_names)
        spec = model.transform.spec
        others = tuple(name for name in model.class_names if name not in table.class_names)
        table = replace(table, class_names=(*table.class_names, *others))
    if config.view.features is not None:
        return without_untrained(featured(table, config))
    samples = prepare(
        table,
        config.runtime,
        device_is_cpu=device.type == "cpu",
        reporter=reporter,
        spec=spec,
        is_pretrained=looks_pretrained,
    )
    return samples if model is not None else without_untrained(samples)


def featured(table: SampleTable, config: FilterConfig) -> Samples:
    """The samples of a table whose features are in files. Raises SourceError."""
    features = config.view.features
    if features is None:
        raise ValueError("no features")
    about = table.understood
    is_labelled_apart = about is not None and about.format == FeatureFolder.name and about.columns
    shards = shards_of(features)
    return prepare_features(
        table,
        unseen=unseen(shards, table.paths if is_labelled_apart else ()),
        identical=identical(shards),
    )


def _with_noise_rate(
    samples: Samples,
    labels: NDArray[np.int64],
    config: FilterConfig,
    device: torch.device,
    reporter: Reporter,
) -> FilterConfig:
    """The config with the noise rate that jnpl finds, at the cost of a run of its own."""
    reporter.note(
        f"--method {config.train.method} needs the noise rate: jnpl estimates it first "
        "(--noise-rate saves that)"
    )
    first = replace(
        config,
        train=replace(config.train, method="jnpl"),
        runtime=replace(config.runtime, run_dir=None, resume=False),
    )
    learned = learn(samples, labels, first, device, reporter)

    def judged() -> float:
        return judge(samples, labels, learned.predictions, learned.config).noise_rate

    rate = distributed.agreed(judged)
    reporter.note(f"noise rate: {rate:.1%}")
    return replace(config, train=replace(config.train, noise_rate=rate))


def judge(
    samples: Samples, labels: NDArray[np.int64], predictions: Predictions, config: FilterConfig
) -> verdicts.Verdicts:
    """The verdict on every label (n,) by what the network says of it."""
    return verdicts.decide(
        labels,
        predictions,
        first=samples.first,
        num_classes=samples.table.num_classes,
        verdict=config.verdict,
        seed=config.train.seed,
    )


def _judge_and_test(
    samples: Samples,
    planted: self_test.PlantedFlips,
    learned: Learned,
    decided: Decided | None,
) -> tuple[verdicts.Verdicts, self_test.SelfTest | None]:
    """The verdict on every given label, and what became of the planted flips.

    The flipped rows are judged twice: as flipped, together with all others, for the self-test,
    and as given, by what the network says of the label that it was not trained on.
    """
    table, rows, config = samples.table, planted.rows, learned.config
    changed = rows if decided is None else np.union1d(rows, decided.rows)
    as_given = learned.predictions.replaced(changed, learned.as_given)
    decision = judge(samples, table.labels, as_given, config)
    if decided is not None:
        decision = decided.settled(decision, table.labels)
    if not len(rows):
        return decision, None
    flipped = judge(samples, planted.labels, learned.predictions, config)
    tested = self_test.measure(
        flipped.is_label_issue[rows],
        flipped.suggested[rows] == table.labels[rows],
        decision.is_label_issue[rows],
        decision.noise_rate,
    )
    return decision, tested


def _report(
    source: str,
    options: sources.SourceOptions,
    samples: Samples,
    decision: verdicts.Verdicts,
    flags: Flags,
    tested: self_test.SelfTest | None,
    learned: Learned,
    decided: Decided | None,
    reporter: Reporter,
) -> Report:
    table = samples.table
    names = np.array([*table.class_names, ""], dtype=object)  # class -1: no name
    # of an image that is of no class nothing is suggested: its given label stays, and what would
    # have been suggested comes second
    is_none = flags.no_class.is_none
    is_kept = is_none & (table.labels >= 0) & (decision.suggested != table.labels)
    suggested = np.where(is_none, table.labels, decision.suggested)
    second = np.where(is_kept, decision.suggested, decision.second)
    sure = np.where(is_kept, 1 - decision.issue_probability, decision.suggested_probability)
    words = ((HELD_OUT, table.held_out.tolist()), (NO_CLASS, is_none.tolist()))
    is_copy = flags.near != np.arange(len(table))
    reasons = unjudged_reasons(samples, decision.label_score)
    columns = {
        "image": table.paths,
        "given_label": as_given(names[table.labels], samples.untrained),
        "suggested_label": as_given(names[suggested], samples.untrained),
        "is_label_issue": decision.is_label_issue.tolist(),
        "label_score": decision.label_score,
        "issue_probability": decision.issue_probability,
        "suggested_probability": sure,
        "second_label": names[second],
        "margin": learned.predictions.margin,
        "status": table.status,
        "flags": [
            " ".join(word for word, is_so in words if is_so[row]) for row in range(len(table))
        ],
        "near_duplicate_of": np.where(is_copy, np.array(table.paths, dtype=object)[flags.near], ""),
        "reason": reasons,
        "no_class_score": flags.no_class.score,
    }
    if learned.config.view.view_scores:
        columns |= {f"{name}_score": values for name, values in learned.by_view.items()}
    if decided is not None:
        columns = decided.complete(columns)
    pairs = tuple(
        ConfusablePair(
            given=table.class_names[pair.given],
            suggested=table.class_names[pair.suggested],
            count=pair.count,
            share=pair.share,
        )
        for pair in decision.confusable_pairs
    )
    meta = ReportMeta(
        class_names=table.class_names,
        image_root_given=source,
        image_root=None if table.root is None else str(table.root),
        config=_config(learned.config),
        seed=learned.config.train.seed,
        versions=_versions(),
        device=f"{learned.device}, {learned.dtype}",
        seconds=reporter.seconds,
        noise_rate=decision.noise_rate,
        noise_rate_interval=decision.noise_rate_interval,
        flagged_from=decision.flagged_from,
        transition_matrix=None
        if decision.transition_matrix is None
        else tuple(map(tuple, decision.transition_matrix.tolist())),
        confusable_pairs=pairs,
        checkpoint=None if learned.weights is None else str(learned.weights),
        source={**options.record(source), **table.recorded},
        training=learned.history,
        self_test=None if tested is None else tested.to_json(),
        notes=(
            *learned.doubts,
            *table.notes,
            *_conflict_notes(samples),
            *reason_notes(reasons),
            *doubts(decision.noise_rate),
        ),
    )
    return Report.from_columns(with_repeated(columns, table), meta)


def _config(config: FilterConfig) -> dict[str, Any]:
    """Config as stored in the report; with --from-model only what the model does not fix."""
    stored = asdict(config)
    if config.from_model is not None:
        stored["train"] = {name: stored["train"][name] for name in ("arch", "flip", "seed")}
    return stored


def _conflict_notes(samples: Samples) -> list[str]:
    """One line for the images that are there twice with different labels, the first ones named."""
    table, first = samples.table, samples.first
    rows = np.flatnonzero(conflicting(first, table.labels))
    if not len(rows):
        return []
    images = np.unique(first[rows])
    named = "; ".join(
        " = ".join(
            f"{table.paths[k]} ({table.class_names[table.labels[k]]})"
            for k in rows[first[rows] == image].tolist()
        )
        for image in images[:NAMED]
    )
    are = "image is" if len(images) == 1 else "images are"
    return [f"{len(images):,} {are} there more than once with different labels: {named}"]


def _versions() -> dict[str, str]:
    return {
        "labelclean": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
    }
