"""The files of an export read by the tools' own packages, where those are installed."""

from __future__ import annotations

import inspect
import runpy
import shutil
import types
from dataclasses import replace
from pathlib import Path

import pytest
from export_data import contents
from PIL import Image

from labelclean.exports import cleanlab as our_cleanlab
from labelclean.exports import coco, cvat, fiftyone, huggingface, label_studio
from labelclean.exports.labelled_rows import Export

pytestmark = pytest.mark.filterwarnings("ignore")  # those of other packages are not ours


def write(export: Export, form, folder: Path) -> Path:
    folder.mkdir()
    for name, data in contents(form, export).items():
        (folder / name).write_bytes(data)
    return folder


def with_copies(export: Export, folder: Path) -> Export:
    """The export with its images beside it."""
    (folder / "images").mkdir()
    rows = []
    for row in export.rows:
        Image.new("RGB", row.size).save(folder / "images" / f"{row.row}.png")
        rows.append(replace(row, file=f"{row.row}.png"))
    return replace(export, rows=tuple(rows), images=folder / "images", has_copies=True)


def test_label_studio_sdk_finds_nothing_wrong_with_interface_and_tasks(export, tmp_path):
    interface = pytest.importorskip("label_studio_sdk.label_interface")
    import json

    out = write(export, label_studio.FORMAT, tmp_path / "out")
    config = interface.LabelInterface((out / "labels.xml").read_bytes().decode())
    config.validate()
    assert list(config.get_control("label").labels) == list(export.class_names)
    tasks = json.loads((out / "tasks.json").read_bytes())
    assert len(tasks) == len(export.rows)
    for task in tasks:
        (prediction,) = task["predictions"]
        assert config.validate_prediction(prediction, return_errors=True) == []
        assert interface.interface.TaskValue(**task).predictions[0].model_version == "labelclean"
        assert config.validate_task({"data": task["data"]})


def test_fiftyone_reads_both_fields_with_their_attributes(export, tmp_path):
    importers = pytest.importorskip("fiftyone.utils.data.importers")
    out = write(export, fiftyone.FORMAT, tmp_path / "out")
    read = {}
    for name in ("labels.json", "predictions.json"):
        importer = importers.FiftyOneImageClassificationDatasetImporter(
            dataset_dir=str(out), data_path=str(out / "data.json"), labels_path=str(out / name)
        )
        with importer:
            read[name] = list(importer)
            assert importer.get_dataset_info()["classes"] == list(export.class_names)
    for k, row in enumerate(export.rows):
        path, _, given = read["labels.json"][k]
        assert path == str(export.images / row.file)
        assert (given and given.label) == (row.given or None)
        suggested = read["predictions.json"][k][2]
        assert (suggested.label, suggested.confidence) == (row.suggested, 0.5)
        assert suggested["is_label_issue"] is row.is_label_issue
        assert suggested["labelclean_image"] == row.image


def test_what_fiftyone_itself_exports_comes_back_with_changes_and_marks(export, tmp_path):
    importers = pytest.importorskip("fiftyone.utils.data.importers")
    exporters = pytest.importorskip("fiftyone.utils.data.exporters")
    out = write(export, fiftyone.FORMAT, tmp_path / "out")
    importer = importers.FiftyOneImageClassificationDatasetImporter(
        dataset_dir=str(out), data_path=str(out / "data.json")
    )
    exporter = exporters.FiftyOneImageClassificationDatasetExporter(
        export_dir=str(tmp_path / "back"),
        export_media=False,
        include_attributes=True,
        abs_paths=True,
    )
    with importer, exporter:
        exporter.log_collection([])
        for path, _, label in importer:
            if label is not None and label.label == "cat":
                label.label = "bird"
            if label is not None and label.label == "dog":
                label["reviewed"] = True
            exporter.export_sample(path, label)
    found = {each.image: each for each in fiftyone.read(tmp_path / "back").labels}
    assert (found["cat/1.png"].label, found["cat/1.png"].is_reviewed) == ("bird", False)
    assert (found["dog/1.jpg"].label, found["dog/1.jpg"].is_reviewed) == ("dog", True)
    for row in export.rows[3:]:
        assert found[row.image].label == row.given


def test_the_loader_calls_fiftyone_as_its_functions_are_declared(export, tmp_path, monkeypatch):
    fo = pytest.importorskip("fiftyone")
    out = write(export, fiftyone.FORMAT, tmp_path / "out")
    calls = []

    def declared(name, function, result=None):
        def call(*args, **options):
            inspect.signature(function).bind(*args, **options)
            calls.append((name, options))
            return result

        return call

    data = types.SimpleNamespace()
    sample = {"given": fo.Classification(label="cat", reviewed=False)}
    opened = types.SimpleNamespace(wait=lambda: calls.append(("wait", {})))
    chosen = types.SimpleNamespace(iter_samples=lambda autosave: [sample, {"given": None}])
    for name, result in [
        ("merge_dir", None), ("sort_by", data), ("match_tags", chosen), ("export", None),
    ]:  # fmt: skip
        bound = types.MethodType(getattr(fo.Dataset, name), data)
        setattr(data, name, declared(name, bound, result))
    monkeypatch.setattr(fo.Dataset, "from_dir", declared("from_dir", fo.Dataset.from_dir, data))
    monkeypatch.setattr(fo, "launch_app", declared("launch_app", fo.launch_app, opened))
    monkeypatch.setattr("sys.argv", ["load.py"])
    runpy.run_path(str(out / "load.py"), run_name="__main__")
    assert [name for name, _ in calls] == [
        "from_dir", "merge_dir", "sort_by", "launch_app", "wait", "match_tags", "export",
    ]  # fmt: skip
    assert sample["given"]["reviewed"] is True
    assert calls[-1][1]["labels_path"] == str(out / "decided" / "labels.json")


