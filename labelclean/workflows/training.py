"""train_classifier: from a report, and what a person decided, to a model folder."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from labelclean import __version__, disk
from labelclean.config import (
    PRESETS,
    RuntimeConfig,
    TrainConfig,
    ViewConfig,
    train_epochs,
)
from labelclean.data.images import SMALL, largest_side
from labelclean.data.samples import MISSING, UNREADABLE, SampleTable
from labelclean.data.transform import Transform
from labelclean.decisions.book import DecisionBook
from labelclean.errors import ConfigError, printable
from labelclean.learning import exporting, model_folder, runtime, team
from labelclean.learning.applying import logits_of_rows
from labelclean.learning.backbones import EMBEDDED
from labelclean.learning.calibration import FEWEST, fit_temperature
from labelclean.learning.model_folder import ModelConfig, TrainedModel
from labelclean.learning.models import Classifier
from labelclean.progress import Reporter
from labelclean.report.classification import Classification, compare, figures_text, measure
from labelclean.report.confusion_plot import confusion_png
from labelclean.report.report import Report
from labelclean.sources.wording import first_three
from labelclean.workflows import resuming, testing
from labelclean.workflows.beliefs import believe, label_likelihood
from labelclean.workflows.fitting import (
    CE_NOISY,
    DEFAULT,
    FIRST,
    SCHEMES,
    STAGES,
    TWO_STAGE,
    Environment,
    Fitted,
    TrainingSet,
    check_classes,
    choose_rows,
    classes_without_rows,
    epoch_seconds,
    fit_scheme,
)
from labelclean.workflows.head_fitting import SCHEMES as HEAD_SCHEMES
from labelclean.workflows.head_fitting import fit_head
from labelclean.workflows.learning import epochs_within
from labelclean.workflows.model_card import model_card
from labelclean.workflows.preparing import prepare
from labelclean.workflows.reported import read_source
from labelclean.workflows.seeing import check_backbone, see

MANY_SMALL = 20_000  # images of 64 px or less from which on a network of one's own is better
CALIBRATED = 20_000  # images at most that the temperature is fitted to: (m, c) arrays of them
# Paper Sec. 6.1, pseudo-labelling: two trainings of 480 epochs (CIFAR) or 15 (Clothing1M), so
# schemes of one stage take both; lr falls at 192 and 288, or at 10. The rest is that of filter.
_OF_ONE_STAGE: dict[str, dict[str, Any]] = {
    "paper": {"epochs": 960, "lr": 0.1, "lr_drops": (0.4, 0.6)},
    "clothing1m": {"epochs": 30, "lr": 0.001, "lr_drops": (2 / 3,)},
}
TRAIN_PRESETS: dict[str, TrainConfig] = {
    name: replace(config, class_weights=False, **_OF_ONE_STAGE.get(name, {}))
    for name, config in PRESETS.items()
}


def train_preset(name: str, **given: Any) -> TrainConfig:
    """The preset for training a classifier, with the given fields in place of its own.

    Raises ConfigError for an unknown preset or values out of range.
    """
    if name not in TRAIN_PRESETS:
        raise ConfigError(f"--preset {name} is unknown; there are {', '.join(TRAIN_PRESETS)}")
    return replace(TRAIN_PRESETS[name], **{k: v for k, v in given.items() if v is not None})


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One run of `train`.

    backbone   pretrained network whose features a head is trained on, see learning.backbones
    download   its weights may be fetched
    is_from_scratch  train a network of one's own instead, by `train`; also done for two-stage, in
               several processes, and where small images are many
    val        share of the rows of each given label held out to fit the temperature
    is_compared  also train by ce-noisy, to tell the gain
    export     "onnx" or None
    license    of the weights, for the model's card
    """

    train: TrainConfig = field(default_factory=lambda: TRAIN_PRESETS["quick"])
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    scheme: str = DEFAULT
    backbone: str = EMBEDDED
    download: bool = False
    is_from_scratch: bool = False
    val: float = 0.1
    is_compared: bool = False
    export: str | None = None
    license: str | None = None

    @property
    def view(self) -> ViewConfig:
        """The pretrained network, as `filter` is told of it."""
        return ViewConfig(backbone=self.backbone, download=self.download)

    def __post_init__(self) -> None:
        problems = []
        if self.scheme not in SCHEMES:
            problems.append(f"--scheme is {self.scheme}, must be one of {', '.join(SCHEMES)}")
        if not 0 <= self.val <= 0.5:
            problems.append(f"--val is {self.val:g}, must be in [0, 0.5]")
        if self.export not in (None, "onnx"):
            problems.append(f"--export is {self.export}, must be onnx")
        if self.is_compared and self.scheme == CE_NOISY:
            problems.append(f"--compare compares with {CE_NOISY}: give another --scheme")
        if problems:
            raise ConfigError("; ".join(problems))


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The result: the model folder, its config, and the figures on the test set."""

    folder: Path
    config: ModelConfig
    figures: Classification | None
    seconds: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return {
            "model": str(self.folder),
            "training": dict(self.config.training),
            "temperature": self.config.temperature,
            "test": None if self.figures is None else self.figures.to_json(),
            "seconds": dict(self.seconds),
        }

    def describe(self) -> str:
        training = self.config.training
        how = f"{training['scheme']}, "
        if training["backbone"]:
            how += f"a head on the features of {training['backbone']}, "
        lines = [
            f"{how}{training['epochs']} epochs on {training['images']:,} images: "
            f"{training['kept']:,} keep their label, {training['judged_wrong']:,} were judged wrong"
        ]
        if self.figures is not None:
            lines += ["", figures_text(self.figures)]
        return "\n".join([*lines, "", f"model: {printable(self.folder)}"])


@dataclass(frozen=True, kw_only=True)
class TrainingSource:
    """A report, what is learned of it and how, and how many rows a person decided."""

    report: Report
    data: TrainingSet
    decided: int
    is_from_scratch: bool


def train_classifier(
    report: str | Path,
    *,
    out: str | Path,
    images: Path | None = None,
    test: testing.HoldoutSource | None = None,
    decisions: Path | None = None,
    config: TrainingConfig | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
) -> Trained:
    """Trains a classifier on what the report and a person's decisions say of the labels.

    report     path of a report that filter wrote
    out        model folder to make
    images     where the report's images lie now, if they were moved
    decisions  file of a person's decisions; None: the one beside the report, if there is one

    Of several processes (torchrun) only the first returns: the others end here.

    Raises ReportError, SourceError, ConfigError or RunError for what the user can mend, and
    SystemExit in other processes than the first.
    """
    reporter = reporter or Reporter()
    config = config or TrainingConfig()
    out, report = Path(out), Path(report)
    _check_options(out, config, force, has_test=test is not None)
    run_dir = config.runtime.run_dir or out.with_name(f"{out.name}.run")
    config = replace(config, runtime=replace(config.runtime, run_dir=run_dir))
    device = runtime.choose_device(config.runtime.device)
    team.begin(device)
    reporter = reporter if team.is_first() else Reporter()
    with resuming.claimed([out], run_dir):
        _check_options(out, config, force, has_test=test is not None)
        trained = _train(report, out, images, test, decisions, config, device, reporter)
    with suppress(OSError):  # something else is in it
        run_dir.rmdir()
    return trained


def _train(
    report: Path,
    out: Path,
    images: Path | None,
    test: testing.HoldoutSource | None,
    decisions: Path | None,
    config: TrainingConfig,
    device: torch.device,
    reporter: Reporter,
) -> Trained:
    source = read_training(report, images, decisions, config, device, reporter)
    data, beliefs, samples = source.data, source.data.beliefs, source.data.samples
    tested = None
    if test is not None:
        seen = np.concatenate([data.rows, data.val_rows])
        tested = testing.read_test(
            test,
            class_names=beliefs.class_names,
            spec=samples.spec,
            trained=samples.pixels.digest[seen],
            where=config.runtime,
            reporter=reporter,
        )
    fitted, other, where = _fit(source, config, device, reporter)
    team.dismiss()
    transform = Transform(spec=samples.spec, mean=fitted.mean, std=fitted.std)
    temperature = _temperature(fitted, transform, source, where)
    figures = None
    if tested is not None:
        logits = testing.apply_to(fitted.network, transform, tested, device, reporter)
        figures = measure(logits, tested.labels, beliefs.class_names, temperature)
        if other is not None:
            its = Transform(spec=samples.spec, mean=other.mean, std=other.std)
            other_logits = testing.apply_to(other.network, its, tested, device, reporter)
            gain = compare(logits, other_logits, tested.labels, CE_NOISY)
            figures = replace(figures, gain=gain)
    about = ModelConfig(
        architecture=fitted.architecture,
        enlarged=fitted.enlarged,
        class_names=beliefs.class_names,
        image_size=samples.spec.size,
        resize=samples.spec.resize,
        is_squeezed=samples.spec.is_squeezed,
        values=samples.spec.values,
        mean=fitted.mean,
        std=fitted.std,
        flip=config.train.flip,
        temperature=temperature,
        license=config.license,
        versions=_versions(),
        training=_summary(report, source, config, fitted),
        test=None if figures is None else figures.to_json(),
    )
    contents = _contents(TrainedModel(fitted.network, about), figures, out.name, config.export)
    model_folder.write_folder(out, contents)
    _remove_checkpoints(config.runtime.run_dir)
    return Trained(folder=out, config=about, figures=figures, seconds=dict(reporter.seconds))


def _fit(
    source: TrainingSource, config: TrainingConfig, device: torch.device, reporter: Reporter
) -> tuple[Fitted, Fitted | None, Environment]:
    """The classifier, and with is_compared the one of the given labels."""
    data, seed = source.data, config.train.seed
    if not source.is_from_scratch:
        where = Environment(
            runtime=config.runtime, device=device, dtype=torch.float32, reporter=reporter
        )
        seen = see(data.samples, config.view, config.runtime, device, reporter)
        fitted = fit_head(data, config.scheme, seen, seed, where)
        other = fit_head(data, CE_NOISY, seen, seed, where) if config.is_compared else None
        return fitted, other, where
    stage = FIRST if config.scheme == TWO_STAGE else config.scheme
    before = resuming.begun(config.runtime, f"{stage}.pt")
    dtype = resuming.precision(config.runtime, device, before)
    where = Environment(runtime=config.runtime, device=device, dtype=dtype, reporter=reporter)
    train = _with_epochs(config, data, where, before)
    fitted = fit_scheme(data, config.scheme, train, where)
    other = fit_scheme(data, CE_NOISY, train, where) if config.is_compared else None
    return fitted, other, where


def _is_from_scratch(config: TrainingConfig, table: SampleTable) -> bool:
    """Whether a network of one's own is trained: it beats a head where small images are many."""
    if config.is_from_scratch or config.scheme not in HEAD_SCHEMES or team.size() > 1:
        return True
    return len(table) > MANY_SMALL and largest_side(table) <= SMALL


