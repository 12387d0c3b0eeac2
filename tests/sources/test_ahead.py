"""Files that come while the one before is worked on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from labelclean.errors import SourceError
from labelclean.sources import fetching
from labelclean.sources.ahead import Ahead
from labelclean.sources.remote import Parts, find_parts

WAIT = 20  # seconds, of which hardly any is needed


def _advance(done: float, total: float, text: str) -> None:
    pass


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Parts]:
    monkeypatch.setenv("LABELCLEAN_CACHE", str(tmp_path / "cache"))
    for number in range(3):
        (tmp_path / f"{number}.tar").write_bytes(bytes([number]) * 4096)
    parts = find_parts(f"file://{tmp_path}/{{0..2}}.tar")
    return [parts.only(number) for number in range(3)]


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files whose fetching began, and how often."""
    names: list[str] = []
    fetch = fetching.fetch

    def noted(url: str, place: Path, on_bytes: Any) -> None:
        names.append(url.rsplit("/", 1)[1])
        fetch(url, place, on_bytes)

    monkeypatch.setattr(fetching, "fetch", noted)
    return names


def _settle(ahead: Ahead) -> None:
    if ahead._thread is not None:
        ahead._thread.join(WAIT)
        assert not ahead._thread.is_alive()


def test_the_next_file_comes_before_anybody_asks_for_it(files: list[Parts], fetched: list[str]):
    with Ahead(files) as ahead:
        for number in range(3):
            one = ahead.arrived(number, _advance)
            assert one.local().read_bytes() == bytes([number]) * 4096
            _settle(ahead)
            assert fetched == ["0.tar", "1.tar", "2.tar"][: number + 2]  # each once


def test_what_failed_ahead_is_tried_again_and_then_said(
    files: list[Parts], fetched: list[str], tmp_path: Path
):
    with Ahead(files) as ahead:
        ahead.arrived(0, _advance)
        _settle(ahead)
        files[1].forget()
        (tmp_path / "1.tar").unlink()
        (tmp_path / "2.tar").rename(tmp_path / "away")
        with pytest.raises(SourceError, match=r"1\.tar.*no such file"):
            ahead.arrived(1, _advance)
        (tmp_path / "1.tar").write_bytes(b"again")
        assert ahead.arrived(1, _advance).local().read_bytes() == b"again"
        _settle(ahead)  # 2.tar is not there
        (tmp_path / "away").rename(tmp_path / "2.tar")
        assert ahead.arrived(2, _advance).local().read_bytes() == bytes([2]) * 4096


def test_who_leaves_early_leaves_nothing_half_fetched(
    files: list[Parts], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    fetch, begun = fetching.fetch, threading.Event()

    def slow(url: str, place: Path, on_bytes: Any) -> None:
        if url.endswith("0.tar"):
            return fetch(url, place, on_bytes)
        place.write_bytes(b"half")
        begun.set()
        for _ in range(1000 * WAIT):
            on_bytes(1)
            threading.Event().wait(0.001)
        raise AssertionError("nobody stopped it")

    monkeypatch.setattr(fetching, "fetch", slow)
    with pytest.raises(KeyboardInterrupt), Ahead(files) as ahead:
        ahead.arrived(0, _advance)
        assert begun.wait(WAIT)
        raise KeyboardInterrupt
    _settle(ahead)
    assert [path.name for path in (tmp_path / "cache").rglob("*.tar*")] == ["0.tar"]
    assert len(list((tmp_path / "cache").rglob("*.part*"))) == 0
