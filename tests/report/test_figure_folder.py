"""A folder of figures: written whole or not at all, and replaced only when asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labelclean.errors import OutputError
from labelclean.report.figure_folder import check_can_write_figures, write_figures

NAMES = ("scores.png", "pairs.png")
DRAWN = dict.fromkeys(NAMES, b"png")


def test_plots_are_written_whole_into_a_new_folder(tmp_path: Path):
    folder = tmp_path / "plots"
    check_can_write_figures(folder, NAMES)
    write_figures(folder, NAMES, DRAWN)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == DRAWN


def test_nothing_is_left_when_a_plot_cannot_be_written(tmp_path: Path, monkeypatch):
    replace, calls = os.replace, []

    def failing(one, other):
        calls.append(other)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        replace(one, other)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OutputError, match="No space left on device; free some space"):
        write_figures(tmp_path / "plots", NAMES, DRAWN)
    assert list(tmp_path.iterdir()) == []


def test_plots_that_are_there_are_replaced_only_by_force_and_then_all(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    write_figures(tmp_path, NAMES, DRAWN)
    with pytest.raises(OutputError, match=r"scores\.png: already exists; .* --force"):
        check_can_write_figures(tmp_path, NAMES)
    check_can_write_figures(tmp_path, NAMES, force=True)
    write_figures(tmp_path, NAMES, {"pairs.png": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "notes.txt": b"mine",
        "pairs.png": b"new",
    }


def test_a_place_that_is_no_folder_is_refused_before_anything_is_computed(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is no folder"):
        check_can_write_figures(tmp_path / "file", NAMES)


def test_folders_above_are_made(tmp_path: Path):
    folder = tmp_path / "a" / "b"
    check_can_write_figures(folder, NAMES)
    write_figures(folder, NAMES, DRAWN)
    assert {path.name for path in folder.iterdir()} == set(NAMES)