def check_input(
    report: Path,
    *,
    out: Path,
    images: Path | None,
    has_test: bool,
    decisions: Path | None,
    config: TrainingConfig,
    force: bool,
    reporter: Reporter,
) -> None:
    """Refuses bad input of train_classifier before processes are started for it.

    Leaves the decoded images in the cache. Raises ReportError, SourceError or ConfigError.
    """
    _check_options(out, config, force, has_test=has_test)
    device = runtime.choose_device(config.runtime.device)
    read_training(report, images, decisions, config, device, reporter)


def _check_options(out: Path, config: TrainingConfig, force: bool, *, has_test: bool) -> None:
    if config.is_compared and not has_test:
        raise ConfigError("--compare needs a test set: give --test")
    disk.check(
        out, force=force, flag="--out", is_folder=True, what="model", replaces=model_folder.is_model
    )
    if config.export:
        exporting.check_can_export()


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
        found = Report.read(report, reporter.note)
        table = read_source(found, images)
        book = DecisionBook.of(found, report, decisions)
        beliefs = believe(found, table, book.decisions)
    if book:
        reporter.note(f"{len(book):,} decisions of {printable(book.path)} override the report")
    how = found.meta.source
    if form := how.get("format"):
        rows = f"{len(found):,} images of {len(found.meta.class_names):,} classes"
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
    _tell_what_is_gone(found, table, reporter)
    data = choose_rows(samples, beliefs, config.val, config.train.seed)
    untaught = classes_without_rows(data)
    if untaught:
        names = first_three(untaught, len(untaught))
        reporter.note(f"no image of {names} is left to train on: the model will hardly name it")
    suggested_only = check_classes(data, config.scheme)
    if suggested_only:
        names = first_three(suggested_only, len(suggested_only))
        reporter.note(f"no label of {names} is believed: learned from suggestions alone")
    return TrainingSource(
        report=found, data=data, decided=len(book), is_from_scratch=is_from_scratch
    )


