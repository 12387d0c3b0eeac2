"""What the files of each tool hold, read by the plain parsers of the standard library."""

from __future__ import annotations

import ast
import csv
import json
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from export_data import contents

from labelclean.errors import ConfigError
from labelclean.exports import cleanlab, coco, cvat, fiftyone, huggingface, label_studio
from labelclean.exports.export_tables import CORRECTED
from labelclean.exports.labelled_rows import ExportRow, is_xml_text
from labelclean.exports.registry import FORMATS, format_of


def test_label_studio_gets_the_suggestion_as_prediction_and_the_given_label_as_data(export):
    tasks = json.loads(contents(label_studio, export)["tasks.json"])
    assert len(tasks) == len(export.rows)
    for task, row in zip(tasks, export.rows, strict=True):
        data, (prediction,) = task["data"], task["predictions"]
        assert data["labelclean_image"] == row.image
        assert (data["given_label"], data["suggested_label"]) == (row.given, row.suggested)
        assert data["is_label_issue"] is row.is_label_issue
        assert prediction["result"][0]["value"] == {"choices": [row.suggested]}
        assert prediction.get("score") == row.issue_probability
        assert "annotations" not in task  # nobody has decided anything yet
    assert data["question"].startswith("given: ")
    assert tasks[0]["data"]["question"] == "given: cat, suggested: dog (50%)"


def test_label_studio_finds_local_images_below_the_parent_of_their_folder(export):
    tasks = json.loads(contents(label_studio, export)["tasks.json"])
    for task, row in zip(tasks, export.rows, strict=True):
        url = urlsplit(task["data"]["image"])
        assert (url.scheme, url.netloc, url.path) == ("", "", "/data/local-files/")
        # read as the server reads it: relative to its document root
        assert parse_qs(url.query, strict_parsing=True) == {"d": [f"photos of x/{row.file}"]}
    said = label_studio.next_step(export, export.images)
    assert f"DOCUMENT_ROOT={export.images.parent}" in said


def test_an_address_of_images_replaces_local_files(export):
    export = replace(export, url_prefix="https://x.org/i/", images=None)
    tasks = json.loads(contents(label_studio, export)["tasks.json"])
    assert tasks[2]["data"]["image"] == "https://x.org/i/new/%C3%A9%201.png"
    images = json.loads(contents(coco, export)[coco.JSON])["images"]
    assert images[2]["coco_url"] == "https://x.org/i/new/%C3%A9%201.png"
    assert images[2]["file_name"] == "new/é 1.png"


def test_the_interface_of_label_studio_offers_every_class_as_it_is_spelt(export):
    view = ElementTree.fromstring(contents(label_studio, export)["labels.xml"])
    assert [choice.get("value") for choice in view.iter("Choice")] == list(export.class_names)
    (choices,) = view.iter("Choices")
    assert (choices.get("name"), choices.get("toName")) == ("label", "image")
    assert view.find("Image").attrib == {"name": "image", "value": "$image"}


def test_fiftyone_gets_two_labels_of_the_same_keys_and_a_map_to_files(export):
    files = contents(fiftyone, export)
    places, given, suggested = (
        json.loads(files[name]) for name in ("data.json", "labels.json", "predictions.json")
    )
    assert given["classes"] == suggested["classes"] == list(export.class_names)
    assert list(places) == list(given["labels"]) == list(suggested["labels"])
    for key, row in zip(places, export.rows, strict=True):
        assert places[key] == str(export.images / row.file)
        assert (given["labels"][key] or {}).get("label") == (row.given or None)
        prediction = suggested["labels"][key]
        assert (prediction["label"], prediction["confidence"]) == (row.suggested, 0.5)
        assert prediction["attributes"]["is_label_issue"] is row.is_label_issue
        assert prediction["attributes"].get("issue_probability") == row.issue_probability
    ast.parse(files["load.py"])


def test_copies_are_named_relative_to_the_export_where_the_tool_looks_there(export):
    export = replace(export, has_copies=True)
    assert json.loads(contents(fiftyone, export)["data.json"])["labelclean-row-00000005"] == (
        "images/cat/1.png"
    )
    first = json.loads(contents(huggingface, export)["metadata.jsonl"].split(b"\n")[0])
    assert first["file_name"] == "images/cat/1.png"
    assert b'name="cat/1.png"' in contents(cvat, export)[cvat.XML]  # of its folder images


def test_cvat_gets_one_tag_an_image_that_says_the_rest_in_attributes(export):
    files = contents(cvat, export)
    root = ElementTree.fromstring(files[cvat.XML])
    assert root.tag == "annotations" and root.findtext("version") == "1.1"
    assert root.findtext("meta/task/size") == str(len(export.rows))
    labels = [label.findtext("name") for label in root.iter("label")]
    assert labels == [spec["name"] for spec in json.loads(files["labels.json"])]
    assert labels == list(export.class_names)
    images = list(root.iter("image"))
    for k, (image, row) in enumerate(zip(images, export.rows, strict=True)):
        assert (image.get("id"), image.get("name")) == (str(k), row.file)
        assert (int(image.get("width")), int(image.get("height"))) == row.size
        tags = image.findall("tag")
        assert [tag.get("label") for tag in tags] == ([row.given] if row.given else [])
        for tag in tags:
            told = {each.get("name"): each.text for each in tag}
            assert told == {
                "suggested_label": row.suggested,
                "is_label_issue": str(row.is_label_issue).lower(),
                "issue_probability": "0.75",
                "label_score": "0.25",
                "reviewed": "false",
            }


