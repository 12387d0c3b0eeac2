"""COCO, Label Studio and Pascal VOC as sources of labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from source_data import coco, given, put, refusal

from labelclean.sources import SourceOptions, read

NAMES = ("a.png", "b.png", "c.png", "d.png")
LABELS = ("cat", "dog", "cat", "dog")


def instances(folder: Path, *labels: str, names=NAMES) -> Path:
    """instances.json, in which the labels of an image stand between spaces."""
    path = folder / "instances.json"
    path.write_text(json.dumps(coco(dict(zip(names, map(str.split, labels), strict=True)))))
    return path


def test_coco_gives_each_image_its_category(tmp_path):
    put(tmp_path / "x", *NAMES)
    labels = instances(tmp_path, "cat", "dog", "cat cat", "dog")
    table = read(tmp_path / "x", SourceOptions(labels=labels))
    assert given(table) == dict(zip(NAMES, LABELS, strict=True))
    assert any("read as COCO: 5 annotations of 2 categories" in note for note in table.notes)


def test_coco_finds_files_by_their_names_and_leaves_images_without_annotation(tmp_path):
    put(tmp_path / "x", *(f"sub/{name}" for name in NAMES), "sub/e.png")
    labels = instances(tmp_path, *LABELS, "", names=(*NAMES, "e.png"))
    found = given(read(tmp_path / "x", SourceOptions(labels=labels)))
    assert found["sub/a.png"] == "cat" and found["sub/e.png"] is None


def test_coco_with_several_categories_in_an_image_is_refused_with_the_way_out(tmp_path):
    put(tmp_path / "x", *NAMES)
    labels = instances(tmp_path, "cat dog", "dog", "cat", "dog")
    assert "--multi-label skip" in refusal(tmp_path / "x", labels=labels)
    found = given(read(tmp_path / "x", SourceOptions(labels=labels, multi_label="skip")))
    assert found["a.png"] is None and found["b.png"] == "dog"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.pop("categories"), "looks like COCO, but images, annotations and categories"),
        (lambda f: f["annotations"].append({"image_id": 9, "category_id": 3}), "annotation 4"),
        (lambda f: f["annotations"].append({"image_id": 0, "category_id": 5}), "category 5"),
        (lambda f: f["images"].append("x"), "looks like COCO"),
    ],
)
def test_a_coco_file_that_does_not_fit_together_is_refused(change, says, tmp_path):
    put(tmp_path / "x", *NAMES)
    path = instances(tmp_path, *LABELS)
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    assert says in refusal(tmp_path / "x", labels=path)


@pytest.mark.parametrize("name", ["annotations/train.json", "_annotations.coco.json"])
def test_annotations_in_the_folder_are_named(name, tmp_path):
    put(tmp_path, *(f"images/{image}" for image in NAMES))
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    instances(tmp_path, *LABELS).rename(place)
    assert f"{name} in it may be one" in refusal(tmp_path)
    assert read(tmp_path / "images", SourceOptions(labels=place)).num_classes == 2


def task(address: str, *annotations: dict[str, object]) -> dict[str, object]:
    return {"id": 1, "data": {"image": address}, "annotations": list(annotations)}


def choice(text: str, **more: object) -> dict[str, object]:
    region = {"from_name": "kind", "type": "choices", "value": {"choices": [text]}}
    return {"result": [region], **more}


@pytest.mark.parametrize(
    ("start", "images"),
    [
        ("/data/upload/1/12ab34cd-", "x"),
        ("/data/local-files/?d=x/", "."),
        ("https://host/y/", "x"),
        ("", "x"),
    ],
)
def test_label_studio_gives_the_last_annotation_of_each_task(start, images, tmp_path):
    put(tmp_path / "x", *NAMES)
    tasks = [
        task(f"{start}a.png", choice("cat")),
        task(f"{start}b.png", choice("dog")),
        task(
            f"{start}c.png",
            choice("cat", updated_at="2026-02"),
            choice("dog", updated_at="2026-01"),
            choice("dog", updated_at="2026-03", was_cancelled=True),
        ),
        task(f"{start}d.png"),
    ]
    labels = tmp_path / "project.json"
    labels.write_text(json.dumps(tasks))
    found = given(read(tmp_path / images, SourceOptions(labels=labels)))
    names = {Path(path).name: label for path, label in found.items()}
    assert names == {"a.png": "cat", "b.png": "dog", "c.png": "cat", "d.png": None}


def test_label_studios_short_export_is_a_table(tmp_path):
    put(tmp_path / "x", *NAMES)
    rows = [
        {"image": n, "id": k, "choice": c, "annotator": 1, "annotation_id": k, "lead_time": 1.5,
         "created_at": "2026", "updated_at": "2026"}
        for k, (n, c) in enumerate(zip(NAMES, LABELS, strict=True))
    ]  # fmt: skip
    labels = tmp_path / "min.json"
    labels.write_text(json.dumps(rows))
    found = given(read(tmp_path / "x", SourceOptions(labels=labels)))
    assert found == dict(zip(NAMES, LABELS, strict=True))


def voc(folder: Path, **objects: tuple[str, ...]) -> None:
    put(folder, *(f"JPEGImages/{stem}.jpg" for stem in objects))
    put(folder, *(f"SegmentationClass/{stem}.png" for stem in objects))
    (folder / "Annotations").mkdir()
    for stem, names in objects.items():
        found = "".join(f"<object><name>{n}</name><pose/></object>" for n in names)
        (folder / f"Annotations/{stem}.xml").write_text(f"<annotation>{found}</annotation>")


def test_voc_folders_give_the_objects_and_the_splits(tmp_path):
    voc(tmp_path, a=("cat", "cat"), b=("dog",), c=("cat",), d=("dog",), e=())
    lists = tmp_path / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\ne\n")
    (lists / "val.txt").write_text("c\nd\n")
    (lists / "cat_train.txt").write_text("a 1\nb -1\n")
    table = read(tmp_path, SourceOptions())
    assert given(table) == {
        f"JPEGImages/{stem}.jpg": label
        for stem, label in dict(a="cat", b="dog", c="cat", d="dog", e=None).items()
    }
    held = dict(zip(table.paths, table.held_out, strict=True))
    assert held["JPEGImages/c.jpg"] and not held["JPEGImages/a.jpg"]


def test_voc_with_several_objects_is_refused_with_the_way_out(tmp_path):
    voc(tmp_path, a=("cat", "dog"), b=("dog",), c=("cat",))
    assert "--multi-label skip" in refusal(tmp_path)


@pytest.mark.parametrize(
    "text", ["<annotation>", '<!DOCTYPE x [<!ENTITY y "z">]><annotation>&y;</annotation>']
)
def test_hostile_xml_is_refused_by_its_name(text, tmp_path):
    voc(tmp_path, a=("cat",), b=("dog",))
    (tmp_path / "Annotations/b.xml").write_text(text)
    assert "Annotations/b.xml: not readable as XML" in refusal(tmp_path)


def test_other_xml_beside_images_leaves_class_folders(tmp_path):
    put(tmp_path, "cat/a.png", "cat/b.png", "dog/c.png")
    for stem in ("cat/a", "cat/b", "dog/c"):
        (tmp_path / f"{stem}.xml").write_text("<exif/>")
    assert given(read(tmp_path, SourceOptions())) == {
        "cat/a.png": "cat", "cat/b.png": "cat", "dog/c.png": "dog"
    }  # fmt: skip
