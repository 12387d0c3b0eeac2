"""Small folders and tables for the tests of the sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from labelclean.data.samples import NO_LABEL, SampleTable
from labelclean.errors import SourceError
from labelclean.sources.reading import SourceOptions, read


def put(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())


def labels_file(path: Path, *lines: str, header: str = "image,label") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def given(table: SampleTable) -> dict[str, str | None]:
    names = [None if k == NO_LABEL else table.class_names[k] for k in table.labels]
    return dict(zip(table.paths, names, strict=True))


def refusal(source: Path | str, **options: object) -> str:
    with pytest.raises(SourceError) as caught:
        read(source, SourceOptions(**options))  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message


ABCD = ("a.png,cat", "b.png,dog", "sub/c.png,cat", "sub/d.PNG,dog")
