"""Outputs appear whole or not at all, are one writer's at a time, and are finished after a kill."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labelclean import disk
from labelclean.disk import Move
from labelclean.errors import OutputError

CALLS = ("replace", "rename", "link", "fsync", "unlink", "rmdir")


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def replace_all(folder: Path) -> None:
    """Two files and a folder take the place of others, and one file goes."""
    with disk.claim(folder / "a"), disk.stage(folder / "a") as stage:
        for name in ("a", "b"):
            disk.write_durably(stage.path / name, b"new")
        (stage.path / "c").mkdir()
        disk.write_durably(stage.path / "c" / "d", b"new")
        stage.exchange(["a", "b", "c", "gone"])


NEW = {"a": b"new", "b": b"new", "c": None, "c/d": b"new"}


def fill(folder: Path) -> None:
    (folder / "a").write_text("old")
    (folder / "gone").write_text("old")
    (folder / "c").mkdir()
    (folder / "c" / "old").write_text("old")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path)
    return tmp_path


def killed_at(number: int, action, folder: Path) -> bool:
    """Whether a child was killed before its file operation of that number while it did it."""
    child = os.fork()
    if child == 0:
        seen = 0

        def hook(event: str, args: tuple[object, ...]) -> None:
            nonlocal seen
            if event in ("open", "os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir"):
                seen += 1
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            action(folder)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_kill_at_any_point_leaves_the_old_or_the_new_after_the_next_run(folder: Path):
    old = tree(folder)
    number, seen = 1, set()
    while killed_at(number, replace_all, folder):
        for name in ("a", "b", "c"):
            disk.finish(folder / name)
        with disk.claim(folder / "a"):
            pass
        now = tree(folder)
        assert now in (old, NEW)
        seen.add(now == NEW)
        for name in NEW:
            disk.remove(folder / name)
        fill(folder)
        number += 1
    assert number > 20 and seen == {False, True}
    assert tree(folder) == NEW


@pytest.mark.parametrize("call", CALLS)
def test_an_error_at_any_call_leaves_all_as_it_was_or_all_new(call, folder: Path, monkeypatch):
    old, real = tree(folder), getattr(os, call)
    number = 0
    while True:
        number, calls = number + 1, 0

        def failing(*args, at=number, **kwargs):
            nonlocal calls
            calls += 1
            if calls == at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            try:
                replace_all(folder)
            except OutputError as error:
                assert "cannot be written: No space left on device; free some space" in str(error)
        with disk.claim(folder / "a"):
            pass
        assert tree(folder) in (old, NEW)
        if calls < number:
            break
        for name in NEW:
            disk.remove(folder / name)
        fill(folder)


def test_a_place_is_finished_by_who_reads_it(folder: Path):
    number = 1
    while killed_at(number, replace_all, folder):
        plans = list(folder.glob(f"{disk.PREFIX}*/{disk.PREFIX}plan"))
        if plans:
            disk.finish(folder / "a")
            assert tree(folder) == NEW
            return
        number += 1
    raise AssertionError("no plan was ever there")


def test_an_output_that_another_process_writes_is_refused_with_its_name(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from labelclean import disk\n"
        "sys.argv = ['labelclean', 'filter']\n"
        "with disk.claim(Path(sys.stdin.readline().strip())):\n"
        "    print('held', flush=True); sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        print(tmp_path / "out.csv", file=other.stdin, flush=True)
        assert other.stdout.readline() == "held\n"
        with pytest.raises(
            OutputError, match=rf"out.csv: process {other.pid} on .* \(labelclean filter, since"
        ):
            with disk.claim(tmp_path / "out.csv"):
                pass
        with disk.claim(tmp_path / "other.csv"):
            pass
        other.kill()
    with disk.claim(tmp_path / "out.csv"):  # the lock of a dead process is no obstacle
        pass
    assert os.listdir(tmp_path) == []


def test_another_thread_is_refused_and_a_claim_within_a_claim_is_not(tmp_path: Path):
    def take():
        with disk.claim(tmp_path / "out"):
            return True

    with disk.claim(tmp_path / "out"):
        assert take()
        with ThreadPoolExecutor(1) as pool, pytest.raises(OutputError, match="is writing it"):
            pool.submit(take).result()


def test_two_spellings_of_a_place_are_one_output(tmp_path: Path):
    (tmp_path / "way").symlink_to(tmp_path)
    with disk.claim(tmp_path / "out"), ThreadPoolExecutor(1) as pool:
        with pytest.raises(OutputError, match="is writing it"):
            pool.submit(lambda: disk.claim(tmp_path / "way" / "out").__enter__()).result()


@pytest.mark.parametrize(
    "plan",
    [
        [["../x", None, "a"]],
        [["a", "/etc/passwd", "b"]],
        [["a", "b/c", "d"]],
        [[1, 2, 3]],
        [["a"]],
        [],
        "no",
    ],
)
def test_a_plan_that_leads_out_of_its_folder_is_not_followed(plan, folder: Path):
    with disk.claim(folder / "a"), disk.stage(folder / "a") as stage:
        name = stage.path.name
    (folder / name).mkdir()
    (folder / name / f"{disk.PREFIX}plan").write_text(json.dumps(plan))
    before = tree(folder)
    with pytest.raises(OutputError, match="damaged, left by a run that was killed"):
        with disk.claim(folder / "a"):
            pass
    assert tree(folder) == before


def test_what_is_kept_is_found_under_its_name(tmp_path: Path):
    (tmp_path / "out").write_text("old")
    with disk.stage(tmp_path / "out") as stage:
        disk.write_durably(stage.path / "x", b"new")
        stage.place([Move("out", stage.within("x"), "out.before-1")])
    assert tree(tmp_path) == {"out": b"new", "out.before-1": b"old"}


def test_modes_follow_the_umask(tmp_path: Path):
    old = os.umask(0o027)
    try:
        disk.write_files({tmp_path / "a": b"x"})
        with disk.staged(tmp_path / "b") as place:
            place.mkdir()
    finally:
        os.umask(old)
    assert [oct((tmp_path / name).stat().st_mode & 0o777) for name in "ab"] == ["0o640", "0o750"]


def test_a_claimed_folder_goes_if_nothing_came_into_it(tmp_path: Path):
    with disk.claim_folder(tmp_path / "a" / "b"):
        disk.check_writable(tmp_path / "a" / "b" / "x")
    assert os.listdir(tmp_path) == []
    with disk.claim_folder(tmp_path / "a"):
        disk.write_files({tmp_path / "a" / "x": b"x"})
    assert tree(tmp_path) == {"a": None, "a/x": b"x"}


def test_only_disk_moves_files_into_place():
    package = Path(disk.__file__).parent
    rooms_of_their_own = {"disk.py", "cache.py"}  # the cache of pixels is no output
    for path in package.rglob("*.py"):
        if path.name not in rooms_of_their_own:
            text = path.read_text()
            for word in ("os.replace(", "os.rename(", "shutil.move(", ".rename("):
                assert word not in text, f"{path.name}: {word}"
