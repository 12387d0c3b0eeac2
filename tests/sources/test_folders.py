"""What lies in a folder of images: links, pipes, hidden and broken names."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from source_data import ABCD, given, labels_file, put

from labelclean.config.source_options import SourceOptions
from labelclean.data.samples import MISSING, OK
from labelclean.sources.read_source import read


def test_symbolic_links_to_files_and_folders_are_followed_and_loops_end(tmp_path):
    put(tmp_path / "outside", "o.png")
    put(tmp_path / "r", "cat/1.png", "dog/2.png")
    (tmp_path / "r/dog/3.png").symlink_to(tmp_path / "outside/o.png")
    (tmp_path / "r/cow").symlink_to(tmp_path / "outside")
    (tmp_path / "r/cat/loop").symlink_to(tmp_path / "r")
    (tmp_path / "r/again").symlink_to(tmp_path / "r/cat")
    (tmp_path / "r/self.png").symlink_to(tmp_path / "r/self.png")
    (tmp_path / "r/dog/broken.png").symlink_to(tmp_path / "nowhere.png")
    table = read(tmp_path / "r", SourceOptions())
    assert given(table) == {
        "cat/1.png": "cat", "cow/o.png": "cow", "dog/2.png": "dog", "dog/3.png": "dog",
    }  # fmt: skip
    assert any("2 links lead to folders read already" in note for note in table.notes)


def test_a_table_may_name_files_behind_a_second_link_or_a_hidden_folder(tmp_path, images):
    (images / "again").symlink_to(images / "sub")
    put(images, ".h/x.png")
    csv = labels_file(tmp_path / "l.csv", *ABCD, "again/c.png,cat", ".h/x.png,dog")
    assert read(images, SourceOptions(labels=csv)).status.tolist() == [OK] * 6


@pytest.mark.skipif(os.name == "nt", reason="no such files there")
def test_a_pipe_with_an_image_name_is_missing_and_never_opened(tmp_path, images):
    os.mkfifo(images / "pipe.png")
    csv = labels_file(tmp_path / "l.csv", *ABCD, "pipe.png,cat")
    assert read(images, SourceOptions(labels=csv)).status[-1] == MISSING


@pytest.mark.skipif(sys.platform != "linux", reason="such names cannot be made elsewhere")
def test_names_that_are_not_unicode_are_left_out_and_counted(tmp_path):
    put(tmp_path, "x/a.png", "y/b.png")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/x/\xff.png"))).write_bytes(b"")
    table = read(tmp_path, SourceOptions())
    assert table.paths == ("x/a.png", "y/b.png")
    assert "1 file left out: the name is not Unicode" in table.notes
