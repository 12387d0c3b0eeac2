"""Forty layouts of public data sets are read as their makers mean them, or told apart in a line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from source_data import put, refusal

from labelclean.data.samples import NO_LABEL, SampleTable
from labelclean.sources import SourceOptions, read

sys.path.insert(0, str(Path(__file__).parent))  # pytest puts no tests on the path

from public_layouts import LAYOUTS, OPTION, REFUSED, Layout, table_text

DOCS = Path(__file__).parents[2] / "docs" / "layouts.md"


def made(folder: Path, layout: Layout) -> Path:
    put(folder, *layout.files)
    for path, text in layout.others.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return folder / layout.source


def check(table: SampleTable, folder: Path, layout: Layout) -> None:
    root = Path(table.root or folder)
    names = [None if k == NO_LABEL else table.class_names[k] for k in table.labels]
    paths = [(root / path).relative_to(folder.absolute()).as_posix() for path in table.paths]
    assert dict(zip(paths, names, strict=True)) == layout.files
    held = [path for path, is_held in zip(paths, table.held_out, strict=True) if is_held]
    assert held == [path for path in paths if path.startswith(layout.held or ("?",))]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_the_layout_of_a_public_data_set(layout: Layout, tmp_path: Path) -> None:
    source = made(tmp_path, layout)
    labels = {"labels": tmp_path / layout.labels} if layout.labels else {}
    if layout.outcome != "read":
        assert layout.says in refusal(source, **labels)
    if layout.outcome == REFUSED:
        return
    table = read(source, SourceOptions(**labels, **layout.options))
    check(table, tmp_path, layout)
    if layout.outcome != OPTION:
        assert layout.says in " ".join(table.notes)


def test_the_page_shows_these_layouts() -> None:
    assert table_text() in DOCS.read_text()
    assert len(LAYOUTS) >= 40
