"""The commands and the code that README and docs/ show, run as they are written."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forked import Zygote
from PIL import Image
from source_data import coco, pack

from labelclean.data import demo
from labelclean.decisions.decision import Decision
from labelclean.decisions.store import DecisionStore, decisions_path, digest_of
from labelclean.report.report import Report

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
COMMANDS = list(dict.fromkeys(re.findall(r"^\$ (.+?)(?: +# .*)?$", TEXT, flags=re.MULTILINE)))
DEMO = Path(os.environ["DEMO"]) if "DEMO" in os.environ else None  # what `make demo` left
CODE = re.findall(r"^```python\n(.+?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def _environment(folder: Path) -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": scripts + os.pathsep + os.environ["PATH"],
        "LABELCLEAN_CACHE": str(folder / "cache"),
    }


SHELL = re.compile(r"[|&;<>$`]")  # what a shell makes of a command but for quotes


def _run(command: str, folder: Path, zygote: Zygote | None = None) -> str:
    """The output of a command; without what needs a shell in a fork, which is much quicker."""
    if zygote and command.startswith("labelclean ") and not SHELL.search(command):
        words = shlex.split(command)[1:]
        ended = zygote.run(folder, *words, env=_environment(folder))
        assert ended.code == 0, f"{command}: {ended.err}"
        return ended.out
    done = subprocess.run(
        command, shell=True, cwd=folder, env=_environment(folder), capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_first_three_commands_find_the_wrong_labels_of_the_demo(tmp_path: Path):
    first_three = COMMANDS[:3]
    assert [shlex.split(command)[1] for command in first_three] == ["demo", "filter", "evaluate"]
    if DEMO is None:
        *_, printed = [_run(command, tmp_path) for command in first_three]
    else:  # `make demo` has run the same three
        assert _recipe("demo") == [_as_in_makefile(command) for command in first_three]
        printed = _run(_as_in_makefile(first_three[-1]), DEMO.parent)
    figures = dict(re.findall(r"^(\S[^\n]*?) {2,}(\d\.\d+) ", printed, flags=re.MULTILINE))
    assert float(figures["average precision"]) > 0.9
    assert float(figures["F1"]) > 0.8
    assert float(figures["noise rate error"]) < 0.03
    assert float(figures["calibration error"]) < 0.05


def _recipe(target: str) -> list[str]:
    """The commands of labelclean in a target of the Makefile."""
    text = (ROOT / "Makefile").read_text()
    (recipe,) = re.findall(rf"^{target}:.*\n((?:\t.+\n)+)", text, flags=re.MULTILINE)
    lines = [line.strip().removeprefix("$(BIN)/") for line in recipe.splitlines()]
    return [line.removesuffix(" --force") for line in lines]


def _as_in_makefile(command: str) -> str:
    """With the Makefile's folder, in which the report lies too."""
    return command.replace("./clothes", "demo").replace("report.csv", "demo/report.csv")


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
    pairs = [line.strip().split(",") for line in lines]
    (folder / "coco.json").write_text(json.dumps(coco({name: [label] for name, label in pairs})))
    (folder / "imagefolder" / "metadata.csv").write_text("file_name,label\n" + "".join(lines))
    encoded = [(images / f"{row}.png").read_bytes() for row in rows.tolist()]
    pq.write_table(pa.table({"image": encoded, "label": names}), folder / "images.parquet")
    for number in range(4):
        contents: dict[str, bytes] = {}
        for name, label in pairs[number::4]:
            contents[name] = (images / name).read_bytes()
            contents[name.replace(".png", ".cls")] = label.encode()
        pack(folder / "shards" / f"train-{number:06}.tar", contents)
    (folder / "data" / "cifar-10-batches-bin").mkdir(parents=True)
    cifar = np.random.default_rng(0).integers(0, 256, (20, 3073), dtype=np.uint8)
    cifar[:, 0] = np.arange(20) % 10
    for k in range(1, 6):
        cifar.tofile(folder / "data" / "cifar-10-batches-bin" / f"data_batch_{k}.bin")
    cifar.tofile(folder / "data" / "cifar-10-batches-bin" / "test_batch.bin")


REVIEW = "labelclean review report.csv"
BEFORE = {  # what the page has done by then: part of a command -> part of the one it needs
    "noisy/labels.csv": "--out noisy",
    "predicted.csv --truth": "--out predicted.csv",
    "--undo clean.csv": "--above 0.9 --out clean.csv",
    "predict model": "labelclean train",
    "filter features": "--shard $part/2",
}


def _command(part: str) -> str:
    return next(command for command in COMMANDS if part in command)


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory, zygote: Zygote) -> Path:
    """The inputs and report.csv, made in a few epochs."""
    folder = tmp_path_factory.mktemp("filtered")
    _write_inputs(folder)
    # the commands stay as they are written
    (folder / "labelclean.toml").write_text("[filter]\nepochs = 2\nviews = ['scratch']\n")
    _run("labelclean filter ./images labels.csv --out report.csv", folder, zygote)
    report = Report.read(folder / "report.csv")
    image, label = report.frame.loc[0, ["image", "given_label"]]
    about = {"image": image, "label": label, "before": label, "reviewer": "", "at": ""}
    store = DecisionStore.open(
        decisions_path(folder / "report.csv"), report_digest=digest_of(report)
    )
    store.record([Decision(action="keep", **about)])
    store.close()
    choice = {"type": "choices", "from_name": "label", "value": {"choices": [label]}}
    task = {"data": {"image": image}, "annotations": [{"result": [choice]}]}
    (folder / "project-1.json").write_text(json.dumps([task]))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", [x for x in COMMANDS[3:] if not x.startswith(REVIEW)])
def test_every_other_command_runs_on_files_of_its_names(
    tmp_path: Path, filtered: Path, zygote: Zygote, command: str
):
    shutil.copytree(filtered, tmp_path, dirs_exist_ok=True)
    if "filter" in command and "report." not in command.split("--out")[0]:
        (tmp_path / "report.csv").unlink()
        (tmp_path / "report.meta.json").unlink()
    if "--save-config" in command or "filter features" in command:
        (tmp_path / "labelclean.toml").unlink()
    if command.startswith("labelclean filter labels.csv"):  # paths relative to the table
        for path in (tmp_path / "images").iterdir():
            path.rename(tmp_path / path.name)
    for part, needed in BEFORE.items():
        if part in command:
            _run(_command(needed), tmp_path, zygote)
    _run(command, tmp_path, zygote)


@pytest.mark.slow
def test_review_serves_its_page_until_it_is_interrupted(tmp_path: Path, filtered: Path):
    shutil.copytree(filtered, tmp_path, dirs_exist_ok=True)
    command = next(x for x in COMMANDS if x.startswith(REVIEW))
    environment = {**_environment(tmp_path), "BROWSER": "true"}  # a program that does nothing
    with subprocess.Popen(
        shlex.split(command, comments=True),
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        url = re.search(r"http://127\.0\.0\.1:\d+/\S*", server.stdout.readline())
        assert url is not None
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(url.group()) as answer:
            assert answer.status == 200 and b"labelclean" in answer.read()
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0


@pytest.mark.slow
def test_the_python_code_runs(tmp_path: Path):
    (code,) = CODE
    demo.write_demo(tmp_path / "clothes")
    table = tmp_path / "clothes" / "labels.csv"
    few = table.read_text().splitlines(keepends=True)[:161]  # the three commands take them all
    table.write_text("".join(few))
    _run(f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}", tmp_path)
