"""The labels that people set, as the tools export them, and which image each is of."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from labelclean.errors import ReportError
from labelclean.exports import cleanlab, coco, cvat, fiftyone, huggingface, label_studio
from labelclean.exports.labelled_rows import Found
from labelclean.exports.matching import Names
from labelclean.exports.registry import FORMATS


def told(found: Found) -> list[tuple[str, str, str | None, bool]]:
    return [(each.image, each.label, each.annotator, each.is_reviewed) for each in found.labels]


def annotation(label: str, **more) -> dict:
    result = {"type": "choices", "from_name": "label", "value": {"choices": [label]}}
    return {"result": [result], "was_cancelled": False, **more}


def test_label_studio_annotations_count_in_their_order_but_not_predictions_or_skips(tmp_path):
    late = annotation("cat", completed_by={"id": 2, "email": "eve@x.org"}, updated_at="2026-02")
    early = annotation("dog", completed_by=7, updated_at="2026-01")
    skipped = annotation("bird", completed_by=7) | {"was_cancelled": True}
    tasks = [
        {"data": {"image": "/u", "labelclean_image": "a.png"}, "annotations": [late, early]},
        {"data": {"image": "b.png"}, "annotations": [skipped], "predictions": [annotation("dog")]},
        {"data": {"image": "c.png"}, "annotations": [annotation("cat") | {"result": []}]},
    ]
    file = tmp_path / "export.json"
    file.write_text(json.dumps(tasks))
    assert told(label_studio.read(file)) == [
        ("a.png", "dog", "label-studio user 7", True),
        ("a.png", "cat", "eve@x.org", True),
    ]


def test_label_studio_json_min_is_read_too_and_two_choices_are_unclear(tmp_path):
    tasks = [
        {"id": 1, "labelclean_image": "a.png", "image": "/u", "label": "dog", "annotator": 1},
        {"id": 2, "image": "b.png", "label": {"choices": ["cat", "dog"]}, "annotator": 1},
    ]
    file = tmp_path / "min.json"
    file.write_text(json.dumps(tasks))
    found = label_studio.read(file)
    assert told(found) == [("a.png", "dog", "label-studio user 1", True)]
    assert found.unclear == 1


@pytest.mark.parametrize("control", ["choice", "kind", "Tierart"])
def test_label_studio_json_min_may_call_its_control_by_any_name(control, tmp_path):
    tasks = [
        {"id": 1, "image": "a.png", control: "dog", "annotator": 1, "annotation_id": 5,
         "created_at": "2026", "updated_at": "2026", "lead_time": 2.5},
        {"id": 2, "image": "b.png", control: {"choices": ["cat"]}, "annotator": 1},
    ]  # fmt: skip
    (tmp_path / "min.json").write_text(json.dumps(tasks))
    labels = [(image, label) for image, label, *_ in told(label_studio.read(tmp_path / "min.json"))]
    assert labels == [("a.png", "dog"), ("b.png", "cat")]


@pytest.mark.parametrize(
    ("more", "says"),
    [({}, "no task has a choice"), ({"a": "x", "b": "y"}, "a and b may all be the choice")],
)
def test_label_studio_json_min_without_a_clear_control_loses_no_label_silently(
    more, says, tmp_path
):
    (tmp_path / "min.json").write_text(json.dumps([{"id": 1, "image": "a.png", **more}]))
    with pytest.raises(ReportError, match=says):
        label_studio.read(tmp_path / "min.json")


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><name>x</name>
<owner><username>ann</username><email>a@x.org</email></owner>
<assignee><username>bob</username></assignee></task></meta>
<image id="0" name="a.png" width="1" height="1">
  <tag label="cat" source="auto"></tag><tag label="dog" source="manual"></tag></image>
<image id="1" name="b.png" width="1" height="1"><tag label="cat" source="file">
  <attribute name="reviewed">true</attribute></tag></image>
<image id="2" name="c.png" width="1" height="1"><tag label="cat" source="auto">
  <attribute name="reviewed">false</attribute></tag></image>
<image id="3" name="d.png" width="1" height="1">
  <tag label="cat" source="manual"></tag><tag label="dog" source="manual"></tag></image>
<image id="4" name="e.png" width="1" height="1"></image>
<image id="5" name="f.png" width="1" height="1"><tag label="cat" source="semi-auto"></tag></image>
<image id="6" name="g.png" width="1" height="1"><tag label="cat" source="manual"></tag></image>
</annotations>"""


@pytest.mark.parametrize("kind", ["xml", "zip", "folder"])
def test_cvat_tags_that_a_person_set_win_over_the_exported_one(kind, tmp_path):
    file = tmp_path / cvat.XML
    file.write_text(CVAT)
    if kind == "zip":
        file = tmp_path / "task.zip"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(cvat.XML, CVAT)
    found = cvat.read(tmp_path if kind == "folder" else file)
    assert told(found) == [
        ("a.png", "dog", "bob", True),
        ("b.png", "cat", "bob", True),
        ("c.png", "cat", "bob", False),
        ("f.png", "cat", "bob", True),
        ("g.png", "cat", "bob", False),  # every loaded tag is that in some versions of CVAT
    ]
    assert found.unclear == 1


def test_cvat_entities_are_refused_before_they_grow(tmp_path):
    file = tmp_path / cvat.XML
    file.write_text('<!DOCTYPE x [<!ENTITY a "aaa">]><annotations>&a;</annotations>')
    with pytest.raises(ReportError, match="a document type is not allowed"):
        cvat.read(file)


