"""Class folders as public data sets have them: which level is the class, which the split."""

from __future__ import annotations

from pathlib import Path

import pytest
from source_data import given, labels_file, put, refusal

from labelclean.sources import SourceOptions, read

C = ("cat", "dog", "frog")


def tree(root: Path, *folders: str, count: int = 2, classes: tuple[str, ...] = C) -> None:
    """Images in FOLDER/CLASS, or right in a folder that ends in /*; their names tell both."""
    for folder in folders:
        if folder.endswith("/*"):
            put(
                root,
                *(f"{folder[:-1]}{folder[:-2].replace('/', '-')}{k}.png" for k in range(count)),
            )
        else:
            for name in classes:
                stem = f"{folder}/{name}/{folder.replace('/', '-')}-{name}"
                put(root, *(f"{stem}{k}.png" for k in range(count)))


def understood(root: Path, **options: object) -> dict[str, tuple[str | None, bool]]:
    """Of each file's name: its label, and whether it is held out."""
    table = read(root, SourceOptions(**options))  # type: ignore[arg-type]
    labels = given(table).values()
    names = [path.rpartition("/")[2] for path in table.paths]
    return dict(zip(names, zip(labels, table.held_out.tolist(), strict=True), strict=True))


def check_by_names(root: Path, held: tuple[str, ...] = (), none: tuple[str, ...] = ()) -> None:
    """Each image has the class that its own name ends in, and the split that it begins with."""
    for name, (label, held_out) in understood(root).items():
        if name.startswith(none or ("?",)):
            assert label is None, name
        else:
            assert label == name.removesuffix(".png")[:-1].rpartition("-")[2], name
            assert held_out == name.startswith(held or ("?",)), name


@pytest.mark.parametrize(
    ("folders", "held", "none"),
    [
        (("seg_train/seg_train", "seg_test/seg_test", "seg_pred/*"), ("seg_test",), ("seg_pred",)),
        (("training_set", "test_set"), ("test_set",), ()),
        (("training_set/training_set", "test_set/test_set"), ("test_set",), ()),
        (("images_train", "images_val"), ("images_val",), ()),
        (("train", "test1/*"), (), ("test1",)),
        (("train", "test", "valid", "images to predict/*"), ("test", "valid"), ("images to",)),
        (("train", "test", "val"), ("test", "val"), ()),
        (("Training", "Testing"), ("Testing",), ()),
        (("data/train", "data/test"), ("data-test",), ()),
        (("images/train", "images/validation"), ("images-validation",), ()),
        (("train", "test", "unlabeled/*"), ("test",), ("unlabeled",)),
        (("train", "val", "predict/*", "misc/*"), ("val",), ("predict", "misc")),
        (("train/images", "test/images"), ("test",), ()),
    ],
    ids=lambda value: value[0] if value and isinstance(value, tuple) else "",
)  # fmt: skip
def test_split_folders_are_splits_wherever_they_are_and_their_folders_are_the_classes(
    tmp_path, folders, held, none
):
    tree(tmp_path, *folders)
    check_by_names(tmp_path, held, none)


def test_folders_beside_the_splits_are_reported(tmp_path):
    tree(tmp_path, "train", "test", "images to predict/*")
    notes = read(tmp_path, SourceOptions()).notes
    assert "images to predict lies beside the splits: its 2 images have no label" in notes, notes


def test_a_nested_copy_of_the_splits_is_left_out_and_reported(tmp_path):
    root = tmp_path / "chest_xray"
    tree(root, "train", "test", "val")
    tree(root / "chest_xray", "train", "test", "val")
    put(root / "__MACOSX", "chest_xray/._train/cat/x.png")
    table = read(root, SourceOptions())
    assert len(table) == 18 and table.class_names == C
    assert "chest_xray repeats 18 images of the folders beside it: left out" in table.notes


def test_classes_with_splits_in_each_are_read(tmp_path):
    put(tmp_path, *(f"{c}/{s}/{s}{k}.png" for c in C for s in ("train", "test") for k in range(2)))
    table = read(tmp_path, SourceOptions())
    assert table.class_names == C
    assert table.held_out.tolist() == ["/test/" in path for path in table.paths]