def test_the_attributes_of_a_new_cvat_task_are_those_of_the_tags(export):
    files = contents(cvat, export)
    specs = json.loads(files["labels.json"])[0]["attributes"]
    (first, *_) = ElementTree.fromstring(files[cvat.XML]).iter("tag")
    assert [spec["name"] for spec in specs] == [each.get("name") for each in first]
    assert {spec["input_type"] for spec in specs} == {"text", "checkbox"}


def test_cleanlab_gets_its_columns_and_no_cell_that_a_spreadsheet_runs(export):
    data = contents(cleanlab, export)[cleanlab.CSV].decode()
    header, *rows = csv.reader(data.splitlines(keepends=True))
    assert header[:5] == [
        "image",
        "is_label_issue",
        "label_score",
        "given_label",
        "predicted_label",
    ]
    assert header[-1] == CORRECTED
    for cells, row in zip(rows, export.rows, strict=True):
        assert cells[1] == str(row.is_label_issue)
        assert cells[3] in (row.given, "'" + row.given)
        assert cells[-1] == ""
        assert not cells[0].startswith("=") and not cells[3].startswith("=")


def test_hugging_face_gets_a_line_an_image_with_types_that_hold(export):
    lines = contents(huggingface, export)["metadata.jsonl"].decode().removesuffix("\n").split("\n")
    for line, row in zip(lines, export.rows, strict=True):
        cells = json.loads(line)
        assert (cells["file_name"], cells["label"]) == (row.file, row.given or None)
        assert cells["suggested_label"] == row.suggested
        assert cells["is_label_issue"] is row.is_label_issue
        assert cells["issue_probability"] == row.issue_probability


def test_coco_refers_to_images_and_categories_by_id_and_has_no_box(export):
    files = contents(coco, export)
    truth, results = json.loads(files[coco.JSON]), json.loads(files["predictions.json"])
    names = {each["id"]: each["name"] for each in truth["categories"]}
    assert list(names.values()) == list(export.class_names) and 0 not in names
    assert len({each["id"] for each in truth["annotations"]}) == len(truth["annotations"])
    assert all("bbox" not in each for each in truth["annotations"])
    given = {each["image_id"]: names[each["category_id"]] for each in truth["annotations"]}
    predicted = {each["image_id"]: each for each in results}
    for image, row in zip(truth["images"], export.rows, strict=True):
        assert (image["file_name"], image["width"], image["height"]) == (row.file, *row.size)
        assert given.get(image["id"], "") == row.given
        assert names[predicted[image["id"]]["category_id"]] == row.suggested
        assert predicted[image["id"]]["score"] == 0.5


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_comes_back_label_by_label(name, export, tmp_path):
    for file, data in contents(FORMATS[name], export).items():
        (tmp_path / file).write_bytes(data)
    if name == "label-studio":  # whose tasks hold no label until a person sets one
        assert FORMATS[name].read(tmp_path / "tasks.json").labels == ()
        return
    found = FORMATS[name].read(tmp_path)
    assert found.unclear == 0
    labels = {each.image: each.label for each in found.labels if each.label}
    assert labels == {row.image: row.given for row in export.rows if row.given}
    assert not any(each.is_reviewed for each in found.labels)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_export_has_the_same_bytes(name, export):
    assert contents(FORMATS[name], export) == contents(FORMATS[name], export)


def test_text_that_no_xml_can_hold_is_told_apart():
    assert is_xml_text("tab\t, line\n, \u202e, 😀, <&>")
    for bad in ("\x00", "\x1b", "\ufffe", "\udce9"):
        assert not is_xml_text(f"a{bad}b")


def test_an_unknown_tool_is_named_with_those_there_are():
    with pytest.raises(ConfigError, match="--to is excel, must be one of label-studio, fiftyone"):
        format_of("--to", "excel")


class ManyRows(Sequence):
    """Rows that are made when they are asked for."""

    def __len__(self):
        return 20_000

    def __getitem__(self, place):
        if isinstance(place, slice):
            return [self[k] for k in range(*place.indices(len(self)))]
        if place >= len(self):
            raise IndexError
        return ExportRow(
            row=place,
            image=f"{place:08d}.png",
            file=f"{place:08d}.png",
            size=(30, 20),
            given="cat",
            suggested="dog",
            is_label_issue=True,
            label_score=0.25,
            issue_probability=0.75,
            suggested_probability=0.5,
        )


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"cleanlab"}))  # which takes 65,536 at once
def test_no_format_holds_all_rows_at_once(name, export):
    many = replace(export, rows=ManyRows())
    tracemalloc.start()
    try:
        size = sum(len(part) for parts in FORMATS[name].files(many).values() for part in parts)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 4_000_000
    assert most < size / 8
