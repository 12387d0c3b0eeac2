"""Small folders and tables for the tests of the sources."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from labelclean.config.source_options import SourceOptions
from labelclean.data.samples import NO_LABEL, SampleTable
from labelclean.errors import SourceError
from labelclean.sources.read_source import read


def put(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())


def labels_file(path: Path, *lines: str, header: str = "image,label") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def coco(labels: Mapping[str, Sequence[str]]) -> dict[str, list[dict[str, object]]]:
    """COCO's objects for images and the labels of each; ids of categories count from 1."""
    classes = sorted({label for each in labels.values() for label in each})
    return {
        "images": [{"id": k, "file_name": name} for k, name in enumerate(labels)],
        "annotations": [
            {"image_id": k, "category_id": classes.index(label) + 1}
            for k, each in enumerate(labels.values())
            for label in each
        ],
        "categories": [{"id": k, "name": name} for k, name in enumerate(classes, 1)],
    }


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


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (2, 2), shade).save(out, "png")
    return out.getvalue()


CELLS = [png(k) for k in range(7)]


def write_parquet(path: Path, *, struct: bool, names: bool = True, cells=CELLS) -> None:
    meta = {"label": {"names": ["dog", "cat"], "_type": "ClassLabel"}}
    column = (
        [{"bytes": cell, "path": f"{k}.png" if names else None} for k, cell in enumerate(cells)]
        if struct
        else cells
    )
    table = pa.table({"image": column, "label": [k % 2 for k in range(len(cells))]})
    table = table.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": meta}})} if struct else {}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=3)


def pack(path: Path, contents: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as out:
            for name, data in contents.items():
                out.writestr(name, data)
        return path
    mode = {"tar": "w", "tgz": "w:gz"}.get(path.suffix[1:], f"w:{path.suffix[1:]}")
    with tarfile.open(path, mode) as out:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path
