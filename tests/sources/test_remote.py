"""Many files as one source: patterns, indexes, and files behind URLs."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from s3_server import bucket_of
from source_data import given, pack, refusal

from labelclean.sources import SourceOptions, read, reopen
from labelclean.sources.part_images import PartImages, in_folder
from labelclean.sources.remote import find_parts, is_several


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABELCLEAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Three tar files of two labelled images each, and their index."""
    folder = tmp_path / "wds"
    entries = []
    for number in range(3):
        contents: dict[str, bytes] = {}
        for row in (2 * number, 2 * number + 1):
            contents |= {
                f"{row:04}.png": f"image {row}".encode(),
                f"{row:04}.cls": b"ab"[row % 2 :][:1],
            }
        path = pack(folder / f"train-{number:06}.tar", contents)
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        entries.append({"url": path.name, "nsamples": 2, "filesize": size, "md5sum": md5})
    (folder / "index.json").write_text(json.dumps({"wids_version": 1, "shardlist": entries}))
    return folder


def _change(shards: Path, number: int, **facts: Any) -> None:
    index = json.loads((shards / "index.json").read_text())
    index["shardlist"][number] |= facts
    (shards / "index.json").write_text(json.dumps(index))


LABELS = {f"train-{row // 2:06}/{row:04}.png": "ab"[row % 2] for row in range(6)}


@pytest.mark.parametrize(
    "pattern", ["train-{000000..000002}.tar", "train-*.tar", "train-{000000,000001,000002}.tar",
                "index.json"]
)  # fmt: skip
def test_a_pattern_or_an_index_is_its_files_in_their_order(shards: Path, pattern: str):
    table = read(shards / pattern, SourceOptions())
    assert given(table) == LABELS
    assert [table.images.read(row) for row in (5, 0)] == [b"image 5", b"image 0"]
    assert table.root is None


def test_what_is_there_under_the_name_of_a_pattern_wins(tmp_path: Path):
    folder = tmp_path / "a{1..2}"
    folder.mkdir()
    assert not is_several(str(folder))
    assert is_several(str(tmp_path / "b{1..2}"))


def test_a_url_without_another_machine(shards: Path):
    table = read(f"file://{shards}/train-00000*.tar", SourceOptions())
    assert given(table) == LABELS


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("none-*.tar", "no such file"),
        ("none-{1..3}.tar", "none-1.tar: no such file"),
        ("train-{000000..000003}.tar", "train-000003.tar: no such file"),
        ("train-{0..99999999999}.tar", "more than 1,000,000 files"),
        ("index.js*", "no archive and no Parquet file"),
    ],
)
def test_a_pattern_that_fits_nothing_is_one_line(shards: Path, pattern: str, reason: str):
    assert reason in refusal(shards / pattern)


@pytest.mark.parametrize(
    "url",
    ["/etc/passwd.tar", "../x.tar", "a/../../x.tar", "file:///x.tar", "http://x/y.tar", "C:/x.tar"],
)
def test_an_index_names_nothing_outside_its_folder(shards: Path, url: str):
    _change(shards, 1, url=url)
    assert "is not below the folder of the index" in refusal(shards / "index.json")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"filesize": 7}, "the index says 7"),
        ({"filesize": "many"}, "no counts"),
        ({"url": "train-000009.tar"}, "no such file"),
        ({"url": "labels.csv"}, "no archive"),
        ({"url": "./train-000000.tar"}, "train-000000.tar is named twice"),
    ],
)
def test_an_index_that_does_not_fit_is_one_line(shards: Path, facts: dict[str, Any], reason: str):
    _change(shards, 1, **facts)
    assert reason in refusal(shards / "index.json")


@pytest.mark.parametrize("content", ["{", '{"shardlist": 3}', '{"shardlist": [3]}',
                                     '{"shardlist": []}', '"shardlist"'])  # fmt: skip
def test_a_json_file_that_is_no_index_is_one_line(shards: Path, content: str):
    (shards / "index.json").write_text(content)
    with pytest.raises(Exception, match=r"index|names no shard|JSON|table"):
        read(shards / "index.json", SourceOptions())


def test_another_number_of_images_than_the_index_says_is_a_note(shards: Path):
    _change(shards, 0, nsamples=5)
    table = read(shards / "index.json", SourceOptions())
    assert any("6 images, but the index says 9 samples" in note for note in table.notes)


