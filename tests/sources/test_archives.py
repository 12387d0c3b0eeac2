"""Images inside zip and tar files, WebDataset shards, Arrow: read where they are."""

from __future__ import annotations

import json
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from source_data import given, labels_file, pack, put, refusal, write_parquet

from labelclean.sources import SourceOptions, read, reopen

CLASSES = {"cat/1.png": "cat", "cat/2.png": "cat", "dog/3.png": "dog", "dog/4.png": "dog"}
KINDS = ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"]


def of_names(*names: str) -> dict[str, bytes]:
    return {name: name.encode() for name in names}


@pytest.mark.parametrize("kind", KINDS)
def test_class_folders_in_an_archive_are_read_also_in_another_process(tmp_path, kind):
    path = pack(tmp_path / f"images.{kind}", of_names(*CLASSES, "cat/.x.png", "__MACOSX/cat/y.png"))
    table = read(path, SourceOptions())
    assert given(table) == CLASSES
    source = pickle.loads(pickle.dumps(table.images))
    for row in (3, 0, 2, 1):
        assert source.read(row) == table.paths[row].encode()
        assert table.images.read(row) == table.paths[row].encode()
    assert table.root is None
    assert len({table.images.fingerprint(row) for row in range(4)}) == 4


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_table_labels_the_images_of_an_archive(tmp_path, kind):
    path = pack(tmp_path / f"images.{kind}", of_names("x/0.png", "x/1.png"))
    csv = labels_file(tmp_path / "l.csv", "0.png,a", "1.png,b")
    assert given(read(path, SourceOptions(labels=csv))) == {"x/0.png": "a", "x/1.png": "b"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_metadata_beside_an_archive_and_inside_of_one_labels_its_images(tmp_path, kind):
    lines = '{"file_name": "0.png", "label": "a"}\n{"file_name": "1.png", "label": "b"}\n'
    pack(tmp_path / f"beside/images.{kind}", of_names("0.png", "1.png"))
    (tmp_path / "beside/metadata.jsonl").write_text(lines)
    inside = {**of_names("0.png", "1.png"), "metadata.jsonl": lines.encode()}
    path = pack(tmp_path / f"inside.{kind}", inside)
    for source in (tmp_path / "beside", path):
        assert given(read(source, SourceOptions())) == {"0.png": "a", "1.png": "b"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["../cat/5.png", "/cat/5.png", "cat/../../5.png", "C:/cat/5.png"])
def test_no_path_leaves_the_archive(tmp_path, kind, name):
    path = pack(tmp_path / f"images.{kind}", of_names(*CLASSES, name))
    table = read(path, SourceOptions())
    assert given(table) == CLASSES
    assert any(f"1 path would leave the archive, first {name}" in note for note in table.notes)


def test_a_link_in_a_tar_is_no_image(tmp_path):
    path = tmp_path / "t.tar"
    pack(path, of_names(*CLASSES))
    with tarfile.open(path, "a") as out:
        info = tarfile.TarInfo("cat/link.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(info)
    assert given(read(path, SourceOptions())) == CLASSES


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_damaged_archive_is_refused_in_one_line(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    path.write_bytes(b"no archive at all" * 100)
    assert f"{path}: damaged archive" in refusal(path) or "cannot be read" in refusal(path)


@pytest.mark.parametrize("size", [2**70, -512, -(2**70)])
def test_a_tar_whose_header_tells_an_impossible_size_is_refused(tmp_path, size):
    path = tmp_path / "x.tar"
    good, wrong = tarfile.TarInfo("a/0.png"), tarfile.TarInfo("a/1.png")
    good.size, wrong.size = 512, size
    headers = [each.tobuf(tarfile.GNU_FORMAT) for each in (good, wrong)]
    path.write_bytes(headers[0] + bytes(512) + headers[1] + bytes(2048))
    assert f"{path}: damaged archive" in refusal(path)


def test_a_zip_whose_directory_tells_an_impossible_size_has_one_unreadable_image(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as out:
        for name in ("a/0.png", "b/1.png"):
            out.writestr(name, name)
        out.infolist()[1].file_size = 2**64 - 1
    table = read(path, SourceOptions())
    assert given(table) == {"a/0.png": "a", "b/1.png": "b"}


@pytest.mark.parametrize("label", ["cls", "txt", "json"])
def test_webdataset_shards_have_their_labels_beside_the_images(tmp_path, label):
    def contents(start: int) -> dict[str, bytes]:
        found = {}
        for k in range(start, start + 4):
            word = "ab"[k % 2]
            text = json.dumps({"label": word, "x": 1}) if label == "json" else word
            found |= {f"{k:04d}.png": str(k).encode(), f"{k:04d}.{label}": text.encode()}
        return found

    pack(tmp_path / "w/train-000000.tar", contents(0))
    pack(tmp_path / "w/train-000001.tar", contents(4))
    pack(tmp_path / "w/test-000000.tar", contents(8))
    table = read(tmp_path / "w", SourceOptions())
    assert [given(table)[path] for path in table.paths] == [
        "ab"[k % 2] for k in (8, 9, 10, 11, *range(8))
    ]
    assert table.held_out.tolist() == [True] * 4 + [False] * 8
    assert table.images.read(5) == b"1"
    one = read(tmp_path / "w/train-000000.tar", SourceOptions())
    assert one.paths[0] == "0000.png" and one.class_names == ("a", "b")


def write_arrow(folder: Path, rows: int, *, split: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    features = {"label": {"names": ["dog", "cat"], "_type": "ClassLabel"}}
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    images = [{"bytes": f"{folder.name}{k}".encode(), "path": f"{k}.png"} for k in range(rows)]
    table = pa.table({"image": images, "label": [k % 2 for k in range(rows)]})
    table = table.replace_schema_metadata(meta)
    with pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as out:
        with pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
    (folder / "state.json").write_text("{}")
    (folder / "dataset_info.json").write_text("{}")


def test_what_save_to_disk_wrote_is_read_with_its_class_names_and_splits(tmp_path):
    write_arrow(tmp_path / "one", 7)
    table = read(tmp_path / "one", SourceOptions())
    assert table.class_names == ("dog", "cat") and table.labels.tolist() == [0, 1, 0, 1, 0, 1, 0]
    source = pickle.loads(pickle.dumps(table.images))
    assert [source.read(k) for k in (6, 0, 4)] == [b"one6", b"one0", b"one4"]
    write_arrow(tmp_path / "two/train", 5)
    write_arrow(tmp_path / "two/test", 3)
    (tmp_path / "two/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    table = read(tmp_path / "two", SourceOptions())
    assert table.held_out.tolist() == [True] * 3 + [False] * 5
    assert table.images.read(3) == b"train0"


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_report_finds_the_images_of_an_archive_again(tmp_path, kind):
    path = pack(tmp_path / f"images.{kind}", of_names(*CLASSES))
    how = SourceOptions().record(str(path))
    names = ["dog/4.png", "gone.png", "cat/1.png"]
    source, is_there = reopen(how, names, root=None, images=None)
    assert is_there.tolist() == [True, False, True]
    assert source.read(0) == b"dog/4.png" and source.read(2) == b"cat/1.png"
    moved = path.rename(tmp_path / f"moved.{kind}")
    source, is_there = reopen(how, names, root=None, images=moved)
    assert np.flatnonzero(is_there).tolist() == [0, 2]


def test_a_folder_of_an_archive_of_another_kind_names_it(tmp_path):
    put(tmp_path, "images.rar", "readme.txt")
    assert "images.rar is an archive: unpack it" in refusal(tmp_path)


def test_configurations_of_one_data_set_are_refused(tmp_path):
    for config in ("small", "large"):
        for split in ("train", "test"):
            write_parquet(tmp_path / f"{config}/{split}/0000.parquet", struct=True)
    assert "large and small have the same splits, as configurations" in refusal(tmp_path)
    table = read(tmp_path / "small", SourceOptions())
    assert table.held_out.tolist() == [True] * 7 + [False] * 7


def test_shards_are_splits_by_their_names_and_folders(tmp_path):
    for layout in (
        ("default/test/0000.parquet", "default/train/0000.parquet"),
        ("test/split.parquet", "train/split.parquet"),
        ("test_000.parquet", "train_000.parquet"),
    ):
        root = tmp_path / layout[0].replace("/", "-")
        for path in layout:
            write_parquet(root / path, struct=True)
        assert read(root, SourceOptions()).held_out.tolist() == [True] * 7 + [False] * 7
