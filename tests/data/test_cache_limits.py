"""The pixel cache where disk or limit do not suffice: images stream, and nothing is lost."""

from __future__ import annotations

import errno
import os
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from cache_data import cache_files, loaded, write_images

from labelclean.data import cache
from labelclean.data.cache import Pixels, Streamed
from labelclean.data.samples import (
    UNREADABLE,
)
from labelclean.errors import SourceError


def test_images_beyond_the_limit_are_streamed_and_checked_once(tmp_path: Path) -> None:
    expected, table = write_images(tmp_path / "in", 10)
    (tmp_path / "in/00003.png").write_bytes(b"no image")
    expected[3] = 0
    found = loaded(table, tmp_path / "cache", limit=10 * 192 - 1)
    assert isinstance(found, Streamed)
    assert found.pixels is None
    assert found.why == "0.0 MB of pixels, and --cache-limit is 0.0 MB"
    index = np.array([9, 3, 3, 0])
    np.testing.assert_array_equal(found.rows(index), expected[index])
    assert found.status[3] == UNREADABLE
    seen: list[tuple[int, int]] = []
    again = loaded(table, tmp_path / "cache", limit=10 * 192 - 1, seen=seen)
    assert seen == []
    np.testing.assert_array_equal(again.digest, found.digest)
    stored = loaded(table, tmp_path / "cache", limit=10 * 192)
    assert isinstance(stored, Pixels)
    np.testing.assert_array_equal(stored.pixels, expected)


def test_a_limit_of_zero_writes_nothing(tmp_path: Path) -> None:
    _, table = write_images(tmp_path / "in", 3)
    assert isinstance(loaded(table, tmp_path / "cache", limit=0), Streamed)
    assert not (tmp_path / "cache").exists()


def test_a_streamed_image_that_goes_away_is_one_clear_error(tmp_path: Path) -> None:
    _, table = write_images(tmp_path / "in", 3)
    found = loaded(table, tmp_path / "cache", limit=0)
    (tmp_path / "in/00001.png").unlink()
    with pytest.raises(SourceError, match=r"00001\.png: was readable when this run began"):
        found.rows(np.arange(3))


def test_no_room_on_the_disk_is_seen_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, table = write_images(tmp_path / "in", 4)
    usage = cache.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: usage._replace(free=700))
    found = loaded(table, tmp_path / "cache")
    assert isinstance(found, Streamed)
    assert found.why.endswith("0.0 MB of pixels, and 0.0 MB of disk free")
    np.testing.assert_array_equal(found.rows(np.arange(4)), expected)
    assert cache_files(tmp_path / "cache") == []


@pytest.mark.parametrize("function", ["fsync", "posix_fallocate", "replace"])
def test_a_disk_that_fills_up_while_writing_leads_to_streaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    expected, table = write_images(tmp_path / "in", 4)

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, function, full)
    found = loaded(table, tmp_path / "cache")
    assert isinstance(found, Streamed)
    assert found.why == f"no pixel cache in {tmp_path / 'cache'}: No space left on device"
    np.testing.assert_array_equal(found.rows(np.arange(4)), expected)
    assert cache_files(tmp_path / "cache") == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("workers", [None, 1])
def test_a_full_disk_in_a_decoding_process_leads_to_streaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int | None
) -> None:
    expected, table = write_images(tmp_path / "in", 4)
    monkeypatch.setattr(cache._Store, "reserved", lambda *_: nullcontext(Path("/dev/full")))
    found = loaded(table, tmp_path / "cache", workers=workers)
    assert isinstance(found, Streamed)
    assert found.why.endswith("No space left on device")
    np.testing.assert_array_equal(found.rows(np.arange(4)), expected)


def test_a_cache_folder_that_cannot_be_made_leads_to_streaming(tmp_path: Path) -> None:
    expected, table = write_images(tmp_path / "in", 4)
    (tmp_path / "file").write_text("")
    found = loaded(table, tmp_path / "file" / "cache")
    assert isinstance(found, Streamed)
    assert found.why == f"no pixel cache in {tmp_path / 'file/cache'}: Not a directory"
    np.testing.assert_array_equal(found.rows(np.arange(4)), expected)
