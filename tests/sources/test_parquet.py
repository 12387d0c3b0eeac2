"""Parquet with images in it: rows, shards, splits and labels of its own or of a table."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_data import CELLS, given, labels_file, refusal, write_parquet

from labelclean.config.source_options import SourceOptions
from labelclean.data.samples import MISSING, OK
from labelclean.sources.read_source import read


@pytest.mark.parametrize("struct", [False, True])
def test_images_in_parquet_are_read_by_row_in_any_order_and_process(tmp_path, struct):
    write_parquet(tmp_path / "t.parquet", struct=struct)
    table = read(tmp_path / "t.parquet", SourceOptions())
    assert table.class_names == (("dog", "cat") if struct else ("0", "1"))
    assert table.labels.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert table.paths[6] == ("6.png" if struct else "t.parquet#6")
    table.images.read(3)
    source = pickle.loads(pickle.dumps(table.images))
    for row in (6, 0, 3, 2, 5, 1, 4):
        assert source.read(row) == CELLS[row]
    assert len({source.fingerprint(row) for row in range(7)}) == 7
    assert table.root is None


@pytest.mark.parametrize("struct", [False, True])
def test_a_parquet_row_without_bytes_is_missing(tmp_path, struct):
    cells = [*CELLS[:4], None, *CELLS[5:]]
    write_parquet(tmp_path / "t.parquet", struct=struct, cells=cells)
    table = read(tmp_path / "t.parquet", SourceOptions())
    assert [k for k, status in enumerate(table.status) if status == MISSING] == [4]
    with pytest.raises(OSError):
        table.images.read(4)


def test_a_folder_of_parquet_shards_is_one_source_with_splits_from_the_names(tmp_path):
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        write_parquet(tmp_path / f"data/{name}.parquet", struct=True)
    table = read(tmp_path, SourceOptions())
    assert len(table) == 21
    assert table.held_out.tolist() == [True] * 7 + [False] * 14
    assert [table.images.read(k) for k in range(21)] == CELLS * 3
    assert len(set(table.paths)) == 21
    kept = read(tmp_path, SourceOptions(split="train"))
    assert [kept.images.read(k) for k in range(14)] == CELLS * 2


def test_labels_for_a_parquet_source_replace_its_own(tmp_path):
    cells = [*CELLS[:4], None, *CELLS[5:]]
    write_parquet(tmp_path / "t.parquet", struct=True, cells=cells)
    csv = labels_file(tmp_path / "l.csv", "5.png,dog", "0.png,cat", "1.png,cat", "4.png,dog")
    table = read(tmp_path / "t.parquet", SourceOptions(labels=csv))
    assert given(table) == {"5.png": "dog", "0.png": "cat", "1.png": "cat", "4.png": "dog"}
    assert table.status.tolist() == [OK, OK, OK, MISSING]
    assert [table.images.read(k) for k in range(3)] == [CELLS[5], CELLS[0], CELLS[1]]
    assert table.truth is None
    csv = labels_file(tmp_path / "l.csv", "5.png,dog", "50.png,cat")
    assert "l.csv:3: " in refusal(tmp_path / "t.parquet", labels=csv)


def test_image_names_that_are_no_utf8_are_damage_and_no_traceback(tmp_path):
    names = pa.array([b"a\xf4.png", b"b.png"]).view(pa.string())
    images = pa.StructArray.from_arrays([pa.array(CELLS[:2]), names], ["bytes", "path"])
    pq.write_table(pa.table({"image": images, "label": ["cat", "dog"]}), tmp_path / "x.parquet")
    assert "x.parquet: damaged: 'utf-8' codec" in refusal(tmp_path / "x.parquet")
