"""train_classifier: from a report, and what a person decided, to a model folder."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from labelclean import __version__, disk
from labelclean.config import (
    TrainConfig,
    finetune_config,
    train_epochs,
)
from labelclean.config.names import CE_NOISY, TWO_STAGE
from labelclean.config.training_config import TrainingConfig
from labelclean.data.transform import Transform
from labelclean.errors import ConfigError, printable
from labelclean.learning import distributed, model_folder, onnx_export, runtime
from labelclean.learning.calibration import (
    FEWEST,
    fit_temperature,
    negative_log_likelihood,
)
from labelclean.learning.inference import logits_of_rows
from labelclean.learning.model_folder import ModelConfig, TrainedModel
from labelclean.learning.models import Classifier
from labelclean.progress import Reporter
from labelclean.report.classification import Classification, compare, figures_text, measure
from labelclean.report.confusion_plot import confusion_png
from labelclean.workflows import resuming, testing
from labelclean.workflows.beliefs import label_likelihood
from labelclean.workflows.fitting import (
    FIRST,
    STAGES,
    Fitted,
    TrainingSet,
    epoch_seconds,
    fit_scheme,
    without_held_out,
)
from labelclean.workflows.head_fitting import SCHEMES, checkpoint_of, fit_head
from labelclean.workflows.learner import Environment, epochs_within
from labelclean.workflows.model_card import model_card
from labelclean.workflows.seeing import see
from labelclean.workflows.training_source import TrainingSource, read_training

CALIBRATED = 20_000  # images at most that the temperature is fitted to: (m, c) arrays of them
_FINETUNING = "fine-tuning (--finetune, --no-finetune)"


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
            is_whole = training["is_finetuned"]
            how += "fine-tuned from " if is_whole else "a head on the features of "
            how += f"{training['backbone']}, "
        lines = [
            f"{how}{training['epochs']} epochs on {training['images']:,} images: "
            f"{training['kept']:,} keep their label, {training['judged_wrong']:,} were judged wrong"
        ]
        if self.figures is not None:
            lines += ["", figures_text(self.figures)]
        return "\n".join([*lines, "", f"model: {printable(self.folder)}"])


def train_classifier(
    report: str | Path,
    *,
    out: str | Path,
    images: str | Path | None = None,
    test: testing.HoldoutSource | None = None,
    decisions: str | Path | None = None,
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
    images = None if images is None else Path(images)
    decisions = None if decisions is None else Path(decisions)
    _check_options(out, config, force, has_test=test is not None)
    run_dir = config.runtime.run_dir or out.with_name(f"{out.name}.run")
    config = replace(config, runtime=replace(config.runtime, run_dir=run_dir))
    device = runtime.choose_device(config.runtime.device)
    distributed.begin(device)
    reporter = reporter if distributed.is_first() else Reporter()
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
    source, fitted, other, where = _fit(source, config, device, reporter)
    distributed.dismiss()
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
) -> tuple[TrainingSource, Fitted, Fitted | None, Environment]:
    """The classifier, what it has learned from, and with is_compared the one of given labels."""
    data, seed = source.data, config.train.seed
    if not source.is_from_scratch:
        seen = see(data.samples, config.view, config.runtime, device, reporter)
        meta = source.report.meta
        finetune, where = _finetuning(config, device, reporter)
        is_tried = finetune is not None and config.is_finetuned is None  # by default, not asked for
        if is_tried and len(data.val_rows) < FEWEST:
            reporter.note(
                f"no {_FINETUNING}: {len(data.val_rows)} held-out images do not tell if it helps"
            )
            is_tried, finetune, data = False, None, without_held_out(data)
        fitted = fit_head(data, config.scheme, seen, seed, meta, where, finetune)
        if is_tried:
            head = fit_head(data, config.scheme, seen, seed, meta, where)
            if _fits_better(head, fitted, source, where):
                finetune, data = None, without_held_out(data)
                fitted = fit_head(data, config.scheme, seen, seed, meta, where)
        other = None
        if config.is_compared:
            if finetune is not None:  # the same cost, also where it followed from the minutes
                finetune = replace(finetune, epochs=fitted.epochs)
            other = fit_head(data, CE_NOISY, seen, seed, meta, where, finetune)
        return replace(source, data=data), fitted, other, where
    stage = FIRST if config.scheme == TWO_STAGE else config.scheme
    before = resuming.begun(config.runtime, f"{stage}.pt")
    dtype = resuming.precision(config.runtime, device, before)
    where = Environment(runtime=config.runtime, device=device, dtype=dtype, reporter=reporter)
    train = _with_epochs(config, data, where, before)
    fitted = fit_scheme(data, config.scheme, train, where)
    other = fit_scheme(data, CE_NOISY, train, where) if config.is_compared else None
    return source, fitted, other, where


def _finetuning(
    config: TrainingConfig, device: torch.device, reporter: Reporter
) -> tuple[TrainConfig | None, Environment]:
    """How the pretrained network learns on, if it does, and where; each training has its time."""
    minutes, dtype = config.runtime.minutes, torch.float32
    where = Environment(runtime=config.runtime, device=device, dtype=dtype, reporter=reporter)
    if not config.learns_on(device.type):
        return None, where
    train = finetune_config(config.train)
    if minutes is not None:
        train = replace(train, epochs=None)
    before = resuming.begun(config.runtime, f"{checkpoint_of(config.scheme)}.pt")
    shared = minutes and minutes / (2 if config.is_compared else 1)
    where = replace(
        where,
        runtime=replace(config.runtime, minutes=shared),
        dtype=resuming.precision(config.runtime, device, before),
    )
    return train, where


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
        onnx_export.check_can_export()


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
    """By the images that are held out; where there are none, by folds of those trained on."""
    data = source.data
    by_folds = None if len(data.val_rows) else fitted.out_of_fold
    rows = data.val_rows if by_folds is None else data.rows
    if len(rows) < FEWEST:
        where.reporter.note(
            f"{len(rows)} images are left to calibrate the probabilities (--val), {FEWEST} are "
            "needed: they stay as the network gives them"
        )
        return 1.0
    places = np.arange(len(rows))
    if len(rows) > CALIBRATED:
        places = np.sort(np.random.default_rng(0).choice(len(rows), CALIBRATED, replace=False))
    if by_folds is None:
        with where.reporter.stage("calibrating"):
            logits = _logits(fitted, transform, data, rows[places], where)
    else:
        logits = np.asarray(by_folds().cpu())[places]
    likelihood = label_likelihood(source.report.meta, data.beliefs, rows[places])
    return fit_temperature(logits, likelihood)


def _fits_better(
    head: Fitted, finetuned: Fitted, source: TrainingSource, where: Environment
) -> bool:
    """Whether what is known of the held-out labels is likelier by the head; a note says so."""
    data = source.data
    rows = data.val_rows
    likelihood = label_likelihood(source.report.meta, data.beliefs, rows)
    nats = []
    for fitted in (head, finetuned):
        transform = Transform(spec=data.samples.spec, mean=fitted.mean, std=fitted.std)
        logits = _logits(fitted, transform, data, rows, where)
        temperature = fit_temperature(logits, likelihood)
        nats.append(negative_log_likelihood(logits, likelihood, temperature) / len(rows))
    is_better = nats[0] <= nats[1]
    where.reporter.note(
        f"{_FINETUNING} {'does not help' if is_better else 'helps'}: {len(rows):,} held-out labels "
        f"cost {nats[1]:.3f} nats each with it, {nats[0]:.3f} without"
    )
    return is_better


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
        "is_finetuned": not source.is_from_scratch and fitted.features is None,
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
        contents[model_folder.ONNX] = onnx_export.onnx_bytes(model)
    return contents


def _remove_checkpoints(run_dir: Path | None) -> None:
    """Nothing is left to resume."""
    if run_dir is None:
        return
    for stage in (*STAGES, *map(checkpoint_of, SCHEMES)):
        (run_dir / f"{stage}.pt").unlink(missing_ok=True)


def _versions() -> dict[str, str]:
    return {
        "labelclean": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