@pytest.fixture
def server(shards: Path) -> Iterator[str]:
    """The folder of the shards by HTTP."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(shards))
    handler.func.log_message = lambda *_: None  # type: ignore[method-assign]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()
        thread.join()


def _inspect(source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the libraries of file systems start threads."""
    return subprocess.run(
        [sys.executable, "-m", "labelclean", "inspect", "--json", source],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_files_by_http_are_fetched_once_and_checked(shards: Path, server: str, cache: Path):
    pytest.importorskip("aiohttp")
    done = _inspect(f"{server}/index.json")
    assert json.loads(done.stdout)["rows"] == 6, done.stderr
    copies = {
        path: path.stat().st_mtime_ns for path in (cache / "fetched").glob(f"{32 * '?'}/*/*.tar")
    }
    assert sorted(path.name for path in copies) == [f"train-{k:06}.tar" for k in range(3)]
    assert json.loads(_inspect(f"{server}/index.json").stdout)["rows"] == 6
    assert copies == {path: path.stat().st_mtime_ns for path in copies}
    _change(shards, 2, md5sum="0" * 32)
    wrong = _inspect(f"{server}/index.json")
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1
    assert "train-000002.tar: its MD5 is" in wrong.stderr
    assert not list((cache / "fetched").glob("*/*/*.part*"))
    gone = _inspect(f"{server}/train-000007.tar")
    assert gone.returncode == 2 and "no such file" in gone.stderr


def test_shards_in_a_bucket(shards: Path):
    with bucket_of(shards) as s3:
        _check_bucket(s3)


def _check_bucket(s3: dict[str, str]) -> None:
    for source in ("train-{000000..000002}.tar", "index.json", ""):
        done = _inspect(f"s3://bucket/wds/{source}", **s3)
        assert json.loads(done.stdout)["rows"] == 6, done.stderr
    for source, reason in (
        ("none/", "no such file"),
        ("wds/labels.csv", "no archive and no Parquet file"),
    ):
        wrong = _inspect(f"s3://bucket/{source}", **s3)
        assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1), wrong.stderr
        assert reason in wrong.stderr


def test_a_protocol_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    assert "pip install 'labelclean[gcs]'" in refusal("gs://bucket/x.tar")
    assert "Protocol not known" in refusal("nothing://bucket/x.tar")


def test_images_of_many_files_are_read_from_the_file_that_has_them(shards: Path, tmp_path: Path):
    parts = find_parts(str(shards / "train-*.tar"))
    names = ("train-000002/0005.png", "train-000000/0000.png", "train-000001/none.png", "x/1.png")
    some = pickle.loads(pickle.dumps(PartImages(parts, SourceOptions(is_to_train=False), names)))
    assert some.is_there().tolist() == [True, True, True, False]
    assert [some.read(row) for row in (0, 1, 0)] == [b"image 5", b"image 0", b"image 5"]
    for row in (2, 3):
        with pytest.raises(FileNotFoundError):
            some.read(row)
    assert len({some.fingerprint(row) for row in range(4)}) == 4
    shards.rename(tmp_path / "moved")
    with pytest.raises(OSError):
        PartImages(parts, SourceOptions(is_to_train=False), names).read(0)
    moved = in_folder(parts, tmp_path / "moved")
    assert PartImages(moved, SourceOptions(is_to_train=False), names).read(0) == b"image 5"


def test_a_report_finds_its_files_again(shards: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(shards)
    how = SourceOptions().record("train-*.tar")
    monkeypatch.chdir("/")
    images, is_there = reopen(how, list(LABELS), root=None, images=None)
    assert is_there.all() and images.read(3) == b"image 3"
    (shards / "train-000000.tar").unlink()  # a file that is gone costs its own images alone
    images, is_there = reopen(how, list(LABELS), root=None, images=None)
    assert is_there.tolist() == [False, False, True, True, True, True]
    assert images.read(3) == b"image 3"


def test_a_file_that_changed_is_fetched_anew_and_the_old_copy_goes(shards: Path, cache: Path):
    url = f"file://{shards}/train-000000.tar"
    assert given(read(url, SourceOptions())) == {"0000.png": "a", "0001.png": "b"}
    images = {"new.png": b"image", "new.cls": b"c", "old.png": b"image", "old.cls": b"d"}
    pack(shards / "train-000000.tar", images)
    assert given(read(url, SourceOptions())) == {"new.png": "c", "old.png": "d"}
    assert len(list((cache / "fetched").glob("*/*/*.tar"))) == 1
    assert find_parts(url).forget() is None
    assert not list((cache / "fetched").glob("*/*/*.tar"))
