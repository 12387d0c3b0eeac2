"""inject_noise as its tests call it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from labelclean.config.source_options import SourceOptions
from labelclean.errors import LabelcleanError
from labelclean.workflows.injecting import NoiseSpec, inject_noise


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def inject(source, tmp_path, *, out="out", labels=None, root=None, split=None, **given):
    """Into tmp_path/out; what is not for inject_noise itself goes into the spec."""
    more = {k: given.pop(k) for k in ("images_as", "force", "reporter") if k in given}
    return inject_noise(
        source,
        SourceOptions(labels=labels, root=root, split=split),
        spec=NoiseSpec(**given),
        out=tmp_path / out,
        **more,
    )


def refused(*arguments, **given) -> str:
    with pytest.raises(LabelcleanError) as caught:
        inject(*arguments, **given)
    assert "\n" not in str(caught.value)
    return str(caught.value)