def _tell_what_is_gone(report: Report, table: SampleTable, reporter: Reporter) -> None:
    was_there = ~np.isin(report.frame["status"].to_numpy(dtype=str), (MISSING, UNREADABLE))
    gone = np.flatnonzero((table.status == MISSING) & was_there)
    if len(gone):
        reporter.note(
            f"{len(gone):,} of the report's {len(table):,} images are no longer there, the first "
            f"is {printable(table.paths[gone[0]])}: left out"
        )


def _with_epochs(
    config: TrainingConfig, data: TrainingSet, where: Environment, before: resuming.Begun | None
) -> TrainConfig:
    """The settings with the number of epochs decided: that of all that is trained."""
    stages = 2 if config.scheme == TWO_STAGE else 1
    train, minutes = config.train, config.runtime.minutes
    if minutes is None:
        return replace(train, epochs=train.epochs or train_epochs(len(data.rows), train.batch_size))
    if before is not None:
        return replace(train, epochs=stages * before.epochs)
    trained = (config.scheme, CE_NOISY) if config.is_compared else (config.scheme,)
    seconds = sum(epoch_seconds(data, scheme, train, where) for scheme in trained)
    # as many in each stage, so that on resuming the checkpoint of one tells that of both
    return replace(train, epochs=epochs_within(minutes, seconds, where.reporter, stages))


