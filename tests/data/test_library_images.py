"""The test images of two image libraries: the same ones are readable, with the same pixels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / ".tools" / "library-images"


@pytest.mark.parametrize("library", ["Pillow/Tests/images", "image/tests"])
def test_the_images_of_a_library_are_read_as_pillow_reads_them(library: str) -> None:
    folder = FOLDER / library
    if not folder.is_dir():
        pytest.skip("the libraries' images are not here: make library-images fetches them")
    script = Path(__file__).with_name("library_images.py")
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(found)
    assert found["differing"] == []
    assert found["files"] > 300 and found["readable"] > 0.5 * found["files"]
    assert found["peak_mb"] < 2000
