"""From a report to a tool's folder and back: what is left out, what is refused, what is decided."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import report_data
from PIL import Image
from typer.testing import CliRunner

from labelclean.cli import app
from labelclean.decisions.store import read_decisions
from labelclean.errors import ConfigError, OutputError
from labelclean.exports import cvat
from labelclean.exports.registry import FORMATS
from labelclean.report.report import Report
from labelclean.sources.folders import FileImages
from labelclean.workflows import exporting
from labelclean.workflows.exporting import export_report
from labelclean.workflows.importing import import_decisions

HOSTILE = '=cmd() & "<b>\n\u202e.png'


def report_of(rows, root: Path | None, **source) -> Report:
    return report_data.report_of(
        rows,
        class_names=("cat", "dog", "a & b"),
        image_root=None if root is None else str(root),
        source={"labels": None, **source},
    )


def row(image, given="cat", suggested="cat", status="ok"):
    is_issue = given != suggested
    wrong = (0.9, 0.2) if is_issue else (0.1, 0.8)
    return (image, given, suggested, is_issue, wrong[1], wrong[0], 0.7, "dog", 0.1, status, "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """images/ and report.csv: two issues, one hostile name, one kept, and three without images."""
    root = tmp_path / "images"
    rows = [row("cat/1.png", "cat", "dog"), row("2.jpg"), row(HOSTILE, "a & b", "dog")]
    for k, (image, *_) in enumerate(rows):
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        kind = "JPEG" if image.endswith("jpg") else "PNG"
        Image.new("RGB", (10 + k, 20)).save(root / image, format=kind)
    (root / "bad.png").write_bytes(b"")
    rows += [row("gone.png", status="missing"), row("bad.png", status="unreadable")]
    rows += [row("lost since.png", "cat", "dog")]
    report_of(rows, root).write(tmp_path / "report.csv")
    return tmp_path


def run(*args) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(arg) for arg in args])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("tool", [name for name in FORMATS if name != "cleanlab"])
def test_images_that_are_not_there_are_left_out_and_counted(tool, folder):
    done = export_report(folder / "report.csv", to=tool, out=folder / "out")
    assert done.images == 3
    assert done.left_out == {"missing": 2, "unreadable": 1}
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(
        (*done.files, "labelclean-export.json")
    )


@pytest.mark.parametrize("tool", ["coco-classification", "cvat"])
def test_no_more_of_a_file_is_read_than_its_size_takes(tool, folder, monkeypatch):
    monkeypatch.delattr(FileImages, "read")
    asked = []
    opened = FileImages.open

    def noted(images, row):
        asked.append(opened(images, row))
        return asked[-1]

    monkeypatch.setattr(FileImages, "open", noted)
    done = export_report(folder / "report.csv", to=tool, out=folder / "out")
    assert done.images == 3
    assert all(file.closed for file in asked)
    assert re.search(r"width\W+11\W+height\W+20", (folder / "out" / done.files[0]).read_text())


def test_a_table_for_cleanlab_needs_no_images(folder):
    done = export_report(folder / "report.csv", to="cleanlab", out=folder / "out")
    assert (done.images, done.left_out) == (4, {"missing": 1, "unreadable": 1})


def test_sizes_are_those_of_the_files_and_a_file_damaged_since_is_left_out(folder):
    (folder / "images" / "2.jpg").write_bytes(b"no image")
    done = export_report(folder / "report.csv", to="coco-classification", out=folder / "out")
    assert done.left_out == {"missing": 2, "unreadable": 2}
    images = json.loads((folder / "out" / "annotations.json").read_bytes())["images"]
    assert [(x["file_name"], x["width"], x["height"]) for x in images] == [
        ("cat/1.png", 10, 20),
        (HOSTILE, 12, 20),
    ]


def test_only_issues_are_exported_if_asked_for(folder):
    done = export_report(
        folder / "report.csv", to="label-studio", out=folder / "out", issues_only=True
    )
    tasks = json.loads((folder / "out" / "tasks.json").read_bytes())
    assert [task["data"]["labelclean_image"] for task in tasks] == ["cat/1.png", HOSTILE]
    assert done.left_out == {"missing": 1}


def test_copies_are_byte_for_byte_under_names_that_any_system_can_hold(folder):
    export_report(folder / "report.csv", to="huggingface", out=folder / "out", with_images=True)
    lines = [json.loads(x) for x in (folder / "out" / "metadata.jsonl").read_text().splitlines()]
    names = [line["file_name"] for line in lines]
    assert names == ["images/cat/1.png", "images/2.jpg", "images/labelclean-row-00000002.png"]
    for line in lines:
        original = folder / "images" / line["labelclean_image"]
        assert (folder / "out" / line["file_name"]).read_bytes() == original.read_bytes()


def test_a_name_that_xml_cannot_hold_is_left_out_where_there_is_xml(folder):
    image = "bell\x07.png"
    Image.new("RGB", (4, 4)).save(folder / "images" / image)
    rows = [row("2.jpg"), row(image, "cat", "dog")]
    report_of(rows, folder / "images").write(folder / "bell.csv")
    done = export_report(folder / "bell.csv", to="cvat", out=folder / "cvat")
    assert (done.images, done.left_out) == (1, {"names that the format cannot hold": 1})
    assert export_report(folder / "bell.csv", to="fiftyone", out=folder / "fo").images == 2


def test_images_within_parquet_are_exported_as_copies_only(folder):
    data = io.BytesIO()
    Image.new("RGB", (6, 5)).save(data, format="PNG")
    table = {"image": [data.getvalue()] * 2, "label": ["cat", "dog"]}
    pq.write_table(pa.table(table), folder / "set.parquet")
    rows = [row("set.parquet#0", "cat", "dog"), row("set.parquet#1", "dog", "dog")]
    report_of(rows, None, source=str(folder / "set.parquet")).write(folder / "packed.csv")
    with pytest.raises(ConfigError, match="--with-images copies them into the export"):
        export_report(folder / "packed.csv", to="cvat", out=folder / "out")
    assert not (folder / "out").exists()
    export_report(folder / "packed.csv", to="cvat", out=folder / "out", with_images=True)
    copy = folder / "out" / "images" / "labelclean-row-00000000.png"
    assert copy.read_bytes() == data.getvalue()
    code, out, _ = run("import-decisions", folder / "packed.csv", folder / "out", "--from", "cvat",
                       "--all-reviewed")  # fmt: skip
    assert (code, out.splitlines()[0].endswith(": 2 keep")) == (0, True)


def test_a_folder_that_is_no_export_is_never_replaced(folder):
    (folder / "images" / "mine.txt").write_text("precious")
    for out in ("images", "report.csv"):
        with pytest.raises(OutputError, match="is there and is no export"):
            export_report(folder / "report.csv", to="cleanlab", out=folder / out, force=True)
    assert (folder / "images" / "mine.txt").read_text() == "precious"


def test_an_earlier_export_is_replaced_only_by_force_and_whole(folder):
    out = folder / "out"
    export_report(folder / "report.csv", to="label-studio", out=out)
    with pytest.raises(OutputError, match="already exists; .* --force replaces it"):
        export_report(folder / "report.csv", to="cleanlab", out=out)
    export_report(folder / "report.csv", to="cleanlab", out=out, force=True)
    assert sorted(x.name for x in out.iterdir()) == ["label_issues.csv", "labelclean-export.json"]
    assert not list(folder.glob(".*"))


def test_an_export_that_fails_leaves_the_earlier_one_and_nothing_else(folder, monkeypatch):
    out = folder / "out"
    export_report(folder / "report.csv", to="cleanlab", out=out)
    before = (out / "label_issues.csv").read_bytes()

    def no_space(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "_copy", no_space)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        export_report(
            folder / "report.csv", to="huggingface", out=out, with_images=True, force=True
        )
    assert (out / "label_issues.csv").read_bytes() == before
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": "cvat", "url_prefix": "http://x/"}, "--url-prefix: CVAT opens no URLs"),
        ({"to": "cleanlab", "with_images": True}, "--with-images: --to cleanlab is a table"),
        ({"to": "label-studio", "with_images": True, "url_prefix": "h"}, "either here or there"),
        ({"to": "cleanlab", "images": Path("x")}, "--images: no image is read"),
        ({"to": "excel"}, "--to is excel, must be one of"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, words, folder):
    with pytest.raises(ConfigError, match=re.escape(words)):
        export_report(folder / "report.csv", out=folder / "out", **options)
    assert not (folder / "out").exists()


def test_an_address_needs_no_images_here(folder):
    (folder / "images").rename(folder / "elsewhere")
    done = export_report(
        folder / "report.csv", to="label-studio", out=folder / "out", url_prefix="https://x/"
    )
    assert done.images == 4
    assert "LOCAL_FILES" not in done.next_step


def test_a_report_without_issues_makes_no_empty_export(folder):
    report_of([row("2.jpg")], folder / "images").write(folder / "clean.csv")
    code, out, err = run("export", folder / "clean.csv", "--to", "cvat", "--out", folder / "out",
                         "--issues-only")  # fmt: skip
    assert (code, out) == (2, "")
    assert "no row judged wrong with an image that can be exported" in err
    assert not (folder / "out").exists() and not list(folder.glob(".*"))


def test_the_command_says_what_it_wrote_and_what_comes_next(folder):
    code, out, err = run("export", folder / "report.csv", "--to", "fiftyone", "--out",
                         folder / "out")  # fmt: skip
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"3 images for FiftyOne in {folder / 'out'}; 3 left out: 2 missing, 1 unreadable",
        f"next: python {folder / 'out' / 'load.py'} opens it and, when the App is closed, writes "
        f"the labels to {folder / 'out' / 'decided'}, which import-decisions reads",
    ]


def test_json_holds_the_counts(folder):
    code, out, _ = run("export", folder / "report.csv", "--to", "cvat", "--out", folder / "out",
                       "--json")  # fmt: skip
    assert code == 0
    found = json.loads(out)
    assert found["images"] == 3 and found["left_out"] == {"missing": 2, "unreadable": 1}
    assert found["files"] == ["annotations.xml", "labels.json"]


def edited(folder: Path) -> Path:
    """What a person exported from CVAT: one suggestion taken, one class of their own."""
    export_report(folder / "report.csv", to="cvat", out=folder / "out")
    file = folder / "out" / cvat.XML
    text = file.read_bytes().decode()
    text = text.replace('<tag label="cat"', '<tag label="dog"', 1)
    text = text.replace('<tag label="a &amp; b"', '<tag label="bird"')
    file.write_bytes(text.encode())
    return file


def test_labels_that_were_changed_become_decisions_and_others_do_not(folder):
    done = import_decisions(folder / "report.csv", edited(folder), source="cvat")
    assert done.recorded == {"accept": 1, "keep": 0, "other": 1}
    assert (done.undecided, done.unknown, done.new_classes) == (1, 0, ("bird",))
    made = read_decisions(folder / "report.decisions.sqlite")
    assert {(x.image, x.action, x.label, x.before, x.reviewer) for x in made.values()} == {
        ("cat/1.png", "accept", "dog", "cat", "cvat"),
        (HOSTILE, "other", "bird", "a & b", "cvat"),
    }


def test_unchanged_labels_are_kept_where_all_were_reviewed(folder):
    done = import_decisions(folder / "report.csv", edited(folder), source="cvat", all_reviewed=True)
    assert done.recorded == {"accept": 1, "keep": 1, "other": 1}
    assert read_decisions(folder / "report.decisions.sqlite")["2.jpg"].label == "cat"


def test_the_same_file_again_records_nothing(folder):
    file = edited(folder)
    import_decisions(folder / "report.csv", file, source="cvat")
    done = import_decisions(folder / "report.csv", file, source="cvat")
    assert (sum(done.recorded.values()), done.known) == (0, 2)


def test_annotators_become_reviewers_and_the_last_word_holds(folder):
    def said(label: str, who: str, when: str) -> dict:
        result = [{"type": "choices", "value": {"choices": [label]}}]
        return {"result": result, "completed_by": {"email": who}, "updated_at": when}

    answers = [said("cat", "eve@x.org", "2"), said("dog", "bob@x.org", "1")]
    tasks = [{"data": {"labelclean_image": "cat/1.png"}, "annotations": answers}]
    file = folder / "tasks.json"
    file.write_text(json.dumps(tasks))
    done = import_decisions(folder / "report.csv", file, source="label-studio")
    assert done.recorded == {"accept": 1, "keep": 1, "other": 0}
    (made,) = read_decisions(done.decisions).values()
    assert (made.action, made.reviewer) == ("keep", "eve@x.org")


def test_a_file_about_other_images_is_refused_and_makes_no_store(folder):
    file = folder / "x.csv"
    file.write_text("image,given_label,corrected_label\nz.png,cat,dog\n")
    code, out, err = run("import-decisions", folder / "report.csv", file, "--from", "cleanlab")
    assert (code, out) == (2, "")
    assert err == (
        f"labelclean: {file}: names no image of {folder / 'report.csv'}: its first is z.png, "
        "the report's is cat/1.png\n"
    )
    assert not (folder / "report.decisions.sqlite").exists()


def test_the_command_says_what_was_recorded_and_what_was_not(folder):
    code, out, _ = run("import-decisions", folder / "report.csv", edited(folder), "--from", "cvat")
    assert code == 0
    assert out.splitlines() == [
        f"2 decisions recorded in {folder / 'report.decisions.sqlite'}: 1 accept, 1 other",
        "1 label is as exported and not marked as reviewed; --all-reviewed takes such as kept",
        "1 label is no class of the report: bird",
    ]
    again = run("import-decisions", folder / "report.csv", folder / "out", "--from", "cvat",
                "--json")  # fmt: skip
    assert json.loads(again[1])["known"] == 2


def test_decisions_go_to_a_store_not_to_a_table(folder):
    with pytest.raises(ConfigError, match="decisions are added to an SQLite file"):
        import_decisions(
            folder / "report.csv", edited(folder), source="cvat", decisions=folder / "d.csv"
        )
