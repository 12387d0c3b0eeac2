"""Small grids for the tests of benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from labelclean.benchmark.dataset import Origin
from labelclean.benchmark.grid import GridConfig
from labelclean.config import RuntimeConfig
from labelclean.config.source_options import SourceOptions


def origin_of(data: Path | str, **options: Any) -> Origin:
    runtime = RuntimeConfig(device="cpu", precision="float32")
    return Origin(data=str(data), options=SourceOptions(), runtime=runtime, **options)


def config_of(data: Path | str, **given: Any) -> GridConfig:
    plain = {"noises": ("symm:0.2",), "methods": ("ce",), "seeds": 1, "epochs": 3}
    return GridConfig(data=str(data), threads=1, device="cpu", **{**plain, **given})