def test_datumaro_reads_cvat_with_every_tag_and_attribute(export, tmp_path):
    datumaro = pytest.importorskip("datumaro")
    out = write(export, cvat.FORMAT, tmp_path / "out")
    for row in export.rows:  # it opens none, but wants them there
        (out / "images" / row.file).parent.mkdir(parents=True, exist_ok=True)
        (out / "images" / row.file).touch()
    dataset = datumaro.Dataset.import_from(str(out / cvat.XML), "cvat")
    names = [label.name for label in dataset.categories()[datumaro.AnnotationType.label]]
    assert names == list(export.class_names)
    items = {int(item.attributes["frame"]): item for item in dataset}
    for k, row in enumerate(export.rows):
        item = items[k]
        assert item.id == row.file.rsplit(".", 1)[0]
        assert item.media.size == (row.size[1], row.size[0])
        tags = [a for a in item.annotations if a.type == datumaro.AnnotationType.label]
        assert [names[tag.label] for tag in tags] == ([row.given] if row.given else [])
        for tag in tags:
            assert tag.attributes["is_label_issue"] is row.is_label_issue
            assert tag.attributes["suggested_label"] == row.suggested
            assert float(tag.attributes["issue_probability"]) == 0.75


def test_pandas_reads_the_columns_of_cleanlab_itself(tmp_path, export):
    cleanlab = pytest.importorskip("cleanlab")
    datasets = pytest.importorskip("datasets")
    import numpy as np
    import pandas as pd

    lab = cleanlab.Datalab(
        datasets.Dataset.from_dict({"y": ["a", "b"] * 10}), label_name="y", verbosity=0
    )
    lab.find_issues(
        pred_probs=np.tile([[0.9, 0.1], [0.2, 0.8]], (10, 1)), issue_types={"label": {}}
    )
    theirs = lab.get_issues("label")
    out = write(export, our_cleanlab.FORMAT, tmp_path / "out")
    ours = pd.read_csv(out / our_cleanlab.CSV, keep_default_na=False, na_values={"label_score": ""})
    for column in theirs.columns:
        assert column in ours.columns
        assert (ours[column].dtype.kind == "O") == (theirs[column].dtype.kind == "O")
    assert list(ours["is_label_issue"]) == [row.is_label_issue for row in export.rows]


@pytest.mark.parametrize("place", ["with copies", "in the images' folder"])
def test_datasets_loads_the_imagefolder_with_names_as_they_are(place, export, tmp_path):
    datasets = pytest.importorskip("datasets")
    out = tmp_path / "out"
    out.mkdir()
    export = with_copies(export, out)
    if place != "with copies":
        export = replace(export, has_copies=False)
        out = out / "images"
    for name, data in contents(huggingface.FORMAT, export).items():
        (out / name).write_bytes(data)
    loaded = datasets.load_dataset(
        "imagefolder", data_dir=str(out), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded["label"] == [row.given or None for row in export.rows]
    assert loaded["suggested_label"] == [row.suggested for row in export.rows]
    assert loaded["is_label_issue"] == [row.is_label_issue for row in export.rows]
    assert [image.size for image in loaded["image"]] == [row.size for row in export.rows]
    changed = loaded.map(lambda row: {"label": "bird" if row["label"] == "cat" else row["label"]})
    changed.remove_columns("image").to_parquet(str(tmp_path / "metadata.parquet"))
    found = {each.image: each.label for each in huggingface.read(tmp_path).labels}
    assert found == {row.image: "bird" if row.given == "cat" else row.given for row in export.rows}


def test_pycocotools_indexes_annotations_and_takes_predictions_as_results(export, tmp_path):
    coco_api = pytest.importorskip("pycocotools.coco")
    out = write(export, coco.FORMAT, tmp_path / "out")
    truth = coco_api.COCO(str(out / coco.JSON))
    names = {each["id"]: each["name"] for each in truth.loadCats(truth.getCatIds())}
    assert list(names.values()) == list(export.class_names)
    results = truth.loadRes(str(out / "predictions.json"))
    for row in export.rows:
        (image,) = truth.loadImgs([row.row + 1])
        assert image["file_name"] == row.file
        given = truth.loadAnns(truth.getAnnIds(imgIds=[row.row + 1]))
        assert [names[each["category_id"]] for each in given] == ([row.given] if row.given else [])
        (predicted,) = results.imgToAnns[row.row + 1]
        assert names[predicted["category_id"]] == row.suggested


def test_datumaro_reads_coco_annotations_without_a_box_as_labels(export, tmp_path):
    datumaro = pytest.importorskip("datumaro")
    folder = tmp_path / "coco" / "annotations"
    folder.mkdir(parents=True)
    (tmp_path / "coco" / "images").mkdir()
    out = write(export, coco.FORMAT, tmp_path / "out")
    shutil.copy(out / coco.JSON, folder / "labels_train.json")
    dataset = datumaro.Dataset.import_from(str(folder.parent), "coco_labels")
    names = [label.name for label in dataset.categories()[datumaro.AnnotationType.label]]
    read = {item.id: [names[a.label] for a in item.annotations] for item in dataset}
    assert read["cat/1"] == ["cat"]
    assert sum(len(labels) for labels in read.values()) == sum(bool(r.given) for r in export.rows)
