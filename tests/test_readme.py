"""The commands and the code that the README shows, run as they are written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from labelclean.data import demo

README = (Path(__file__).parent.parent / "README.md").read_text()
COMMANDS = re.findall(r"^\$ (.+)$", README, flags=re.MULTILINE)
CODE = re.findall(r"^```python\n(.+?)^```", README, flags=re.MULTILINE | re.DOTALL)


def _environment(folder: Path) -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": scripts + os.pathsep + os.environ["PATH"],
        "LABELCLEAN_CACHE": str(folder / "cache"),
    }


def _run(command: str, folder: Path) -> str:
    done = subprocess.run(
        command, shell=True, cwd=folder, env=_environment(folder), capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_first_three_commands_find_the_wrong_labels_of_the_demo(tmp_path: Path):
    first_three = COMMANDS[:3]
    assert [shlex.split(command)[1] for command in first_three] == ["demo", "filter", "evaluate"]
    *_, printed = [_run(command, tmp_path) for command in first_three]
    figures = dict(re.findall(r"^(\S[^\n]*?) {2,}(\d\.\d+) ", printed, flags=re.MULTILINE))
    assert float(figures["average precision"]) > 0.9
    assert float(figures["F1"]) > 0.8
    assert float(figures["noise rate error"]) < 0.03
    assert float(figures["calibration error"]) < 0.05


def _write_inputs(folder: Path) -> None:
    """Forty squares in every form that the README's commands name."""
    pixels, labels = demo.demo_images()
    rows = np.concatenate([np.flatnonzero(labels == k)[:20] for k in (1, 9)])
    names = [demo.CLASSES[k] for k in labels[rows]]
    images = folder / "images"
    images.mkdir()
    (folder / "imagefolder").mkdir()
    lines = []
    for row, name in zip(rows.tolist(), names, strict=True):
        image = Image.fromarray(pixels[row])
        (folder / "class_folders" / name).mkdir(parents=True, exist_ok=True)
        for place in (images, folder / "imagefolder", folder / "class_folders" / name):
            image.save(place / f"{row}.png")
        lines.append(f"{row}.png,{name}\n")
    (folder / "labels.csv").write_text("image,label\n" + "".join(lines))
    (folder / "imagefolder" / "metadata.csv").write_text("file_name,label\n" + "".join(lines))
    encoded = [(images / f"{row}.png").read_bytes() for row in rows.tolist()]
    pq.write_table(pa.table({"image": encoded, "label": names}), folder / "images.parquet")
    (folder / "data" / "cifar-10-batches-bin").mkdir(parents=True)
    cifar = np.random.default_rng(0).integers(0, 256, (20, 3073), dtype=np.uint8)
    cifar[:, 0] = np.arange(20) % 10
    for k in range(1, 6):
        cifar.tofile(folder / "data" / "cifar-10-batches-bin" / f"data_batch_{k}.bin")
    cifar.tofile(folder / "data" / "cifar-10-batches-bin" / "test_batch.bin")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS[3:])
def test_every_other_command_runs_on_files_of_its_names(tmp_path: Path, command: str):
    _write_inputs(tmp_path)
    if command.startswith("labelclean filter labels.csv"):  # paths relative to the table
        for path in (tmp_path / "images").iterdir():
            path.rename(tmp_path / path.name)
    if "noisy/" in command:
        (making,) = (other for other in COMMANDS if "--out noisy" in other)
        _run(making, tmp_path)
    _run(command, tmp_path)


@pytest.mark.slow
def test_the_python_code_runs(tmp_path: Path):
    (code,) = CODE
    demo.write_demo(tmp_path / "demo")
    _run(f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}", tmp_path)
