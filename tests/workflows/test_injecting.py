"""Injected noise: what was asked for is what the files say, and filter reads them as they are."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from injecting_data import inject, refused, rows_of
from PIL import Image

from labelclean.config.source_options import SourceOptions
from labelclean.data import noise, noisy_files
from labelclean.errors import ConfigError
from labelclean.progress import Reporter
from labelclean.sources.read_source import read
from labelclean.workflows.injecting import NoiseSpec

CLASSES = noise.CIFAR10_CLASSES


def test_symmetric_noise_turns_the_asked_count_of_each_class_and_says_so(cifar10_root, tmp_path):
    done = inject("cifar10", tmp_path, root=cifar10_root, symm=0.2)
    given = {row["image"]: row["label"] for row in rows_of(tmp_path / "out/labels.csv")}
    truth = {row["image"]: row["label"] for row in rows_of(tmp_path / "out/truth.csv")}
    assert truth == {f"train/{k:05d}": CLASSES[k % 10] for k in range(200)}
    assert list(given) == list(truth)
    wrong = [truth[name] for name in truth if given[name] != truth[name]]
    assert sorted(wrong) == sorted(CLASSES * 4)  # a fifth of 20
    facts = json.loads((tmp_path / "out/noise.json").read_text())
    counted = np.zeros((10, 10))
    for name in truth:
        counted[CLASSES.index(truth[name]), CLASSES.index(given[name])] += 1
    assert facts["counts"] == counted.tolist()
    assert facts["transition_matrix"] == (counted / 20).tolist()
    assert (facts["kind"], facts["rate"], facts["realised_rate"], facts["exact"]) == (
        "symm", 0.2, 0.2, True,
    )  # fmt: skip
    assert (facts["seed"], facts["source"], facts["wrong"]) == (0, "cifar10", 40)
    assert done.describe().splitlines()[0].startswith("40 of 200 labels are wrong, 20.00% (symm")


def test_asymmetric_noise_of_cifar10_is_the_papers_mapping(cifar10_root, tmp_path):
    done = inject("cifar10", tmp_path, root=cifar10_root, asymm=0.4)
    turned = {
        (CLASSES[a], CLASSES[b]): done.counts[a, b]
        for a, b in np.argwhere(done.counts).tolist()
        if a != b
    }
    pairs = "truck automobile, bird airplane, deer horse, cat dog, dog cat"
    assert turned == {tuple(pair.split()): 8 for pair in pairs.split(", ")}
    assert done.rate == 0.2


def test_a_folder_with_the_classes_of_cifar10_has_its_mapping_too(tmp_path):
    for k in range(40):
        path = tmp_path / "images" / CLASSES[k % 10] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert inject(tmp_path / "images", tmp_path, asymm=1).wrong == 20


# The same everywhere: these are pinned, not measured.


PINNED = {
    "symm": "de7316c68443550c",
    "bernoulli": "224a17f82bf330c1",
    "asymm": "86b7900fbc57fab8",
    "instance": "dcad476012cf176a",
}


@pytest.mark.parametrize("kind", PINNED)
def test_the_same_seed_gives_the_same_file_on_any_platform(cifar10_root, tmp_path, kind):
    rate = {"symm" if kind == "bernoulli" else kind: 0.3, "bernoulli": kind == "bernoulli"}
    for out in ("a", "b"):
        inject("cifar10", tmp_path, out=out, root=cifar10_root, seed=7, **rate)
    inject("cifar10", tmp_path, out="other", root=cifar10_root, seed=8, **rate)
    a, b, other = ((tmp_path / n / "labels.csv").read_bytes() for n in ("a", "b", "other"))
    assert a == b != other
    assert hashlib.sha256(a).hexdigest()[:16] == PINNED[kind]


def test_filter_reads_the_labels_of_cifar_as_they_are(cifar10_root, tmp_path):
    inject("cifar10", tmp_path, root=cifar10_root, symm=0.5)
    table = read("cifar10", SourceOptions(root=cifar10_root, labels=tmp_path / "out/labels.csv"))
    assert table.truth is not None
    assert int((table.truth != table.labels).sum()) == 100
    given = [row["label"] for row in rows_of(tmp_path / "out/labels.csv")]
    assert [table.class_names[k] for k in table.labels] == given


def test_noise_starts_from_the_true_labels_of_cifar_whatever_the_table_says(cifar10_root, tmp_path):
    rows = [f"train/{k:05d},{CLASSES[k % 10 if k % 4 else 0]}" for k in range(60)]
    (tmp_path / "some.csv").write_text("\n".join(["image,label", *rows]))
    notes: list[str] = []
    reporter = Reporter()
    reporter.note = notes.append
    done = inject("cifar10", tmp_path, root=cifar10_root, labels=tmp_path / "some.csv", symm=0.5,
                  reporter=reporter)  # fmt: skip
    assert "12 given labels are not cifar10's own: its own are taken" in notes
    assert (done.images, done.wrong) == (60, 30)
    truth = [row["label"] for row in rows_of(tmp_path / "out/truth.csv")]
    assert truth == [CLASSES[k % 10] for k in range(60)]


@pytest.mark.parametrize("split", ["all", "train,test"])
@pytest.mark.parametrize("images_as", [None, "folder", "parquet"])
def test_test_rows_of_cifar_keep_their_labels_and_change_nothing_for_the_others(
    cifar10_root, tmp_path, split, images_as
):
    inject("cifar10", tmp_path, out="train", root=cifar10_root, symm=0.4)
    done = inject("cifar10", tmp_path, root=cifar10_root, symm=0.4, split=split,
                  images_as=images_as)  # fmt: skip
    alone = [row["label"] for row in rows_of(tmp_path / "train/labels.csv")]
    rows = rows_of(tmp_path / "out/labels.csv")
    truth = [row["label"] for row in rows_of(tmp_path / "out/truth.csv")]
    assert [row["label"] for row in rows] == alone + truth[200:]
    assert (done.images, done.wrong, done.kept) == (200, 80, 40)
    assert [row["split"] for row in rows] == ["train"] * 200 + ["test"] * 40


@pytest.mark.parametrize("images_as", ["folder", "parquet"])
def test_exported_images_are_the_originals_with_the_noisy_labels(cifar10_root, tmp_path, images_as):
    inject("cifar10", tmp_path, root=cifar10_root, symm=0.4, split="all", images_as=images_as)
    out = tmp_path / "out"
    table = (
        read(out / "images", SourceOptions(labels=out / "labels.csv"))
        if images_as == "folder"
        else read(out / "images.parquet", SourceOptions())
    )
    original = read("cifar10", SourceOptions(root=cifar10_root, split="all"))
    rows = rows_of(out / "labels.csv")
    assert list(table.paths) == [row["image"] for row in rows]
    assert list(table.paths) == [row["image"] for row in rows_of(out / "truth.csv")]
    assert [table.class_names[k] for k in table.labels] == [row["label"] for row in rows]
    assert table.held_out.tolist() == [False] * 200 + [True] * 40
    for k in (0, 77, 239):
        encoded = table.images.read(k)
        (tmp_path / "one.png").write_bytes(encoded)
        with Image.open(tmp_path / "one.png") as image:
            assert np.array_equal(np.asarray(image), original.images.read(k))


def test_a_folder_and_a_table_of_its_paths_get_the_same_noise(colour_folder, tmp_path):
    labels = colour_folder / "labels.csv"
    (colour_folder / "images/paths.csv").write_bytes(labels.read_bytes())
    one = inject(colour_folder / "images", tmp_path, labels=labels, symm=0.2)
    other = inject(colour_folder / "images/paths.csv", tmp_path, out="b", symm=0.2)
    same = [(tmp_path / n / "labels.csv").read_bytes() for n in ("out", "b")]
    assert same[0] == same[1]
    assert one.next_step == (
        f"labelclean filter {colour_folder}/images {tmp_path}/out/labels.csv",
        f"labelclean evaluate report.csv --truth {tmp_path}/out/truth.csv",
    )
    assert other.next_step[0].split()[2:] == [str(colour_folder / "images"),
                                              str(tmp_path / "b/labels.csv")]  # fmt: skip


def test_held_out_missing_and_unlabelled_rows_keep_what_they_have(colour_folder, tmp_path):
    rows = rows_of(colour_folder / "labels.csv")
    for k, row in enumerate(rows):
        row["split"] = "val" if k < 12 else "train"
    rows[20]["label"] = ""
    rows.append({"image": "gone.png", "label": "red", "split": "train"})
    lines = ["image,label,split", *(",".join(row.values()) for row in rows)]
    (tmp_path / "some.csv").write_text("\n".join(lines))
    done = inject(colour_folder / "images", tmp_path, labels=tmp_path / "some.csv", symm=1)
    given = {row["image"]: row["label"] for row in rows_of(tmp_path / "out/labels.csv")}
    kept = [row["image"] for row in rows if given[row["image"]] == row["label"]]
    assert kept == [*(f"{k:02d}.png" for k in range(12)), "20.png", "gone.png"]
    truth = {row["image"] for row in rows_of(tmp_path / "out/truth.csv")}
    assert truth == {row["image"] for row in rows} - {"20.png", "gone.png"}
    assert (done.images, done.wrong, done.kept) == (47, 47, 13)
    table = read(colour_folder / "images", SourceOptions(labels=tmp_path / "out/labels.csv"))
    assert table.held_out.sum() == 12


def test_names_that_need_quotes_come_back_as_they_were(tmp_path):
    names = ["a, b.png", 'say "x".png', "c\rd.png", "=1+1.png", "é.png", " blank.png"]
    for k, name in enumerate(names * 2):
        path = tmp_path / "images" / ("x" if k < 6 else "y, z") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    before = read(tmp_path / "images", SourceOptions())
    inject(tmp_path / "images", tmp_path, symm=0)
    after = read(tmp_path / "images", SourceOptions(labels=tmp_path / "out/labels.csv"))
    assert after.paths == before.paths
    assert after.labels.tolist() == before.labels.tolist()


def test_instance_noise_of_files_leaves_the_unreadable_as_they_are(colour_folder, tmp_path):
    (colour_folder / "images/05.png").write_bytes(b"no image")
    done = inject(colour_folder / "images", tmp_path, labels=colour_folder / "labels.csv",
                  instance=1)  # fmt: skip
    given = rows_of(tmp_path / "out/labels.csv")
    assert given[5]["label"] == "blue"
    assert (done.images, done.kept) == (59, 1)
    assert done.wrong > 45
    assert "decoding" not in done.facts()


def test_only_a_folder_of_its_own_is_replaced_and_only_by_force(colour_folder, tmp_path):
    source = (colour_folder / "images", tmp_path)
    labels = colour_folder / "labels.csv"
    inject(*source, labels=labels, symm=0.2)
    before = (tmp_path / "out/labels.csv").read_bytes()
    (tmp_path / "out/report.csv").write_text("mine")
    assert "is not empty: choose another folder, or --force" in refused(
        *source, labels=labels, symm=0.5
    )
    assert (tmp_path / "out/labels.csv").read_bytes() == before
    inject(*source, labels=labels, symm=0.5, force=True)
    assert (tmp_path / "out/labels.csv").read_bytes() != before
    assert sorted(os.listdir(tmp_path / "out")) == [
        "labels.csv", "noise.json", "report.csv", "truth.csv",
    ]  # fmt: skip
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/labels.csv").write_text("precious")
    told = refused(*source, labels=labels, symm=0.5, force=True, out="mine")
    assert "is not what inject-noise wrote" in told
    assert os.listdir(tmp_path / "mine") == ["labels.csv"]
    assert "is no folder" in refused(*source, labels=labels, symm=0.5, out="labels.csv")


def test_an_earlier_export_goes_with_the_labels_it_belongs_to(cifar10_root, tmp_path):
    inject("cifar10", tmp_path, root=cifar10_root, symm=0.4, images_as="folder")
    inject("cifar10", tmp_path, root=cifar10_root, symm=0.2, force=True)
    assert sorted(os.listdir(tmp_path / "out")) == ["labels.csv", "noise.json", "truth.csv"]


@pytest.mark.parametrize("is_there", [False, True])
def test_a_full_disk_leaves_all_as_it_was(cifar10_root, tmp_path, monkeypatch, is_there):
    if is_there:
        inject("cifar10", tmp_path, root=cifar10_root, symm=0.1)
    before = {path: path.read_bytes() for path in (tmp_path / "out").glob("*")}

    def full(images, row):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(noisy_files, "_png", full)
    told = refused("cifar10", tmp_path, root=cifar10_root, symm=0.4, images_as="folder", force=True)
    assert "cannot be written: No space left on device" in told
    assert {path: path.read_bytes() for path in (tmp_path / "out").glob("*")} == before
    assert sorted(os.listdir(tmp_path)) == ["data", *(["out"] if is_there else [])]


def test_a_swap_that_fails_half_way_is_taken_back(cifar10_root, tmp_path, monkeypatch):
    inject("cifar10", tmp_path, root=cifar10_root, symm=0.1)
    before = {path: path.read_bytes() for path in (tmp_path / "out").glob("*")}
    replace, calls = os.replace, []

    def fails_at_the_third(source, target):
        calls.append(source)
        if len(calls) == 3:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails_at_the_third)
    assert "Input/output error" in refused(
        "cifar10", tmp_path, root=cifar10_root, symm=0.4, force=True
    )
    assert {path: path.read_bytes() for path in (tmp_path / "out").glob("*")} == before


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"symm": 1.5}, "--symm is 1.5, must be from 0 to 1"),
        ({"asymm": -0.1, "seed": -1}, "--asymm is -0.1, must be from 0 to 1; --seed is -1"),
        ({"symm": float("nan")}, "--symm is nan"),
        ({}, "no noise: give --symm 0.2, --asymm 0.4"),
        ({"symm": 0.2, "asymm": 0.4}, "--symm and --asymm contradict each other"),
        ({"symm": 0.2, "mapping": Path("m")}, "--symm and --mapping contradict each other"),
        ({"human": Path("h"), "bernoulli": True}, "--bernoulli draws no labels with --human"),
        ({"symm": 0.2, "human_col": "x"}, "--human-col is given without --human"),
    ],
)
def test_options_that_make_no_sense_are_refused(given, says):
    with pytest.raises(ConfigError) as caught:
        NoiseSpec(**given)
    assert says in str(caught.value)


def test_sources_that_cannot_have_the_noise_are_refused(colour_folder, cifar10_root, tmp_path):
    images, labels = colour_folder / "images", colour_folder / "labels.csv"
    told = refused(images, tmp_path, labels=labels, asymm=0.4)
    assert "is taken for which is not known: add --mapping FILE" in told
    assert "--images is for cifar10" in refused(
        images, tmp_path, labels=labels, symm=0.4, images_as="folder"
    )
    assert "--images is png, must be folder or parquet" in refused(
        images, tmp_path, labels=labels, symm=0.4, images_as="png"
    )
    assert "all its rows are test rows" in refused(
        "cifar10", tmp_path, root=cifar10_root, symm=0.4, split="test"
    )


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from labelclean.cli import app; app(standalone_mode=False); "
        "assert not {'torch', 'pandas', 'sklearn'} & set(sys.modules)"
    )
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, "inject-noise", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
    )


def test_the_command_prints_what_was_done_and_does_not_wait_for_torch(cifar10_root, tmp_path):
    done = command("CIFAR-10", "--asymm", "40%", "--root", "data", cwd=tmp_path)
    assert done.returncode == 0
    assert "CIFAR (the data set cifar10): 200 rows, 10 classes" in done.stderr
    assert done.stdout == (
        "40 of 200 labels are wrong, 20.00% (asymm 40 % of each mapped class), in cifar10-noisy\n"
        "most often: bird → airplane 8, cat → dog 8, deer → horse 8, dog → cat 8, "
        "truck → automobile 8\n"
        "find them:      labelclean filter CIFAR-10 cifar10-noisy/labels.csv --root data\n"
        "compare after:  labelclean evaluate report.csv --truth cifar10-noisy/truth.csv\n"
    )


def test_the_command_prints_json_and_one_line_for_a_mistake(colour_folder):
    arguments = ("images", "labels.csv", "--symm", "0.5", "--seed", "3")
    done = command(*arguments, "--json", cwd=colour_folder)
    facts = json.loads(done.stdout)
    assert (facts["out"], facts["realised_rate"], facts["seed"]) == ("images-noisy", 0.5, 3)
    assert facts["next"][0] == "labelclean filter images images-noisy/labels.csv"
    again = subprocess.run(
        [sys.executable, "-m", "labelclean", "inject-noise", *arguments],
        capture_output=True,
        text=True,
        cwd=colour_folder,
    )
    assert (again.returncode, again.stdout, again.stderr.count("\n")) == (2, "", 1)
    assert again.stderr.startswith("labelclean: --out images-noisy: is not empty")
