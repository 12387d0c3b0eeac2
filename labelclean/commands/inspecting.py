"""labelclean inspect."""

from __future__ import annotations

import json

import typer

from labelclean.commands.options import (
    ClassLevelOption,
    DownloadOption,
    EncodingOption,
    IgnoreOption,
    ImageColOption,
    JsonOption,
    LabelColOption,
    LabelsArg,
    MergeLabelsOption,
    MultiLabelOption,
    OneHotOption,
    RootOption,
    SourceArg,
    SplitColOption,
    SplitOption,
    fields_in,
)


def inspect_command(
    images: SourceArg,
    labels: LabelsArg = None,
    image_col: ImageColOption = None,
    label_col: LabelColOption = None,
    split_col: SplitColOption = None,
    split: SplitOption = None,
    one_hot: OneHotOption = None,
    class_level: ClassLevelOption = None,
    ignore: IgnoreOption = None,
    encoding: EncodingOption = None,
    merge_labels: MergeLabelsOption = False,
    multi_label: MultiLabelOption = "refuse",
    root: RootOption = None,
    download: DownloadOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a data set was taken for, and what in it is odd (exit code 1). Trains nothing."""
    from labelclean import sources
    from labelclean.sources.inspection import inspect_table, render

    options = sources.SourceOptions(**fields_in(sources.SourceOptions, locals()))
    found = inspect_table(images, sources.read(images, options))
    typer.echo(json.dumps(found.to_json()) if as_json else render(found))
    if found.odd:
        raise typer.Exit(1)
