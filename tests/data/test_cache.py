"""The pixel cache: what is decoded, kept, found again and refused."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cache_data import GB, SPEC, Files, cache_files, loaded, table_of, write_images
from PIL import Image

from labelclean.data import cache, workers
from labelclean.data.cache import Pixels, Streamed, default_cache_dir, load
from labelclean.data.images import ImageSpec
from labelclean.data.samples import (
    DUPLICATE_OF,
    MISSING,
    OK,
    UNLABELLED,
    UNREADABLE,
    ArrayImages,
    SampleTable,
)


@pytest.mark.parametrize("workers", [None, 1, 2])
def test_pixels_are_those_of_the_files_in_their_order(tmp_path: Path, workers: int | None) -> None:
    expected, table = write_images(tmp_path / "in", 600)
    seen: list[tuple[int, int]] = []
    found = loaded(table, tmp_path / "cache", workers=workers, seen=seen)
    assert isinstance(found, Pixels)
    np.testing.assert_array_equal(found.pixels, expected)
    index = np.array([599, 3, 3, 0])
    np.testing.assert_array_equal(found.rows(index), expected[index])
    assert type(found.rows(index)) is np.ndarray
    assert (found.status == OK).all()
    assert seen[-1] == (600, 600)
    assert seen == sorted(seen)


def test_many_images_are_decoded_in_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "FEW", 20)
    expected, table = write_images(tmp_path / "in", 20)
    mine = os.getpid()

    class Elsewhere(Files):
        def read(self, row: int) -> bytes:
            if os.getpid() == mine:
                raise OSError("read in the main process")
            return super().read(row)

    images = Elsewhere(tmp_path / "in", table.paths)
    found = loaded(replace(table, images=images), tmp_path / "cache")
    np.testing.assert_array_equal(found.pixels, expected)


def test_bad_files_get_a_status_with_a_reason_and_the_others_are_not_touched(
    tmp_path: Path,
) -> None:
    expected, table = write_images(tmp_path / "in", 8)
    folder = tmp_path / "in"
    (folder / "00001.png").write_bytes(b"")
    (folder / "00002.png").unlink()
    (folder / "00003.png").write_bytes((folder / "00003.png").read_bytes()[:90])
    (folder / "00004.png").unlink()
    (folder / "00004.png").mkdir()
    status = table.status.copy()
    status[5], status[6], status[7] = UNLABELLED, MISSING, DUPLICATE_OF + "00000.png"
    (folder / "00001.png").write_bytes(b"")
    expected[[1, 2, 3, 4, 6]] = 0
    for limit in (GB, 0):
        found = loaded(table.with_status(status), tmp_path / "cache", limit=limit)
        assert found.status.tolist() == [
            OK, UNREADABLE, MISSING, UNREADABLE, UNREADABLE, UNLABELLED, MISSING,
            DUPLICATE_OF + "00000.png",
        ]  # fmt: skip
        assert found.reason[[1, 2, 4]].tolist() == [
            "the file is empty", "No such file or directory", "Is a directory",
        ]  # fmt: skip
        assert "truncated" in found.reason[3]
        assert not found.reason[[0, 5, 6, 7]].any()
        np.testing.assert_array_equal(found.rows(np.arange(8)), expected)
        assert (found.digest.any(axis=1) == [1, 0, 0, 0, 0, 1, 0, 1]).all()


def test_equal_files_have_equal_digests(tmp_path: Path) -> None:
    _, table = write_images(tmp_path / "in", 4)
    (tmp_path / "in/00003.png").write_bytes((tmp_path / "in/00001.png").read_bytes())
    digest = loaded(table, tmp_path / "cache").digest
    assert digest.shape == (4, 2)
    _, group = np.unique(digest, axis=0, return_inverse=True)
    assert group[3] == group[1]
    assert len(set(group[:3].tolist())) == 3


@pytest.mark.parametrize("limit", [GB, 0])
def test_a_decoder_that_kills_its_process_costs_its_row_only(tmp_path: Path, limit: int) -> None:
    expected, table = write_images(tmp_path / "in", 40)
    mine = os.getpid()

    class Deadly(Files):
        def read(self, row: int) -> bytes:
            if row in (7, 31) and os.getpid() != mine:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().read(row)

    table = replace(table, images=Deadly(tmp_path / "in", table.paths))
    found = loaded(table, tmp_path / "cache", limit=limit, workers=2)
    assert np.flatnonzero(found.status == UNREADABLE).tolist() == [7, 31]
    assert found.reason[7] == "the decoder crashed on it"
    expected[[7, 31]] = 0
    np.testing.assert_array_equal(found.rows(np.arange(40)), expected)


def test_where_no_process_can_start_threads_decode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(job: object) -> None:
        os._exit(1)

    monkeypatch.setattr(workers, "_begin", begin)
    expected, table = write_images(tmp_path / "in", 5)
    np.testing.assert_array_equal(loaded(table, tmp_path / "cache", workers=2).pixels, expected)


def test_a_second_run_starts_from_the_cache(tmp_path: Path) -> None:
    expected, table = write_images(tmp_path / "in", 30)
    (tmp_path / "in/00003.png").write_bytes(b"no image")
    first = loaded(table, tmp_path / "cache")
    seen: list[tuple[int, int]] = []
    second = loaded(table, tmp_path / "cache", seen=seen)
    assert seen == []
    for name in ("pixels", "status", "reason", "digest"):
        np.testing.assert_array_equal(getattr(second, name), getattr(first, name))
    assert second.reason[3] == "not in an image format that photos have"
    assert isinstance(second.pixels, np.memmap)
    second.pixels[:] = 0  # stays in this process
    third = loaded(table, tmp_path / "cache")
    np.testing.assert_array_equal(third.pixels, first.pixels)


def change_content(table: SampleTable, folder: Path) -> SampleTable:
    Image.new("RGB", (8, 8), "red").save(folder / "00004.png")
    return table


def change_time(table: SampleTable, folder: Path) -> SampleTable:
    os.utime(folder / "00004.png", ns=(1, 1))
    return table


def change_name(table: SampleTable, folder: Path) -> SampleTable:
    (folder / "00004.png").rename(folder / "x.png")
    names = (*table.paths[:4], "x.png", *table.paths[5:])
    return replace(table, images=Files(folder, names), paths=names)


def change_order(table: SampleTable, folder: Path) -> SampleTable:
    names = table.paths[::-1]
    return replace(table, images=Files(folder, names), paths=names)


def change_status(table: SampleTable, folder: Path) -> SampleTable:
    return table.with_status(np.array([MISSING] + [OK] * 5, dtype=object))


@pytest.mark.parametrize(
    "change", [change_content, change_time, change_name, change_order, change_status]
)
def test_any_change_of_the_source_is_seen_and_the_older_cache_is_deleted(
    tmp_path: Path, change: object
) -> None:
    _, table = write_images(tmp_path / "in", 6)
    loaded(table, tmp_path / "cache")
    before = cache_files(tmp_path / "cache")
    table = change(table, tmp_path / "in")  # type: ignore[operator]
    seen: list[tuple[int, int]] = []
    found = loaded(table, tmp_path / "cache", seen=seen)
    assert seen
    after = cache_files(tmp_path / "cache")
    assert len(after) == len(before) == 2
    assert not set(after) & set(before)
    for row in np.flatnonzero(found.status == OK):
        with Image.open(io.BytesIO(table.images.read(int(row)))) as image:
            np.testing.assert_array_equal(found.pixels[row], np.asarray(image))


def test_caches_of_other_sources_and_sizes_stay(tmp_path: Path) -> None:
    _, table = write_images(tmp_path / "in", 3)
    _, other = write_images(tmp_path / "other", 3)
    loaded(table, tmp_path / "cache")
    loaded(other, tmp_path / "cache")
    load(
        table,
        ImageSpec(size=4, resize=4),
        cache_dir=tmp_path / "cache",
        limit_bytes=GB,
        workers=None,
        on_progress=lambda done, total: None,
    )
    assert len(cache_files(tmp_path / "cache")) == 6


def test_a_file_that_becomes_accessible_makes_the_cache_stale(tmp_path: Path) -> None:
    expected, table = write_images(tmp_path / "in", 4)
    closed = {2}

    class Closed(Files):
        def read(self, row: int) -> bytes:
            if row in closed:
                raise PermissionError(errno.EACCES, "Permission denied")
            return super().read(row)

    table = replace(table, images=Closed(tmp_path / "in", table.paths))
    found = loaded(table, tmp_path / "cache")
    assert (found.status[2], found.reason[2]) == (UNREADABLE, "Permission denied")
    seen: list[tuple[int, int]] = []
    loaded(table, tmp_path / "cache", seen=seen)
    assert seen == []
    closed.clear()
    found = loaded(table, tmp_path / "cache")
    np.testing.assert_array_equal(found.pixels, expected)
    assert (found.status == OK).all()


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def fill_with_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize(
    "suffix, damage",
    [
        (".pixels", truncate),
        (".pixels", lengthen),
        (".pixels", fill_with_zeros),
        (".pixels", Path.unlink),
        (".npz", truncate),
        (".npz", fill_with_zeros),
        (".npz", Path.unlink),
    ],
)
def test_a_damaged_cache_is_built_anew(tmp_path: Path, suffix: str, damage: object) -> None:
    expected, table = write_images(tmp_path / "in", 100)
    loaded(table, tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob(f"*{suffix}")
    damage(path)  # type: ignore[operator]
    seen: list[tuple[int, int]] = []
    found = loaded(table, tmp_path / "cache", seen=seen)
    assert seen
    np.testing.assert_array_equal(found.pixels, expected)
    assert len(cache_files(tmp_path / "cache")) == 2


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    expected, table = write_images(tmp_path / "in", 600)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for count in (None, 2):
        with pytest.raises(KeyboardInterrupt):
            load(
                table,
                SPEC,
                cache_dir=tmp_path / "cache",
                limit_bytes=GB,
                workers=count,
                on_progress=interrupt,
            )
        assert cache_files(tmp_path / "cache") == []
    np.testing.assert_array_equal(loaded(table, tmp_path / "cache").pixels, expected)


def test_what_a_killed_build_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    _, table = write_images(tmp_path / "in", 3)
    folder = tmp_path / "cache"
    folder.mkdir()
    dead = folder / f"{'a' * 16}-{'b' * 32}.x.partial"
    living = folder / f"{'c' * 16}-{'d' * 32}.x.partial"
    foreign = folder / "thesis.partial"
    for path in (dead, living, foreign):
        path.write_bytes(b"x")
    with cache.FileLock(folder / f"{'c' * 16}.lock"):
        loaded(table, folder)
    assert not dead.exists()
    assert living.exists()
    assert foreign.exists()


def test_a_killed_build_is_not_taken_for_whole_by_the_next(tmp_path: Path) -> None:
    expected, table = write_images(tmp_path / "in", 40)
    script = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]!r}
from pathlib import Path
from cache_data import Files, load, SPEC, table_of
names = {table.paths!r}
folder = Path({str(tmp_path / "in")!r})
table = table_of(Files(folder, names), names, folder)
load(table, SPEC, cache_dir=Path({str(tmp_path / "cache")!r}),
     limit_bytes=10**9, workers=None, on_progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.suffix for path in cache_files(tmp_path / "cache")] == [".partial"]
    np.testing.assert_array_equal(loaded(table, tmp_path / "cache").pixels, expected)
    assert [path.suffix for path in cache_files(tmp_path / "cache")] == [".npz", ".pixels"]


def test_two_builds_at_once_decode_once(tmp_path: Path) -> None:
    expected, table = write_images(tmp_path / "in", 50)
    reads: list[int] = []

    class Slow(Files):
        def read(self, row: int) -> bytes:
            reads.append(row)
            time.sleep(0.002)
            return super().read(row)

    table = replace(table, images=Slow(tmp_path / "in", table.paths))
    results: list[Pixels | Streamed] = []
    runs = [
        threading.Thread(target=lambda: results.append(loaded(table, tmp_path / "cache")))
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(reads) == 50
    for found in results:
        np.testing.assert_array_equal(found.pixels, expected)


def test_pixels_in_memory_are_neither_copied_nor_stored(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    pixels[4] = pixels[1]
    paths = tuple(f"#{row}" for row in range(5))
    found = loaded(
        table_of(ArrayImages(pixels=pixels, rows=np.arange(5)), paths), tmp_path / "cache"
    )
    assert found.pixels is pixels
    assert (found.digest[4] == found.digest[1]).all()
    assert len(np.unique(found.digest, axis=0)) == 4
    assert not (tmp_path / "cache").exists()
    rows = np.array([3, 0])
    part = loaded(table_of(ArrayImages(pixels=pixels, rows=rows), paths[:2]), tmp_path / "cache")
    np.testing.assert_array_equal(part.pixels, pixels[rows])


def test_pixels_in_memory_of_another_size_are_resized(tmp_path: Path) -> None:
    pixels = np.repeat(np.arange(4, dtype=np.uint8), 16 * 16 * 3).reshape(4, 16, 16, 3)
    paths = tuple("abcd")
    found = loaded(
        table_of(ArrayImages(pixels=pixels, rows=np.arange(4)), paths),
        tmp_path / "cache",
        workers=2,
    )
    np.testing.assert_array_equal(found.pixels, pixels[:, :8, :8])


def test_the_cache_folder_is_the_users_or_the_one_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LABELCLEAN_CACHE", raising=False)
    assert "labelclean" in str(default_cache_dir())
    monkeypatch.setenv("LABELCLEAN_CACHE", str(tmp_path))
    assert default_cache_dir() == tmp_path
    _, table = write_images(tmp_path / "in", 3)
    load(table, SPEC, cache_dir=None, limit_bytes=GB, workers=None, on_progress=lambda *_: None)
    assert list(tmp_path.glob("*.pixels"))
