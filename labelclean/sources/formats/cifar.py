"""CIFAR-10 and CIFAR-100 as their authors publish them, in the binary or the Python version."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean.data.samples import ArrayImages
from labelclean.errors import SourceError
from labelclean.sources.protocol import Found, InsideFormat, Place
from labelclean.sources.relabelled import relabelled
from labelclean.sources.rows import Rows

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Where one of the data sets keeps what; file names lack the ending of the binary version."""

    binary_folder: str
    python_folder: str
    files: dict[str, tuple[str, ...]]  # split -> files
    label_bytes: int  # before each image of the binary version; the last one is the label
    label_key: str
    class_names: tuple[str, ...]


_LAYOUTS = {
    "cifar10": _Layout(
        binary_folder="cifar-10-batches-bin",
        python_folder="cifar-10-batches-py",
        files={
            "train": tuple(f"data_batch_{k}" for k in range(1, 6)),
            "test": ("test_batch",),
        },
        label_bytes=1,
        label_key="labels",
        class_names=(
            "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
            "truck",
        ),
    ),
    "cifar100": _Layout(
        binary_folder="cifar-100-binary",
        python_folder="cifar-100-python",
        files={"train": ("train",), "test": ("test",)},
        label_bytes=2,
        label_key="fine_labels",
        class_names=(
            "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
            "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
            "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
            "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
            "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower",
            "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
            "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear",
            "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum",
            "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew",
            "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar",
            "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger",
            "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree",
            "wolf", "woman", "worm",
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cifar:
    """Pixels (n, 32, 32, 3) uint8, labels (n,) int64 and splits (n,), training first."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    splits: list[str]
    class_names: tuple[str, ...]


def cifar_name(source: str) -> str | None:
    """cifar10 or cifar100, however it is spelled; None for anything else."""
    plain = source.casefold().replace("-", "").replace("_", "")
    return plain if plain in _LAYOUTS else None


def read_cifar(
    name: str, root: Path | None, *, with_test: bool = False, download: bool = False
) -> Cifar:
    """One of the data sets, looked for in `root` or, without one, here and in ./data.

    Raises SourceError if it is not there or its files are damaged.
    """
    layout = _LAYOUTS[name]
    places = [root] if root is not None else [Path("."), Path("data")]
    files = _find(layout, places)
    if files is None and download:
        _download(name, places[-1])
        files = _find(layout, places)
    if files is None:
        looked = " or ".join(str(place) for place in places)
        raise SourceError(
            f"{name}: neither {layout.binary_folder} nor {layout.python_folder} is in {looked}: "
            "give the folder that holds it by --root, or --download"
        )
    folder, is_binary = files
    parts, splits = [], []
    for split in ("train", "test") if with_test else ("train",):
        for file in layout.files[split]:
            path = folder / (f"{file}.bin" if is_binary else file)
            try:
                part = (_read_binary if is_binary else _read_python)(path, layout)
            except OSError as error:
                raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
            if len(part[1]) and not 0 <= part[1].min() <= part[1].max() < len(layout.class_names):
                raise SourceError(f"{path}: holds a label out of range: {_AGAIN}")
            parts.append(part)
            splits += [split] * len(part[1])
    planes = np.concatenate([pixels for pixels, _ in parts]).reshape(-1, 3, _SIDE, _SIDE)
    return Cifar(
        pixels=np.ascontiguousarray(planes.transpose(0, 2, 3, 1)),
        labels=np.concatenate([labels for _, labels in parts]),
        splits=splits,
        class_names=layout.class_names,
    )


_AGAIN = "unpack it again from the archive"


def _find(layout: _Layout, places: list[Path]) -> tuple[Path, bool] | None:
    first = layout.files["train"][0]
    for place in places:
        for folder, file, is_binary in (
            (layout.binary_folder, f"{first}.bin", True),
            (layout.python_folder, first, False),
        ):
            for candidate in (place / folder, place):
                if (candidate / file).is_file():
                    return candidate, is_binary
    return None


def _read_binary(path: Path, layout: _Layout) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    data = np.fromfile(path, dtype=np.uint8)
    width = layout.label_bytes + _PIXELS
    if not len(data) or len(data) % width:
        raise SourceError(f"{path}: {len(data):,} bytes is no multiple of {width}: {_AGAIN}")
    rows = data.reshape(-1, width)
    return rows[:, layout.label_bytes :], rows[:, layout.label_bytes - 1].astype(np.int64)


def _read_python(path: Path, layout: _Layout) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    data = path.read_bytes()
    try:
        batch = _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
        named = {k.decode() if isinstance(k, bytes) else k: v for k, v in batch.items()}
        pixels, labels = np.asarray(named["data"]), np.asarray(named[layout.label_key])
    except _Damage as error:
        raise SourceError(f"{path}: not a CIFAR batch ({error}): {_AGAIN}") from None
    if (
        pixels.dtype != np.uint8
        or pixels.shape != (len(labels), _PIXELS)
        or labels.ndim != 1
        or labels.dtype.kind not in "iu"
    ):
        raise SourceError(
            f"{path}: pixels {pixels.dtype} {pixels.shape} and labels {labels.dtype} "
            f"{labels.shape} are not those of a CIFAR batch: {_AGAIN}"
        )
    return pixels, labels.astype(np.int64)


_Damage = (  # all that a pickle of the wrong shape makes the unpickler, and the lines after, raise
    pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError, KeyError,
    MemoryError, OverflowError, TypeError, ValueError,
)  # fmt: skip


class _ArraysOnly(pickle.Unpickler):
    """Builds arrays, and calls nothing else, whatever the file asks for."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        reconstruct: Callable[..., Any] = np.empty(0).__reduce__()[0]  # type: ignore[assignment]
        allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): reconstruct,
            ("_codecs", "encode"): _latin1,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return allowed[module, name]


def _latin1(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into the older kinds of pickle."""
    return text.encode("latin1")


def _download(name: str, root: Path) -> None:
    from torchvision.datasets import CIFAR10, CIFAR100
    from torchvision.datasets.utils import download_and_extract_archive

    kind = CIFAR10 if name == "cifar10" else CIFAR100
    try:
        download_and_extract_archive(kind.url, str(root), filename=kind.filename, md5=kind.tgz_md5)
    except (OSError, RuntimeError) as error:  # URLError is an OSError
        raise SourceError(f"{name}: cannot be downloaded to {root}: {error}") from None


class CifarFormat(InsideFormat):
    """CIFAR by its name. A file or folder of that name wins over the data set."""

    name = "CIFAR"

    def looks_like(self, place: Place) -> str | None:
        if place.is_folder or place.is_file:
            return None
        return f"the data set {name}" if (name := cifar_name(place.source)) else None

    def read(self, place: Place, labelled: bool) -> Found:
        options, name = place.options, cifar_name(place.source) or ""
        with_test = not labelled or options.split is not None or options.labels is not None
        data = read_cifar(name, options.root, with_test=with_test, download=options.download)
        number: dict[str, int] = {}
        names = []
        for split in data.splits:
            number[split] = number.get(split, -1) + 1
            names.append(f"{split}/{number[split]:05d}")
        rows = Rows(
            names=names,
            labels=[data.class_names[k] for k in data.labels.tolist()],
            splits=list(data.splits),
            where=lambda row: f"{name} {names[row]}",
            origin=name,
            order=data.class_names,
        )
        found = Found(
            rows=rows,
            is_there=np.ones(len(rows), bool),
            images=lambda kept: ArrayImages(pixels=data.pixels, rows=kept),
            root=None,
            why=f"the data set {name}",
        )
        return relabelled(found, place) if labelled else found
