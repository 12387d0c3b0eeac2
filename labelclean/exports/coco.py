"""COCO-style classification: annotations without a box, predictions as a results file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from labelclean.exports import parsing
from labelclean.exports.labelled_rows import (
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
from labelclean.exports.streamed import json_list, json_object
from labelclean.tables.annotations import coco_parts

TITLE = "COCO"
JSON = "annotations.json"
IMAGE = "labelclean_image"


def files(export: Export) -> Mapping[str, Iterator[bytes]]:
    """Ids count from 1; an image's id is its row in the report + 1.

    The score of a prediction is that of the suggested label; the probability of a wrong given
    label stands beside it.
    """
    ids = {name: k for k, name in enumerate(export.class_names, start=1)}
    given = (
        {"id": row.row + 1, **_facts(row), "category_id": ids[row.given], REVIEWED: False}
        for row in export.rows
        if row.given
    )
    predicted = (
        {
            "id": row.row + 1,
            **_facts(row),
            "category_id": ids[row.suggested],
            "score": row.suggested_probability,
        }
        for row in export.rows
        if row.suggested
    )
    dataset = {
        "info": {"description": "Labels judged by labelclean"},
        "licenses": [],
        "images": json_list(_image(row, export.url(row)) for row in export.rows),
        "annotations": json_list(given),
        "categories": [{"id": k, "name": x, "supercategory": ""} for x, k in ids.items()],
    }
    return {JSON: json_object(dataset.items()), "predictions.json": json_list(predicted)}


def _image(row: ExportRow, url: str | None) -> dict[str, Any]:
    if row.size is None:
        raise ValueError(f"row {row.row} has no size")
    width, height = row.size
    image = {"id": row.row + 1, "file_name": row.file, "width": width, "height": height}
    return image | {IMAGE: row.image} | ({} if url is None else {"coco_url": url})


def _facts(row: ExportRow) -> dict[str, Any]:
    return {
        "image_id": row.row + 1,
        "is_label_issue": row.is_label_issue,
        "issue_probability": row.issue_probability,
        "label_score": row.label_score,
    }


def read(path: Path) -> Found:
    """The categories of the annotations. Raises ReportError."""
    file = parsing.within(path, (JSON,))
    dataset = parsing.read_json(file, TITLE)
    parts = coco_parts(dataset)
    if parts is None:
        raise parsing.unlike(file, TITLE, "images, annotations and categories are needed")
    images, annotations, categories = parts
    names = {parsing.text_of(x.get("id")): parsing.text_of(x.get("name")) for x in categories}
    files = {
        parsing.text_of(x.get("id")): parsing.text_of(x.get(IMAGE) or x.get("file_name"))
        for x in images
    }
    labelled = []
    for each in annotations:
        image, category = (
            parsing.text_of(each.get("image_id")),
            parsing.text_of(each.get("category_id")),
        )
        if image not in files or category not in names:
            raise parsing.unlike(
                file, TITLE, f"annotation {each.get('id')} is of an unknown image or category"
            )
        who = parsing.text_of(each.get("annotator")) or None
        labelled.append(
            Labelled(
                image=files[image],
                label=names[category],
                annotator=who,
                is_reviewed=is_ticked(each.get(REVIEWED)),
            )
        )
    return grouped(labelled)


def next_step(export: Export, out: Path) -> str:
    where = "the report's source" if export.images is None else str(export.images)
    return f"file_name is relative to {where}"


FORMAT = Format(
    title=TITLE,
    files=files,
    passes=3,
    read=read,
    next_step=next_step,
    needs_size=True,
    takes_urls=True,
    has_text=is_unicode,
)
