"""Real photos that are too large for the project: looked for beside it, in ../shared/data."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from labelclean import sources
from labelclean.config import RuntimeConfig
from labelclean.data.duplicates import conflicting
from labelclean.progress import Reporter
from labelclean.workflows.preparing import prepare

FLOWERS = Path(__file__).parent.parent.parent / "shared" / "data" / "flowers128.tar"


@pytest.mark.skipif(not FLOWERS.is_file(), reason="no ../shared/data/flowers128.tar")
def test_the_duplicates_of_real_photos_that_sit_in_two_classes_are_found(tmp_path: Path):
    with tarfile.open(FLOWERS) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = (entry for entry in tmp_path.iterdir() if entry.is_dir())
    table = sources.read(folder, sources.SourceOptions())
    where = RuntimeConfig(cache_dir=tmp_path / "cache")
    samples = prepare(table, where, device_is_cpu=True, reporter=Reporter())
    assert (len(table), table.num_classes, samples.spec.size) == (4317, 5, 128)
    assert (samples.table.status == "ok").sum() + np.sum(
        [str(status).startswith("duplicate_of:") for status in samples.table.status]
    ) == 4317
    rows = np.flatnonzero(conflicting(samples.first, table.labels))
    contents = {
        image: {(folder / table.paths[k]).read_bytes() for k in rows[samples.first[rows] == image]}
        for image in samples.first[rows].tolist()
    }
    assert len(contents) == 4
    assert all(len(files) == 1 for files in contents.values())
