"""PackedNames: a list of names in little memory."""

from __future__ import annotations

import pytest

from labelclean.tables import packed_names
from labelclean.tables.packed_names import PackedNames

NAMES = ["a.png", "ü/漢.png", "broken\udcff.png", "", "a.png", "last.png"]


@pytest.mark.parametrize("at_once", [2, 65_536])
def test_it_is_the_list_of_its_names(monkeypatch: pytest.MonkeyPatch, at_once: int):
    monkeypatch.setattr(packed_names, "_AT_ONCE", at_once)
    packed = PackedNames(iter(NAMES))
    assert list(packed) == NAMES and len(packed) == 6
    assert [packed[k] for k in range(-6, 6)] == NAMES + NAMES
    assert packed[1:3] == NAMES[1:3] and "last.png" in packed
    places = packed.places_of(["last.png", "none", "broken\udcff.png", "a.png", ""])
    assert places.tolist() == [5, -1, 2, 0, 3]
    assert PackedNames([]).places_of(["x"]).tolist() == [-1]
    assert packed.places_of([]).tolist() == []
