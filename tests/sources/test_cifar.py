"""CIFAR: both published versions give the same pixels and labels, and neither can run code."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from labelclean.config.source_options import SourceOptions
from labelclean.errors import SourceError
from labelclean.sources.formats.cifar import cifar_name, read_cifar
from labelclean.sources.read_source import read

PER_FILE = 20


def make(name: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], int]:
    """File -> images (PER_FILE, 32, 32, 3) and labels, and how many classes."""
    rng = np.random.default_rng(0)
    files = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]
    classes = 10
    if name == "cifar100":
        files, classes = ["train", "test"], 100
    images = {f: rng.integers(0, 256, (PER_FILE, 32, 32, 3), dtype=np.uint8) for f in files}
    labels = {f: rng.integers(0, 5, PER_FILE) + classes - 5 for f in files}
    return images, labels, classes


def planes(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 3, 1, 2).reshape(len(images), 3072)


def write_binary(root: Path, name: str) -> None:
    images, labels, _ = make(name)
    folder = root / ("cifar-10-batches-bin" if name == "cifar10" else "cifar-100-binary")
    folder.mkdir(parents=True)
    for file in images:
        with open(folder / f"{file}.bin", "wb") as out:
            for image, label in zip(planes(images[file]), labels[file], strict=True):
                head = [label] if name == "cifar10" else [3, label]  # coarse, fine
                out.write(bytes(head) + image.tobytes())


def write_python(root: Path, name: str, protocol: int) -> None:
    images, labels, _ = make(name)
    folder = root / ("cifar-10-batches-py" if name == "cifar10" else "cifar-100-python")
    folder.mkdir(parents=True)
    key = "labels" if name == "cifar10" else "fine_labels"
    for file in images:
        batch = {
            "data": planes(images[file]),
            key: labels[file].tolist(),
            "batch_label": b"of bytes",
        }
        (folder / file).write_bytes(pickle.dumps(batch, protocol=protocol))


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("version", ["binary", "python 2", "python 4"])
def test_both_versions_give_the_images_and_labels_that_were_written(tmp_path, name, version):
    if version == "binary":
        write_binary(tmp_path, name)
    else:
        write_python(tmp_path, name, int(version[-1]))
    images, labels, classes = make(name)
    table = read(name, SourceOptions(root=tmp_path, split="train,test"))
    expected = np.concatenate(list(images.values()))
    assert np.array_equal([table.images.read(k) for k in range(len(table))], expected)
    names = [table.class_names[k] for k in table.labels]
    canonical = read_cifar(name, tmp_path).class_names
    assert len(canonical) == classes == len(set(canonical))
    assert names == [canonical[k] for k in np.concatenate(list(labels.values()))]
    assert table.held_out.tolist() == [False] * (len(table) - PER_FILE) + [True] * PER_FILE
    assert table.paths[0] == "train/00000"
    assert table.paths[-1] == f"test/{PER_FILE - 1:05d}"


# as Python 2 and an early numpy wrote it: str for bytes, numpy.core
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\n"
    b"q\x04K\x00\x85U\x01b\x87Rq\x05(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01"
    b"\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00"
    + bytes(range(256)) * 12
    + b"tbU\x06labelsq\x08]q\tK\x07au."
)


def test_a_batch_that_python_2_pickled_is_read(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for k in range(1, 6):
        (folder / f"data_batch_{k}").write_bytes(PYTHON_2)
    data = read_cifar("cifar10", tmp_path)
    assert data.labels.tolist() == [7] * 5
    assert np.array_equal(data.pixels[0].transpose(2, 0, 1).ravel(), np.arange(3072) % 256)


def test_the_training_split_alone_is_the_default_and_the_order_is_canonical(tmp_path):
    write_binary(tmp_path, "cifar10")
    table = read("CIFAR-10", SourceOptions(root=tmp_path))
    assert len(table) == 5 * PER_FILE
    assert not table.held_out.any()
    assert table.class_names == ("dog", "frog", "horse", "ship", "truck")
    test = read("cifar10", SourceOptions(root=tmp_path, split="test"))
    assert len(test) == PER_FILE
    assert not test.held_out.any()
    assert not read("cifar10", SourceOptions(root=tmp_path, split="all")).held_out.any()


def test_a_table_of_labels_replaces_cifars_own_which_become_the_truth(tmp_path):
    write_binary(tmp_path, "cifar10")
    csv = tmp_path / "noisy.csv"
    rows = [f"train/{k:05d},{'frog' if k % 2 else 'ship'}" for k in reversed(range(40))]
    csv.write_text("\n".join(["image,label", *rows]))
    table = read("cifar10", SourceOptions(root=tmp_path, labels=csv))
    images, labels, _ = make("cifar10")
    assert np.array_equal(table.images.read(0), images["data_batch_2"][19])
    assert [table.class_names[k] for k in table.labels[:2]] == ["frog", "ship"]
    canonical = read_cifar("cifar10", tmp_path).class_names
    expected = np.concatenate([labels["data_batch_1"], labels["data_batch_2"]])[::-1]
    assert table.truth is not None
    assert [table.class_names[k] for k in table.truth] == [canonical[k] for k in expected]


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"data": Bomb(), "labels": [1]}),
        pickle.dumps({"data": np.array([Bomb()], dtype=object), "labels": [1]}),
        pickle.dumps({"data": np.zeros((1, 3072)), "labels": [1]}),
        pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [1, 2]}),
        pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}),
        pickle.dumps({"data": np.zeros((1, 3072), np.uint8)}),
        pickle.dumps([1]),
        pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [1]})[:-900],
        b"",
        b"not a pickle",
    ],
)
def test_a_foreign_or_damaged_batch_is_refused_and_runs_nothing(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py/data_batch_1").write_bytes(content)
    with pytest.raises(SourceError, match=r"data_batch_1: .*: unpack it again"):
        read_cifar("cifar10", tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_damaged_or_absent_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"is in \. or data: give the folder .* by --root"):
        read("cifar10", SourceOptions())
    write_binary(tmp_path, "cifar10")
    assert len(read("cifar10", SourceOptions())) == 5 * PER_FILE
    file = tmp_path / "cifar-10-batches-bin/data_batch_3.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(
        SourceError, match=r"data_batch_3\.bin: 61,459 bytes is no multiple of 3073"
    ):
        read_cifar("cifar10", tmp_path)
    file.unlink()
    with pytest.raises(SourceError, match=r"data_batch_3\.bin: cannot be read: No such file"):
        read_cifar("cifar10", tmp_path)


def test_a_folder_of_that_name_wins_over_the_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("cifar10/x/a.png", "cifar10/y/b.png"):
        Path(path).parent.mkdir(parents=True)
        Path(path).write_bytes(b"")
    assert read("cifar10", SourceOptions()).paths == ("x/a.png", "y/b.png")


def test_names_of_the_data_sets_in_any_spelling():
    assert [cifar_name(name) for name in ("CIFAR-10", "cifar_100", "cifar")] == [
        "cifar10", "cifar100", None,
    ]  # fmt: skip


def test_the_class_names_are_those_of_the_authors_in_their_order(tmp_path):
    write_binary(tmp_path, "cifar100")
    names = read_cifar("cifar100", tmp_path).class_names
    assert list(names) == sorted(names)  # the authors number them by the alphabet
    assert (names[0], names[50], names[99]) == ("apple", "mouse", "worm")
