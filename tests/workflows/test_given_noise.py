"""Noise that is given: mappings, matrices and what people said."""

from __future__ import annotations

import json

import pytest
from injecting_data import inject, refused, rows_of

from labelclean.data import noise

CLASSES = noise.CIFAR10_CLASSES


@pytest.mark.parametrize(
    ("lines", "asymm"),
    [
        ("from,to,rate\nred,green,0.5\ngreen,blue,0.2", None),
        ("To,From\ngreen,red\nblue,green", 0.5),
        ("true,red,green,blue\nred,0.5,0.5,0\ngreen,0,0.8,0.2", None),
        ("true,green,blue\ngreen,0.8,0.2", None),
        ("true,blue\ngreen,1", None),  # no column for the class itself: none is kept
    ],
)
def test_a_mapping_may_be_pairs_or_a_matrix(colour_folder, tmp_path, lines, asymm):
    rows = [f"{k:02d}.png,{('red', 'green', 'blue')[k % 3]}" for k in range(60)]
    (tmp_path / "true.csv").write_text("\n".join(["image,label", *rows]))
    (tmp_path / "map.csv").write_text(lines)
    done = inject(colour_folder / "images", tmp_path, labels=tmp_path / "true.csv",
                  mapping=tmp_path / "map.csv", asymm=asymm)  # fmt: skip
    turned = 10 if asymm else 20 if lines.endswith("green,1") else 4
    red = 10 if "red" in lines else 0
    # classes are in alphabetical order: blue, green, red
    assert done.counts.tolist() == [[20, 0, 0], [turned, 20 - turned, 0], [0, red, 20 - red]]


@pytest.mark.parametrize(
    ("lines", "asymm", "says"),
    [
        ("from,to,rate\nred,pink,0.5", None, "--mapping: there is no class 'pink', but 'blue'"),
        ("from,to,rate\nred,blue,half", None, "map.csv:2: 'rate' is 'half': write a number"),
        ("from,to,rate\nred,blue,1.5", None, "rate of 'red' to 'blue' is 1.5, must be 0 to 1"),
        ("from,to,rate\nred,,0.5", None, "map.csv:2: 'to' is empty: write the class"),
        ("from,to,rate\nred,blue,0.5", 0.4, "map.csv has its own rates: leave --asymm out"),
        ("from,to\nred,blue", None, "map.csv: has no column rate: add one, or give"),
        ("x,red,pink\nred,1,0", None, "map.csv:1: there is no class 'pink': the columns must"),
        ("x,red,blue\npink,1,0", None, "there is no class 'pink'"),
        ("x,red,blue\nred,0.5,0.4", None, "map.csv:2: the rates of 'red' sum to 0.9"),
        ("x,red,blue\nred,nan,1", None, "map.csv:2: the rates of 'red' sum to nan"),
        ("x,red,blue\nred,0,1\nred,1,0", None, "a class comes twice"),
        ("x,red,blue\nred,0,1", 0.4, "no columns from,to that could take one rate"),
        (None, None, "map.csv: no such file"),
    ],
)
def test_a_wrong_mapping_is_refused_in_one_line(colour_folder, tmp_path, lines, asymm, says):
    if lines is not None:
        (tmp_path / "map.csv").write_text(lines)
    told = refused(colour_folder / "images", tmp_path, labels=colour_folder / "labels.csv",
                   mapping=tmp_path / "map.csv", asymm=asymm)  # fmt: skip
    assert says in told
    assert not (tmp_path / "out").exists()


HUMAN = [k % 10 if k % 5 else (k + 3) % 10 for k in range(200)]  # wrong in each fifth


@pytest.mark.parametrize(
    ("name", "lines", "column"),
    [
        ("human.txt", [str(k) for k in HUMAN], None),
        ("human", [CLASSES[k] for k in HUMAN], None),
        ("one.csv", ["worse_label", *map(str, HUMAN)], None),
        ("two.csv", ["aggre_label,worse_label", *(f"0,{k}" for k in HUMAN)], "worse_label"),
        (
            "named.csv",
            ["image,label", *(f"train/{k:05d},{CLASSES[HUMAN[k]]}" for k in range(199, -1, -1))],
            None,
        ),
        ("all.txt", [*map(str, HUMAN), *("0" * 40)], None),
    ],
)
def test_human_labels_are_taken_from_text_and_tables(cifar10_root, tmp_path, name, lines, column):
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    done = inject("cifar10", tmp_path, root=cifar10_root, split="train,test",
                  human=tmp_path / name, human_col=column)  # fmt: skip
    given = [row["label"] for row in rows_of(tmp_path / "out/labels.csv")]
    assert given == [CLASSES[k] for k in HUMAN] + list(CLASSES) * 4
    facts = json.loads((tmp_path / "out/noise.json").read_text())
    assert (facts["kind"], facts["realised_rate"]) == ("human", 0.2)
    assert facts["rate"] is facts["exact"] is facts["seed"] is None
    assert done.wrong == 40


def test_human_labels_of_all_rows_and_of_those_that_may_turn_are_the_same(colour_folder, tmp_path):
    rows = rows_of(colour_folder / "labels.csv")
    lines = [f"{row['image']},{row['label']},{'val' if k < 9 else 'train'}"
             for k, row in enumerate(rows)]  # fmt: skip
    (tmp_path / "split.csv").write_text("\n".join(["image,label,split", *lines]))
    human = ["red"] * 9 + ["blue" if k % 4 else rows[k]["label"] for k in range(9, 60)]
    for name, part in (("all", human), ("some", human[9:])):
        (tmp_path / f"{name}.txt").write_text("\n".join(part))
        inject(colour_folder / "images", tmp_path, out=name, labels=tmp_path / "split.csv",
               human=tmp_path / f"{name}.txt")  # fmt: skip
        given = [row["label"] for row in rows_of(tmp_path / name / "labels.csv")]
        assert given == [row["label"] for row in rows[:9]] + human[9:]


@pytest.mark.parametrize(
    ("name", "lines", "says"),
    [
        ("h.txt", HUMAN[:-1], "h.txt: 199 labels for 200 images: write one for each"),
        ("h.txt", [*HUMAN, 1], "h.txt: 201 labels for 200 images"),
        ("h.txt", [10, *HUMAN[1:]], "h.txt:1: '10' is neither a class"),
        ("h.txt", [*HUMAN[:7], "horsey", *HUMAN[8:]], "h.txt:8: 'horsey' is neither a class"),
        ("h.txt", [*HUMAN[:7], "", *HUMAN[8:]], "h.txt:8: '' is neither a class"),
        ("h.csv", ["a,b", "1,2"], "which of the columns a, b holds the labels"),
        ("h.csv", ["image,label", "train/00000,cat"], "no label for 199 of 200 images"),
        ("h.csv", ["image,label", "a,cat", "a,cat"], "names an image twice"),
        ("h.txt", [(k + 1) % 10 for k in range(200)], "agrees with the true labels in 0.0%"),
    ],
)
def test_human_labels_that_do_not_fit_are_refused(cifar10_root, tmp_path, name, lines, says):
    (tmp_path / name).write_text("\n".join(map(str, lines)))
    told = refused("cifar10", tmp_path, root=cifar10_root, human=tmp_path / name)
    assert says in told
    assert not (tmp_path / "out").exists()
