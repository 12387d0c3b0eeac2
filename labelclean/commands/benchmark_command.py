"""labelclean benchmark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from labelclean.commands.options import JsonOption, OptionsOf, QuietOption, fields_in, with_options
from labelclean.config.filter_config import RuntimeConfig
from labelclean.config.source_options import SourceOptions

NAMED = 3  # failed runs that the last line names


@with_options(
    OptionsOf(config=RuntimeConfig, only=("device",)),
    OptionsOf(config=SourceOptions, but=("one_hot", "split", "merge_labels", "multi_label")),
)
def benchmark_command(
    data: Annotated[
        str, typer.Option(help="cifar10, cifar100, or a folder or table as filter takes it.")
    ] = "cifar10",
    labels: Annotated[
        Path | None, typer.Option(help="Table of true labels, where data is a folder of images.")
    ] = None,
    methods: Annotated[
        str | None, typer.Option(help="Of filter, separated by commas; default: all.")
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            help="Separated by commas: symm:0.2, asymm:0.4, instance:0.3, human:FILE (labels by "
            "people), mapping:FILE, as inject-noise makes them. Default: those of the paper."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each: seeds 0, 1, ...")] = 3,
    count: Annotated[int | None, typer.Option(help="Train on the first so many images.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="quick, standard, paper, clothing1m, as for filter.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="In place of the preset's.")] = None,
    arch: Annotated[str | None, typer.Option(help="In place of the preset's.")] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for results; runs that are there are not done again.")
    ] = Path("benchmark"),
    jobs: Annotated[int, typer.Option(help="Runs side by side.")] = 1,
    threads: Annotated[
        int | None, typer.Option(help="Of each run; default: the cores divided among the jobs.")
    ] = None,
    filter_only: Annotated[
        bool,
        typer.Option(
            help="Train no classifier on what the verdicts leave: a third of the time or less."
        ),
    ] = False,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for figures 2 to 6 of the paper, from these runs.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    **options: Any,
) -> None:
    """Compare methods under known noise, beside the paper's tables; goes on where it stopped."""
    from labelclean.benchmark import method_tables, rendering
    from labelclean.benchmark.grid import GridConfig, run_grid
    from labelclean.progress import TerminalReporter

    grid = GridConfig(
        data=data,
        methods=_words(methods or ""),
        noises=_words(noise or ""),
        seeds=seeds,
        count=count,
        preset=preset,
        epochs=epochs,
        arch=arch,
        jobs=jobs,
        threads=threads,
        device=options["device"],
        filter_only=filter_only,
    )
    reading = SourceOptions(labels=labels, **fields_in(SourceOptions, options))
    outcome = run_grid(grid, out, options=reading, reporter=TerminalReporter(is_quiet=quiet))
    if figures is not None:
        from labelclean.benchmark.paper_figures import draw_all

        draw_all(outcome.folder, figures)
    comparisons = method_tables.compare(outcome.rows)
    if as_json:
        asked = {
            "out": str(outcome.folder),
            "runs": len(outcome.asked),
            "done_now": outcome.done_now,
            "failed": [row.key.words() for row in outcome.failed],
            "rows": [row.to_json() for row in outcome.rows],
            "tables": method_tables.to_json(comparisons),
        }
        typer.echo(json.dumps(asked))
    else:
        typer.echo(rendering.as_text(comparisons))
    if outcome.failed:
        named = "; ".join(rendering.failure(row) for row in outcome.failed[:NAMED])
        more = "; ..." if len(outcome.failed) > NAMED else ""
        typer.echo(
            f"labelclean: {len(outcome.failed)} of {len(outcome.asked)} runs failed: {named}{more}",
            err=True,
        )
        raise typer.Exit(1)


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