@pytest.mark.parametrize(
    "system", ["cat/@eaDir/a.png", "@eaDir/a.png", "#recycle/b/a.png", "__MACOSX/cat/._a.png",
               ".ipynb_checkpoints/a.png", "$RECYCLE.BIN/x/a.png", "lost+found/a.png"],
)  # fmt: skip
def test_folders_of_the_system_are_no_classes_and_their_thumbnails_no_images(tmp_path, system):
    put(tmp_path, "cat/1.png", "dog/2.png", system)
    assert given(read(tmp_path, SourceOptions())) == {"cat/1.png": "cat", "dog/2.png": "dog"}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (
            [f"{top}/{c}/{k}.png" for top in ("color", "grayscale") for c in C for k in (1, 2)],
            "the folders cat, dog and frog come again under color and grayscale: say which are "
            "the classes, by --class-level 1 (color, ...) or --class-level 2 (cat, ...)",
        ),
        (["images/1.png", "masks/1.png"], "images and masks are kinds of files and no classes"),
        (
            [*(f"train/{c}/1.png" for c in C), "car/1.png", "bus/1.png"],
            "train may be a split or a class beside bus and car: --class-level 1 takes",
        ),
        (["cat/1.png", "dog/1.png", "test/1.png"], "test may be a split or a class beside cat"),
        (["train/1.png", "test/2.png"], "its images have no labels (test and train are splits"),
    ],
    ids=["colour and grey", "images and masks", "class train", "a test folder", "splits alone"],
)
def test_folders_that_allow_two_readings_are_refused(tmp_path, paths, expected):
    put(tmp_path, *paths)
    assert expected in refusal(tmp_path)


def test_the_class_level_can_be_named(tmp_path):
    put(tmp_path, *(f"{top}/{c}/{top}-{c}.png" for top in ("color", "grey") for c in C))
    assert {label for label, _ in understood(tmp_path, class_level=2).values()} == set(C)
    assert {label for label, _ in understood(tmp_path, class_level=1).values()} == {"color", "grey"}
    assert "--class-level 3: no image of" in refusal(tmp_path, class_level=3)


def test_ignored_folders_and_files_are_left_out_and_counted(tmp_path):
    put(tmp_path, *(f"{top}/{c}/{top}-{c}.png" for top in ("color", "grey") for c in C))
    put(tmp_path, "color/cat/x_mask.png")
    table = read(tmp_path, SourceOptions(ignore=("grey", "*_mask.png"), class_level=2))
    assert [path.split("/")[0] for path in table.paths] == ["color"] * 3
    assert "--ignore left out 2 files or folders" in table.notes
    table = read(tmp_path, SourceOptions(ignore=("gray",), class_level=2))
    assert any("--ignore gray fits nothing" in note for note in table.notes)


@pytest.mark.parametrize(
    ("paths", "table", "expected"),
    [
        (["train_images/0.png", "test_images/0.png"], "train.csv", "(train.csv in it may be one)"),
        (["images/0.png", "padded_images/0.png"], "labels.jsonl", "labels.jsonl lies beside: give"),
        (["images/a.png"], "labels.csv", "(labels.csv in it may be one)"),
    ],
)
def test_a_table_beside_images_without_classes_is_named(tmp_path, paths, table, expected):
    put(tmp_path, *paths)
    labels_file(tmp_path / table, "0.png,cat")
    assert expected in refusal(tmp_path)


def test_a_table_beside_class_folders_is_reported(tmp_path):
    tree(tmp_path, "train", "test")
    labels_file(tmp_path / "train.csv", "0.png,cat")
    notes = read(tmp_path, SourceOptions()).notes
    assert "train.csv in the folder is not read: give it as LABELS if it holds the labels" in notes


def test_classes_called_like_splits_stay_classes_where_nothing_else_speaks_for_splits(tmp_path):
    put(tmp_path, *(f"{c}/{k}.png" for c in ("train", "car", "bus") for k in range(3)))
    assert read(tmp_path, SourceOptions()).class_names == ("bus", "car", "train")


def test_a_split_with_a_word_that_is_not_known_is_trained_on_and_reported(tmp_path):
    tree(tmp_path, "train", "test", "extra")
    table = read(tmp_path, SourceOptions())
    assert table.class_names == C and int(table.held_out.sum()) == 6
    assert any("'extra' (6 rows): trained on; --split chooses" in note for note in table.notes)


@pytest.mark.parametrize("name", ["unlabeled", "images to predict"])
def test_a_folder_that_says_it_has_no_labels_is_no_class(tmp_path, name):
    put(tmp_path, "cat/1.png", "dog/2.png", f"{name}/3.png")
    table = read(tmp_path, SourceOptions())
    assert given(table) == {"cat/1.png": "cat", "dog/2.png": "dog", f"{name}/3.png": None}
    assert any(f"{name} is taken for no class" in note for note in table.notes)
    assert read(tmp_path, SourceOptions(class_level=1)).num_classes == 3


def test_shells_around_the_classes_are_taken_off(tmp_path):
    put(tmp_path, *(f"archive/images/{c}/{k}.png" for c in C for k in range(2)))
    assert read(tmp_path, SourceOptions()).class_names == C