def _temperature(
    fitted: Fitted, transform: Transform, source: TrainingSource, where: Environment
) -> float:
    data = source.data
    if len(data.val_rows) < FEWEST:
        where.reporter.note(
            f"{len(data.val_rows)} images are held out (--val), {FEWEST} are needed to calibrate "
            "the probabilities: they stay as the network gives them"
        )
        return 1.0
    rows = data.val_rows
    if len(rows) > CALIBRATED:
        rows = np.sort(np.random.default_rng(0).choice(rows, CALIBRATED, replace=False))
    with where.reporter.stage("calibrating"):
        logits = _logits(fitted, transform, data, rows, where)
        likelihood = label_likelihood(source.report.meta, data.beliefs, rows)
        return fit_temperature(logits, likelihood)


def _logits(
    fitted: Fitted,
    transform: Transform,
    data: TrainingSet,
    rows: NDArray[np.int64],
    where: Environment,
) -> NDArray[np.float32]:
    """Logits (m, c) of the rows (m,), from the features where they are at hand."""
    if fitted.features is None or not isinstance(fitted.network, Classifier):
        pixels = data.samples.pixels
        return logits_of_rows(fitted.network, transform, pixels, rows, where.device)
    with torch.no_grad():
        seen = torch.from_numpy(fitted.features[rows].astype(np.float32)).to(where.device)
        return np.asarray(fitted.network.head(seen).float().cpu())


def _summary(
    path: Path, source: TrainingSource, config: TrainingConfig, fitted: Fitted
) -> dict[str, Any]:
    data, meta = source.data, source.report.meta
    beliefs, rows = data.beliefs, data.rows
    return {
        "report": path.name,
        "source": meta.image_root_given,
        "images": fitted.images,
        "kept": int(beliefs.is_kept[rows].sum()),
        "judged_wrong": int((~beliefs.is_kept[rows] & (beliefs.given[rows] >= 0)).sum()),
        "unlabelled": int((beliefs.given[rows] < 0).sum()),
        "held_out": len(data.val_rows),
        "decided": source.decided,
        "excluded": int((~beliefs.is_used).sum()),
        "noise_rate": meta.noise_rate,
        "scheme": config.scheme,
        "backbone": None if source.is_from_scratch else config.backbone,
        "epochs": fitted.epochs,
        "seed": config.train.seed,
    }


def _contents(
    model: TrainedModel, figures: Classification | None, name: str, export: str | None
) -> dict[str, bytes]:
    """The files of the model folder."""
    model = TrainedModel(model.network.cpu(), model.config).eval()
    contents = {
        model_folder.WEIGHTS: model_folder.weights_bytes(model.network, model.config),
        model_folder.CONFIG: model.config.to_json(),
        "README.md": model_card(model.config, name, has_onnx=export is not None).encode(),
    }
    if figures is not None:
        contents["confusion.png"] = confusion_png(figures)
    if export is not None:
        contents[model_folder.ONNX] = exporting.onnx_bytes(model)
    return contents


def _remove_checkpoints(run_dir: Path | None) -> None:
    """Nothing is left to resume."""
    if run_dir is None:
        return
    for stage in STAGES:
        (run_dir / f"{stage}.pt").unlink(missing_ok=True)


def _versions() -> dict[str, str]:
    return {
        "labelclean": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
