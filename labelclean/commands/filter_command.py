"""labelclean filter."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import typer

from labelclean.commands.options import (
    ForceOption,
    GpusOption,
    JsonOption,
    LabelsArg,
    OptionsOf,
    OutOption,
    PresetOption,
    QuietOption,
    SeedOption,
    SourceArg,
    check_used,
    fields_in,
    share,
    with_options,
)
from labelclean.config.filter_config import FilterConfig, RuntimeConfig, VerdictConfig, ViewConfig
from labelclean.config.names import FINETUNED
from labelclean.config.source_options import SourceOptions
from labelclean.config.train_config import TrainConfig
from labelclean.config.train_config import preset as preset_of
from labelclean.errors import ConfigError

KEPT = ("seed", "flip", "method", "epochs", "class_weights")  # that a fine-tuning takes
SHARED = ("seed", "flip")  # options of a training that also matter where a model judges


@with_options(
    OptionsOf(config=SourceOptions),
    OptionsOf(config=ViewConfig),
    OptionsOf(config=TrainConfig, is_preset=True),
    OptionsOf(config=FilterConfig),
    OptionsOf(config=VerdictConfig),
    OptionsOf(config=RuntimeConfig),
)
def filter_command(
    images: SourceArg,
    labels: LabelsArg = None,
    out: OutOption = "report.csv",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be read and trained, and stop."),
    ] = False,
    fail_over: Annotated[
        str | None, typer.Option(help="Exit with 1 if the noise rate is above this: 5%.")
    ] = None,
    preset: PresetOption = None,
    gpus: GpusOption = None,
    seed: SeedOption = 0,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    **options: Any,
) -> None:
    """Train on noisy labels and report which are wrong, and what they should be."""
    from labelclean.progress import TerminalReporter
    from labelclean.workflows import filtering, launching  # torch loads here, not for --help

    options |= {"labels": labels, "seed": seed}
    train = fields_in(TrainConfig, options)
    view = ViewConfig(**fields_in(ViewConfig, options))
    if options["from_model"] is not None:
        others = {"preset": preset, "compile": options["compile"] or None, "gpus": gpus}
        others |= {"views": view.views, "features": view.features, "mirror": view.mirror or None}
        others |= {"view_scores": view.view_scores or None}
        _check_trains_nothing({**others, **train})
    limit = None if fail_over is None else share("--fail-over", fail_over)
    settings = FilterConfig(
        train=preset_of(preset or filtering.default_preset(options["device"]), **train),
        verdict=VerdictConfig(**fields_in(VerdictConfig, options)),
        runtime=RuntimeConfig(**fields_in(RuntimeConfig, options)),
        view=view,
        **fields_in(FilterConfig, options),
    )
    check_used(options, settings.train.schedule)
    if FINETUNED in (view.views or ()):
        _check_finetunes({**train, "preset": preset})
    reading = SourceOptions(**fields_in(SourceOptions, options))
    if dry_run:
        raise typer.Exit(_foretell(images, reading, settings, as_json))
    reporter = TerminalReporter(is_quiet=quiet)
    if gpus is not None:
        launching.check_gpus(gpus, options["device"])
        filtering.check_input(
            images, reading, settings, out=out, force=force, reporter=reporter.without_notes()
        )
        raise typer.Exit(launching.launch(gpus, sys.argv[1:]))
    report = filtering.filter_dataset(
        images, out=out, force=force, config=settings, options=reading, reporter=reporter
    )
    _print_report(report, out, as_json)
    if limit is not None and report.meta.noise_rate > limit:
        typer.echo(
            f"labelclean: noise rate {report.meta.noise_rate:.1%} is above {limit:.1%}", err=True
        )
        raise typer.Exit(1)


def _foretell(images: str, options: Any, settings: Any, as_json: bool) -> int:
    """Prints what inspect prints, and what would be trained. The exit code is that of inspect."""
    from labelclean import sources
    from labelclean.progress import TerminalReporter
    from labelclean.sources.inspection import inspect_table, render
    from labelclean.workflows import filtering
    from labelclean.workflows.forecasting import forecast
    from labelclean.workflows.seeing import with_features_of

    settings = with_features_of(images, settings)
    needs_images = settings.view.features is None
    reading = replace(options, needs_images=needs_images, is_to_train=needs_images)
    with TerminalReporter().stage("reading") as advance:
        table = sources.read(images, reading, advance)
    if not needs_images:
        table = filtering.featured(table, settings).table
    inspection = inspect_table(images, table, opens=needs_images)
    planned = None if settings.from_model else forecast(table, settings)
    if as_json:
        training = None if planned is None else planned.to_json()
        typer.echo(json.dumps({**inspection.to_json(), "training": training}))
    else:
        last = "would train nothing: --from-model judges" if planned is None else planned.describe()
        typer.echo(f"{render(inspection)}\n\n{last}")
    return 1 if inspection.odd else 0


def _check_trains_nothing(given: Mapping[str, Any]) -> None:
    """Refuses options of a training that --from-model would leave unused."""
    unused = [name for name, value in given.items() if value is not None and name not in SHARED]
    if unused:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        raise ConfigError(f"--from-model trains nothing: leave {flags} out")


def _check_finetunes(given: Mapping[str, Any]) -> None:
    """Refuses options of a network from scratch that a fine-tuning would leave unused."""
    unused = [name for name, value in given.items() if value is not None and name not in KEPT]
    if unused:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        raise ConfigError(f"--views {FINETUNED} has settings of its own: leave {flags} out")


def _width() -> int:
    """Columns of the terminal; 100 where there is none, or it does not say."""
    return max(40, shutil.get_terminal_size(fallback=(100, 24)).columns)


def _print_report(report: Any, out: str, as_json: bool) -> None:
    """To stdout, unless the report itself is there."""
    from labelclean.report import summary

    if as_json:
        text = json.dumps(summary.summary_json(report))
    else:
        text = summary.summary_text(report, out, width=_width())
    print(text.rstrip("\n"), file=sys.stderr if out == "-" else sys.stdout)