def test_fiftyone_places_in_classes_lists_and_plain_labels_are_read(tmp_path):
    labels = {
        "x/a": 1,
        "x/b": "cat",
        "x/c": [{"label": "cat"}, {"label": "dog"}],
        "k": {"label": "dog", "attributes": {"labelclean_image": "d.png", "reviewed": True}},
        "e": None,
    }
    (tmp_path / "labels.json").write_text(json.dumps({"classes": ["cat", "dog"], "labels": labels}))
    found = fiftyone.read(tmp_path)
    assert told(found) == [
        ("x/a", "dog", None, False),
        ("x/b", "cat", None, False),
        ("d.png", "dog", None, True),
        ("e", "", None, False),
    ]
    assert found.unclear == 1


def test_a_correction_that_was_filled_in_is_a_decision_and_an_empty_one_is_none(tmp_path):
    (tmp_path / cleanlab.CSV).write_text(
        "image,given_label,corrected_label,reviewer\n"
        "a.png,cat,dog,eve\nb.png,cat,,\nc.png,cat,cat,eve\n'=x.png,cat,'=x,\n"
    )
    assert told(cleanlab.read(tmp_path)) == [
        ("a.png", "dog", "eve", True),
        ("b.png", "cat", None, False),
        ("c.png", "cat", "eve", True),
        ("=x.png", "=x", None, True),
    ]


def test_hugging_face_metadata_in_any_of_its_formats_is_read(tmp_path):
    (tmp_path / "metadata.csv").write_text("file_name,label,reviewed\na.png,dog,true\nb.png,7,\n")
    assert told(huggingface.read(tmp_path)) == [
        ("a.png", "dog", None, True),
        ("b.png", "7", None, False),
    ]


def test_coco_ids_are_those_of_the_file_and_need_not_be_ours(tmp_path):
    data = {
        "images": [{"id": 90, "file_name": "a.png"}, {"id": 91, "file_name": "b.png"}],
        "categories": [{"id": 0, "name": "cat"}, {"id": 5, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 90, "category_id": 5, "reviewed": True, "annotator": "eve"},
            {"id": 2, "image_id": 91, "category_id": 0},
        ],
    }
    file = tmp_path / "x.json"
    file.write_text(json.dumps(data))
    assert told(coco.read(file)) == [("a.png", "dog", "eve", True), ("b.png", "cat", None, False)]
    data["annotations"][1]["category_id"] = 4
    file.write_text(json.dumps(data))
    with pytest.raises(ReportError, match="annotation 2 is of an unknown image or category"):
        coco.read(file)


EMPTY_ZIP = io.BytesIO()
zipfile.ZipFile(EMPTY_ZIP, "w").close()
WRONG = [b"", b"\xff\xfe\x00", b"null", b"[1, 2]", b"{}", b'{"labels": 3}', b"[" * 100_000]
WRONG += [b"<a/>", b"<annotations>", EMPTY_ZIP.getvalue(), b"a,b\n1,2\n", b"PK\x03\x04garbage"]
WRONG += [b'{"images": 1, "annotations": [2], "categories": []}', b'{"data": {"image": {}}}']
WRONG += [b'[{"data": 3}]', b'[{"data": {"image": "a"}, "annotations": [3, {"result": 4}]}]']


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("content", WRONG, ids=range(len(WRONG)))
def test_a_file_of_another_kind_is_one_line_or_holds_no_label(name, content, tmp_path):
    endings = {"cvat": "xml", "cleanlab": "csv", "huggingface": "jsonl"}
    file = tmp_path / f"file.{endings.get(name, 'json')}"
    file.write_bytes(content)
    try:
        found = FORMATS[name].read(file)
    except ReportError as error:
        assert str(error).startswith(str(file)) and "\n" not in str(error)
    else:
        assert found == Found(labels=())


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_is_not_there_is_named(name, tmp_path):
    with pytest.raises(ReportError, match=r"nothing\.json"):
        FORMATS[name].read(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("train/a.png", "train/a.png"),
        ("/data/x/data/train/a.png", "train/a.png"),
        ("C:\\data\\train\\a.png", "train/a.png"),
        ("train/a", "train/a.png"),
        ("/data/local-files/?d=photos/train/a.png", "train/a.png"),
        ("https://x.org/i/odd%20%C3%A9.png", "odd é.png"),
        ("é.png", None),  # part of a name is no name
        ("a.png", None),  # of train or of test?
        ("b.png", "test/b.png"),
        ("labelclean-row-00000001", "test/a.png"),
        ("images/labelclean-row-00000001.png", "test/a.png"),
        ("labelclean-row-00000009", None),
        ("er/c.png", "deep/er/c.png"),
        ("other/c.png", None),
        ("http://[broken", None),
        ("", None),
    ],
)
def test_an_image_is_found_by_the_end_of_its_path_unless_several_end_so(name, image):
    names = Names(["train/a.png", "test/a.png", "test/b.png", "odd é.png", "deep/er/c.png"])
    assert names.find(name) == image


def test_paths_are_taken_as_they_are(tmp_path: Path):
    folder = tmp_path / "with labels.json"
    folder.mkdir()
    with pytest.raises(ReportError, match=r"labels\.json: no such file"):
        fiftyone.read(folder)
