"""The demo data set: 4,000 Fashion-MNIST images, known wrong labels, three awkward files."""

from __future__ import annotations

import csv
import io
import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labelclean import disk
from labelclean.data import noise
from labelclean.errors import OutputError

CLASSES = tuple(
    "T-shirt,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")
)  # in the order of their numbers in the data set
PER_CLASS = 400
SIDE = 28  # pixels
SHEETS = Path(__file__).with_name("demo")
LICENCE = "LICENSE-fashion-mnist.txt"

UNIFORM_RATE = 0.1
# An eighth of eight classes is a tenth of all ten.
CONFUSABLE = [
    (source, target, 0.125)
    for source, target in (
        ("T-shirt", "Shirt"),
        ("Shirt", "T-shirt"),
        ("Pullover", "Coat"),
        ("Coat", "Pullover"),
        ("Sneaker", "Ankle boot"),
        ("Ankle boot", "Sneaker"),
        ("Dress", "Coat"),
        ("Sandal", "Sneaker"),
    )
]

TRUNCATED, EMPTY, MISSING = "truncated.jpg", "empty.png", "missing.png"


@dataclass(frozen=True, kw_only=True)
class DemoSummary:
    """The files that were written.

    images        readable ones
    wrong_labels  among them: uniformly wrong and confused
    awkward       names of the rows of labels.csv without a readable image
    """

    folder: Path
    images: int
    classes: tuple[str, ...]
    wrong_labels: int
    awkward: tuple[str, ...]

    def describe(self) -> str:
        """The demo's content, and the command to go on with."""
        folder = shlex.quote(str(self.folder))
        return (
            f"{self.images:,} images of {len(self.classes)} classes in {folder}, "
            f"{self.wrong_labels:,} labels wrong, and {len(self.awkward)} awkward rows: "
            f"{', '.join(self.awkward)}\n"
            f"find them:      labelclean filter {folder}/images {folder}/labels.csv\n"
            f"compare after:  labelclean evaluate report.csv --truth {folder}/truth.csv"
        )


def sheet_name(class_name: str) -> str:
    return class_name.lower().replace(" ", "-") + ".png"


def demo_images() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The packed images (4000, 28, 28) and their true labels (4000,), class by class."""
    sheets = []
    for name in CLASSES:
        with Image.open(SHEETS / sheet_name(name)) as sheet:
            pixels = np.asarray(sheet)
        columns = pixels.shape[1] // SIDE
        tiles = pixels.reshape(-1, SIDE, columns, SIDE).swapaxes(1, 2)
        sheets.append(tiles.reshape(PER_CLASS, SIDE, SIDE))
    return np.concatenate(sheets), np.repeat(np.arange(len(CLASSES)), PER_CLASS).astype(np.int64)


def demo_transition() -> NDArray[np.float64]:
    """20 % wrong: half of them uniformly, half into the class that looks alike; (10, 10)."""
    others = (1 - np.eye(len(CLASSES))) / (len(CLASSES) - 1)
    confused = noise.mapping_matrix(CONFUSABLE, CLASSES)
    return confused + UNIFORM_RATE * (others - np.eye(len(CLASSES)))


def write_demo(folder: str | Path, *, seed: int = 0, force: bool = False) -> DemoSummary:
    """images/, labels.csv (20 % wrong) and truth.csv under `folder`; the same for the same seed.

    labels.csv names three images that cannot be read: one truncated, one empty, one missing.
    truth.csv has the truncated one, whose class is known, and not the others.

    Raises OutputError if the folder is not empty (with `force`: is not an earlier demo) or cannot
    be written; then it is as before.
    """
    folder = Path(folder)
    images, truth = demo_images()
    generator = np.random.Generator(np.random.PCG64(seed))
    order = np.argsort(generator.random(len(truth)), kind="stable")
    images, truth = images[order], truth[order]
    labels = noise.by_matrix(truth, demo_transition(), generator)
    names = [f"{k:05d}.png" for k in range(len(truth))]
    awkward = (TRUNCATED, EMPTY, MISSING)
    classes = np.array(CLASSES)
    given = [*zip(names, classes[labels], strict=True), *((name, CLASSES[0]) for name in awkward)]
    true = [*zip(names, classes[truth], strict=True), (TRUNCATED, CLASSES[0])]
    with disk.claim_folder(folder), disk.stage(folder) as stage:
        _check_folder(folder, {*names, *awkward}, force)
        _write_images(stage.path / "images", names, images, images[truth == 0][0])
        disk.write_durably(stage.path / "labels.csv", _csv(given))
        disk.write_durably(stage.path / "truth.csv", _csv(true))
        shutil.copyfile(SHEETS / LICENCE, stage.path / LICENCE)
        stage.exchange(sorted(os.listdir(stage.path)))
    return DemoSummary(
        folder=folder,
        images=len(names),
        classes=CLASSES,
        wrong_labels=int((labels != truth).sum()),
        awkward=awkward,
    )


def _check_folder(folder: Path, demo_names: set[str], force: bool) -> None:
    with disk.errors_of(folder):
        if not folder.is_dir() or not disk.entries(folder):
            return
    if not force:
        raise OutputError(
            f"{str(folder)!r}: is not empty; choose another folder, or --force replaces an earlier "
            "demo in it"
        )
    # What --force deletes must be the demo's own: its licence is there, and no other picture.
    foreign = folder
    pictures = folder / "images"
    if (folder / LICENCE).is_file() and not pictures.is_symlink():
        others = set(os.listdir(pictures)) - demo_names if pictures.is_dir() else set()
        tables = [folder / name for name in ("labels.csv", "truth.csv")]
        folders = [table for table in tables if table.is_dir()]
        if not others and not folders:
            return
        foreign = folders[0] if folders else pictures / min(others)
    raise OutputError(
        f"{str(foreign)!r}: is no demo's, --force does not replace it; choose another folder"
    )


def _write_images(
    folder: Path,
    names: Sequence[str],
    images: NDArray[np.uint8],
    torn: NDArray[np.uint8],
) -> None:
    folder.mkdir(parents=True)
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(folder / name)
    jpeg = io.BytesIO()
    Image.fromarray(torn).save(jpeg, "JPEG")
    (folder / TRUNCATED).write_bytes(jpeg.getvalue()[: -len(jpeg.getvalue()) // 4])
    (folder / EMPTY).touch()


def _csv(rows: Sequence[tuple[str, str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows([("image", "label"), *rows])
    return out.getvalue().encode()
