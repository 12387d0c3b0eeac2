"""CVAT: annotations.xml in the format "CVAT for images 1.1", labels.json for a new task."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from labelclean.errors import ReportError, printable
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
    is_xml_text,
)
from labelclean.report.files import encode_json
from labelclean.xml_files import parse_xml

TITLE = "CVAT"
XML = "annotations.xml"
# Attributes of a tag with what the report says; text, which CVAT keeps as it is.
TOLD = ("suggested_label", "is_label_issue", "issue_probability", "label_score")
# `source` of a tag: an export of ours is AUTO, CHANGED once a person edits it in CVAT. Some
# versions load all tags as DRAWN, which therefore tells only beside a tag that is not.
AUTO, CHANGED, DRAWN = "auto", "semi-auto", "manual"


def files(export: Export) -> Mapping[str, Iterable[bytes]]:
    """The given label is a tag of the image, all else attributes of that tag.

    One tag, since CVAT has no predictions: a person changes its label or ticks `reviewed`.
    """
    specs = [
        {"name": name, "type": "tag", "attributes": _attributes()} for name in export.class_names
    ]
    pieces = (text.encode() for text in _annotations(export))
    return {XML: pieces, "labels.json": [encode_json(specs) + b"\n"]}


def _annotations(export: Export) -> Iterator[str]:
    yield (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
        "  <meta>\n    <task>\n      <name>labelclean</name>\n"
        f"      <size>{len(export.rows)}</size>\n      <mode>annotation</mode>\n      <labels>\n"
    )
    for name in export.class_names:
        yield f"        <label>\n          <name>{_text(name)}</name>\n"
        yield "          <type>tag</type>\n          <attributes>\n"
        for spec in _attributes():
            default = _text(str(spec["default_value"]))
            yield (
                f"            <attribute><name>{spec['name']}</name><mutable>False</mutable>"
                f"<input_type>{spec['input_type']}</input_type>"
                f"<default_value>{default}</default_value><values>{default}</values></attribute>\n"
            )
        yield "          </attributes>\n        </label>\n"
    yield "      </labels>\n    </task>\n  </meta>\n"
    for k, row in enumerate(export.rows):
        yield from _image(k, row)
    yield "</annotations>\n"


def _attributes() -> list[dict[str, object]]:
    told: list[dict[str, object]] = [
        {"name": name, "input_type": "text", "mutable": False, "values": [""], "default_value": ""}
        for name in TOLD
    ]
    return [
        *told,
        {
            "name": REVIEWED,
            "input_type": "checkbox",
            "mutable": False,
            "values": ["false"],
            "default_value": "false",
        },
    ]


def _image(number: int, row: ExportRow) -> Iterator[str]:
    if row.size is None:
        raise ValueError(f"row {row.row} has no size")
    width, height = row.size
    yield (
        f'  <image id="{number}" name={quoteattr(row.file)} width="{width}" height="{height}">\n'
    )
    if row.given:
        yield f'    <tag label={quoteattr(row.given)} source="{AUTO}">\n'
        told = {**vars(row), "suggested_label": row.suggested}
        for name in TOLD:
            value = told[name]
            text = "" if value is None else str(value)
            text = text.lower() if isinstance(value, bool) else text
            yield f'      <attribute name="{name}">{_text(text)}</attribute>\n'
        yield f'      <attribute name="{REVIEWED}">false</attribute>\n    </tag>\n'
    yield "  </image>\n"


def _text(text: str) -> str:
    return escape(text, {"\r": "&#13;"})  # a bare one reads back as a line feed


def read(path: Path) -> Found:
    """The tags of an export in "CVAT for images 1.1": its ZIP, its folder or annotations.xml.

    Raises ReportError.
    """
    file = parsing.within(path, (XML,))
    data = parsing.read_bytes(file, TITLE)
    if data.startswith(b"PK"):
        data = _unzipped(data, file)
    try:
        root = parse_xml(data)
    except ValueError as error:
        raise parsing.unlike(file, TITLE, f"no XML ({error})") from None
    if root.tag != "annotations":
        raise parsing.unlike(file, TITLE, "<annotations> is needed")
    annotator = _annotator(root)
    labelled = []
    for image in root.iter("image"):
        tags = list(image.iter("tag"))
        by_people = (
            {CHANGED} if all(tag.get("source") == DRAWN for tag in tags) else {CHANGED, DRAWN}
        )
        for tag in tags:
            marks = {each.get("name"): each.text for each in tag.iter("attribute")}
            labelled.append(
                Labelled(
                    image=image.get("name") or "",
                    label=tag.get("label") or "",
                    annotator=annotator,
                    is_reviewed=is_ticked(marks.get(REVIEWED)) or tag.get("source") in by_people,
                )
            )
    return grouped(labelled)


def _unzipped(data: bytes, file: Path) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.read(XML)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError):
        raise ReportError(
            f"{printable(file)}: no ZIP with {XML}; export it as CVAT for images 1.1"
        ) from None


def _annotator(root: ElementTree.Element) -> str | None:
    """Whom the task was given to, else whose it is: CVAT names nobody for a single tag."""
    for place in ("assignee", "owner"):
        for each in root.iter(place):
            name = (each.findtext("username") or each.text or "").strip()
            if name:
                return name
    return None


def next_step(export: Export, out: Path) -> str:
    return (
        f"make a task of the images in {export.images} (a ZIP keeps their sub-folders) with "
        f'labels.json as its raw labels, then upload {XML} as "CVAT 1.1"'
    )


FORMAT = Format(
    title=TITLE,
    files=files,
    read=read,
    next_step=next_step,
    needs_size=True,
    has_text=is_xml_text,
)
