"""The demo data set: 4,000 Fashion-MNIST images with known wrong labels, and three awkward files."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from labelclean.data import noise
from labelclean.errors import ConfigError

CLASSES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat") + (
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
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
    """What was written.

    images        readable ones
    wrong_labels  among them: uniformly wrong and confused
    awkward       names of the rows of labels.csv without a readable image
    """

    folder: Path
    images: int
    classes: tuple[str, ...]
    wrong_labels: int
    awkward: tuple[str, ...]


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

    Raises ConfigError if the folder is not empty (with `force`: has images that are not the
    demo's) or cannot be written; then it is as before.
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
    try:
        _check_folder(folder, {*names, *awkward}, force)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".demo-", dir=folder.parent) as beside:
            whole = Path(beside, "demo")
            _write_images(whole / "images", names, images, images[truth == 0][0])
            (whole / "labels.csv").write_bytes(_csv(given))
            (whole / "truth.csv").write_bytes(_csv(true))
            shutil.copyfile(SHEETS / LICENCE, whole / LICENCE)
            _move(whole, folder, Path(beside))
    except OSError as error:
        raise ConfigError(
            f"{str(folder)!r}: the demo cannot be written there ({error.strerror}); "
            "choose another folder"
        ) from None
    return DemoSummary(
        folder=folder,
        images=len(names),
        classes=CLASSES,
        wrong_labels=int((labels != truth).sum()),
        awkward=awkward,
    )


def _check_folder(folder: Path, demo_names: set[str], force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{str(folder)!r}: is a file; choose another folder")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not force:
        raise ConfigError(
            f"{str(folder)!r}: is not empty; choose another folder, or --force replaces the demo "
            "in it"
        )
    pictures = folder / "images"
    if pictures.exists() or pictures.is_symlink():
        found = set(os.listdir(pictures)) if pictures.is_dir() else {""}
        foreign = sorted(found - demo_names)
        if foreign or pictures.is_symlink():
            raise ConfigError(
                f"{str(pictures / (foreign or [''])[0])!r}: is not the demo's, --force does not "
                "replace it; choose another folder"
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


def _move(whole: Path, folder: Path, beside: Path) -> None:
    """Puts the finished demo in place: at once where the folder is new, else entry by entry."""
    if not folder.exists() or not any(folder.iterdir()):
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()
        whole.rename(folder)
        return
    for entry in sorted(whole.iterdir()):
        target = folder / entry.name
        if target.is_dir():
            target.rename(beside / "before")
        os.replace(entry, target)
