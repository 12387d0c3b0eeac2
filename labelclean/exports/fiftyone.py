"""FiftyOne: two FiftyOneImageClassificationDatasets, given and suggested labels, and a loader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from labelclean.exports import parsing
from labelclean.exports.labelled_rows import (
    COPIES,
    REVIEWED,
    Export,
    ExportRow,
    Format,
    Found,
    Labelled,
    grouped,
    is_ticked,
    is_unicode,
)
from labelclean.exports.matching import numbered
from labelclean.exports.streamed import json_object

TITLE = "FiftyOne"
IMAGE = "labelclean_image"  # attribute of a label that keeps the report's name of the image

LOADER = '''\
"""python load.py [NAME]: opens this export in FiftyOne; saves the labels when the App is closed.

Images with the tag `reviewed` count as decided even where their label stays.
"""

import sys
from pathlib import Path

import fiftyone as fo

folder = Path(__file__).resolve().parent
kind = fo.types.FiftyOneImageClassificationDataset
images = str(folder / "data.json")
dataset = fo.Dataset.from_dir(
    dataset_type=kind,
    data_path=images,
    labels_path=str(folder / "labels.json"),
    label_field="given",
    name=sys.argv[1] if len(sys.argv) > 1 else None,
)
dataset.merge_dir(
    dataset_type=kind,
    data_path=images,
    labels_path=str(folder / "predictions.json"),
    label_field="suggested",
)
try:
    fo.launch_app(dataset.sort_by("suggested.issue_probability", reverse=True)).wait()
finally:
    for sample in dataset.match_tags("reviewed").iter_samples(autosave=True):
        if sample["given"] is not None:
            sample["given"]["reviewed"] = True
    dataset.export(
        dataset_type=kind,
        labels_path=str(folder / "decided" / "labels.json"),
        label_field="given",
        export_media=False,
        abs_paths=True,  # by their names alone, images of two folders would replace each other
        include_attributes=True,
    )
'''


def files(export: Export) -> Mapping[str, Iterable[bytes]]:
    """data.json says where each image lies; labels and predictions go by the same keys.

    The confidence of a prediction is that of the suggested label; the probability of a wrong
    given label is an attribute of both.
    """
    places = ((numbered(row.row), _place(export, row)) for row in export.rows)
    given = ((numbered(row.row), _label(row, row.given, None)) for row in export.rows)
    suggested = (
        (numbered(row.row), _label(row, row.suggested, row.suggested_probability))
        for row in export.rows
    )
    classes = list(export.class_names)
    return {
        "data.json": json_object(places),
        "labels.json": json_object({"classes": classes, "labels": json_object(given)}.items()),
        "predictions.json": json_object(
            {"classes": classes, "labels": json_object(suggested)}.items()
        ),
        "load.py": [LOADER.encode()],
    }


def _place(export: Export, row: ExportRow) -> str:
    if export.has_copies:
        return f"{COPIES}/{row.file}"  # read as relative to data.json
    if export.images is None:
        raise ValueError(f"row {row.row} is no file")
    return str(export.images / row.file)


def _label(row: ExportRow, label: str, confidence: float | None) -> dict[str, Any] | None:
    if not label:
        return None
    attributes: dict[str, Any] = {
        IMAGE: row.image,
        "is_label_issue": row.is_label_issue,
        REVIEWED: False,
    }
    for name in ("issue_probability", "label_score"):
        if (value := getattr(row, name)) is not None:
            attributes[name] = value
    out: dict[str, Any] = {"label": label, "attributes": attributes}
    return out if confidence is None else out | {"confidence": confidence}


def read(path: Path) -> Found:
    """The labels of a FiftyOneImageClassificationDataset: its folder or its labels.json.

    Raises ReportError.
    """
    file = parsing.within(path, ("labels.json",))
    dataset = parsing.read_json(file, TITLE)
    labels = dataset.get("labels") if isinstance(dataset, dict) else None
    if not isinstance(labels, dict):
        raise parsing.unlike(file, TITLE, "an object with classes and labels is needed")
    classes = dataset.get("classes")
    labelled = []
    for key, target in labels.items():
        for each in target if isinstance(target, list) else [target]:
            entry = each if isinstance(each, dict) else {"label": each}
            attributes = entry.get("attributes")
            attributes = attributes if isinstance(attributes, dict) else {}
            label = entry.get("label")
            if isinstance(label, int) and isinstance(classes, list) and 0 <= label < len(classes):
                label = classes[label]  # the format allows places in classes instead of names
            labelled.append(
                Labelled(
                    image=parsing.text_of(attributes.get(IMAGE)) or key,
                    label=parsing.text_of(label),
                    is_reviewed=is_ticked(attributes.get(REVIEWED)),
                )
            )
    return grouped(labelled)


def next_step(export: Export, out: Path) -> str:
    return (
        f"python {out / 'load.py'} opens it and, when the App is closed, writes the labels to "
        f"{out / 'decided'}, which import-decisions reads"
    )


FORMAT = Format(
    title=TITLE,
    files=files,
    passes=3,
    read=read,
    next_step=next_step,
    has_text=is_unicode,
)
