"""A new input format is one class: looks_like and read; the rest follows from its base."""

from __future__ import annotations

import numpy as np
from source_data import given, put

from labelclean.sources import SourceOptions, formats, read
from labelclean.sources.protocol import FileFormat, Found, Place
from labelclean.sources.rows import Rows


class NamedByLabel(FileFormat):
    """cat_1.png: the label stands in the file's name."""

    name = "labels in file names"

    def looks_like(self, place: Place) -> str | None:
        return (
            "cat_1.png" if place.is_folder and all("_" in path for path in place.images) else None
        )

    def read(self, place: Place, labelled: bool) -> Found:
        names = place.images
        rows = Rows(
            names=names,
            labels=[name.split("_")[0] for name in names],
            splits=[None] * len(names),
            where=names.__getitem__,
            origin=place.source,
        )
        return Found(
            rows=rows,
            is_there=np.ones(len(rows), bool),
            images=lambda kept: place.listing.images([names[k] for k in kept.tolist()]),
            root=place.root,
            why="cat_1.png",
        )


def test_a_format_is_added_in_one_file(tmp_path, monkeypatch):
    put(tmp_path, "cat_1.png", "cat_2.png", "dog_1.png", "dog_2.png")
    monkeypatch.setattr(formats, "FORMATS", [NamedByLabel(), *formats.FORMATS])
    table = read(tmp_path, SourceOptions())
    assert given(table) == {p: p.split("_")[0] for p in table.paths} and len(table) == 4
