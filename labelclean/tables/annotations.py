"""JSON of annotation tools as a table of images and labels: COCO, Label Studio."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from labelclean.errors import SourceError

_UPLOAD = re.compile(r"[0-9a-f]{8}-")  # Label Studio writes it before the name of an upload

Rows = tuple[list[dict[str, object]], str]  # objects of image and label; what was read


def annotated_rows(parsed: object, path: Path) -> Rows | None:
    """The rows of an annotation file; None if it is none.

    An image with several labels has a list of them, one without any has none.

    Raises SourceError for one of COCO that holds no categories or does not fit together.
    """
    if isinstance(parsed, dict) and isinstance(parsed.get("images"), list):
        return _of_coco(parsed, path)
    tasks = parsed if isinstance(parsed, list) else []
    if tasks and all(isinstance(t, dict) and isinstance(t.get("data"), dict) for t in tasks):
        return _of_label_studio(tasks)
    return None


def coco_parts(parsed: object) -> tuple[list[dict[str, Any]], ...] | None:
    """Images, annotations and categories; None where one of them is no list of objects."""
    names = ("images", "annotations", "categories")
    parts = [parsed.get(name) for name in names] if isinstance(parsed, dict) else []
    is_coco = parts and all(
        isinstance(part, list) and all(isinstance(x, dict) for x in part) for part in parts
    )
    return tuple(part or [] for part in parts) if is_coco else None


def _of_coco(parsed: dict[str, Any], path: Path) -> Rows:
    parts = coco_parts(parsed)
    if parts is None:
        raise SourceError(
            f"{path}: looks like COCO, but images, annotations and categories are not all there: "
            "give the file of the labels, not that of captions or results"
        )
    images, annotations, categories = parts
    names = {str(x.get("id")): str(x.get("name")) for x in categories}
    labels: dict[str, list[str]] = {str(x.get("id")): [] for x in images}
    for number, each in enumerate(annotations):
        image, category = str(each.get("image_id")), str(each.get("category_id"))
        if image not in labels or category not in names:
            raise SourceError(
                f"{path}: annotation {number} (from 0) is of image {image} and category "
                f"{category}, which are not both in the file: export it anew"
            )
        labels[image].append(names[category])
    rows: list[dict[str, object]] = [
        {"file_name": x.get("file_name"), "category": _distinct(labels[str(x.get("id"))])}
        for x in images
    ]
    return rows, f"COCO: {len(annotations):,} annotations of {len(names):,} categories"


def _of_label_studio(tasks: list[dict[str, Any]]) -> Rows:
    rows: list[dict[str, object]] = []
    for task in tasks:
        data = task["data"]
        names = [key for key in ("labelclean_image", "image", "img") if key in data]
        names += [k for k, v in data.items() if isinstance(v, str) and _is_address(v)]
        made = submitted(task)
        chosen = [str(text) for text in choices_of(made[-1])] if made else []
        image = local_name(str(data[names[0]])) if names else None
        rows.append({"image": image, "label": _distinct(chosen)})
    return rows, "Label Studio: the last annotation of each task"


def submitted(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The annotations of a task of Label Studio, the oldest first, without skipped ones."""
    made = [each for each in _objects(task.get("annotations")) if not each.get("was_cancelled")]
    return sorted(made, key=lambda a: str(a.get("updated_at") or a.get("created_at") or ""))


def choices_of(annotation: Mapping[str, Any]) -> list[Any]:
    """All that was chosen in an annotation of Label Studio."""
    chosen: list[Any] = []
    for region in _objects(annotation.get("result")):
        value = region.get("value")
        if region.get("type") == "choices" and isinstance(value, dict):
            choices = value.get("choices") or []
            chosen += choices if isinstance(choices, list) else [choices]
    return chosen


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _is_address(text: str) -> bool:
    return text.startswith(("/data/", "http://", "https://", "s3://", "gs://"))


def local_name(address: str) -> str:
    """The file that Label Studio's address of an image stands for."""
    parts = urlsplit(address)
    if parts.path.startswith("/data/local-files"):
        return parse_qs(parts.query).get("d", [address])[0]
    if parts.path.startswith("/data/upload/"):
        return _UPLOAD.sub("", unquote(parts.path).rpartition("/")[2], count=1)
    return unquote(parts.path).rpartition("/")[2] if parts.scheme and parts.netloc else address


def _distinct(labels: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(labels))
