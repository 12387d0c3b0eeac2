"""Fixtures for the tests of data."""

from __future__ import annotations

from pathlib import Path

import pytest
from source_data import put


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    put(folder, "a.png", "b.png", "sub/c.png", "sub/d.PNG")
    return folder
