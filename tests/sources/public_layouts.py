"""Layouts of public data sets: a few files each, and what labelclean makes of them.

`PYTHONPATH=tests python tests/sources/public_layouts.py` prints the table of docs/layouts.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from source_data import coco

READ, OPTION, REFUSED = "read", "with an option", "refused"
Options = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One data set.

    shown    its folder, as its pages describe it
    files    path -> label, of images; None: it has none
    others   path -> text, of further files
    labels   the table given as LABELS, of others
    options  of the command
    outcome  READ; OPTION: only with `options`, and without them one line names them; REFUSED
    says     part of the line that tells or refuses
    held     starts of the paths that are held out
    """

    name: str
    shown: str
    files: dict[str, str | None]
    others: dict[str, str] = field(default_factory=dict)
    labels: str = ""
    source: str = "."
    options: Options = field(default_factory=dict)
    outcome: str = READ
    says: str = ""
    held: tuple[str, ...] = ()


def each(*folders: str, count: int = 3, ending: str = "jpg", label: int | None = -1):
    """`count` images in each folder, whose label is that part of the folder's path."""
    return {
        f"{folder}/{k}.{ending}": None if label is None else folder.split("/")[label]
        for folder in folders
        for k in range(count)
    }


def rows(header: str, pairs, *more: str, between: str = ",") -> str:
    lines = [header] if header else []
    return "\n".join([*lines, *(between.join([a, b, *more]) for a, b in pairs)]) + "\n"


def flat(
    folder: str, labels: str, ending: str = "jpg", name: str = "img_{}"
) -> dict[str, str | None]:
    names = labels.split()
    return {
        f"{folder}/{name.format(k)}.{ending}".lstrip("/"): label for k, label in enumerate(names)
    }


def stems(files):
    return [(Path(path).stem, text) for path, text in files.items() if text]


def names(files):
    return [(Path(path).name, text) for path, text in files.items() if text]


def _layouts() -> list[Layout]:
    two = "cat dog cat dog cat dog"
    found = [
        Layout(
            name="ImageNet (ILSVRC 2012)",
            shown="train/WNID/*.JPEG, val/*.JPEG",
            files=each("train/n01440764", "train/n01443537", ending="JPEG")
            | each("val", ending="JPEG", label=None),
            says="val has no class folders: its images have no label",
            held=("val",),
        ),
        Layout(
            name="Imagenette, Imagewoof (folders)",
            shown="train/WNID, val/WNID, noisy_imagenette.csv",
            files=each("train/n01440764", "train/n02102040", "val/n01440764", "val/n02102040"),
            others={"noisy_imagenette.csv": "path,noisy_labels_0\n"},
            says="noisy_imagenette.csv in the folder is not read: give it as LABELS",
            held=("val",),
        ),
        Layout(
            name="Imagenette, noisy labels",
            shown="the same, with its table as LABELS",
            files=(a := each("train/n01440764", "train/n02102040", "val/n01440764")),
            others={
                "noisy.csv": "path,noisy_labels_0,noisy_labels_1,is_valid\n"
                + "".join(f"{p},{c},{c},{p.startswith('val')}\n" for p, c in a.items())
            },
            labels="noisy.csv",
            options={"label_col": "noisy_labels_0"},
            outcome=OPTION,
            says="--label-col",
            held=("val",),
        ),
        Layout(
            name="Tiny ImageNet",
            shown="train/WNID/images/*.JPEG, val/images/*.JPEG, test/images",
            files=each("train/n01443537/images", "train/n01629819/images", ending="JPEG", label=1)
            | each("val/images", "test/images", ending="JPEG", label=None),
            others={"val/val_annotations.txt": "0.JPEG\tn01443537\n", "wnids.txt": "n01443537\n"},
            says="val has no class folders",
            held=("val", "test"),
        ),
        Layout(
            name="CIFAR-10 on Kaggle",
            shown="train/1.png, trainLabels.csv (id,label)",
            files=(a := flat("train", two, "png", "{}")) | each("test", ending="png", label=None),
            others={"trainLabels.csv": rows("id,label", stems(a))},
            labels="trainLabels.csv",
        ),
        Layout(
            name="MNIST as PNG",
            shown="training/0 to 9, testing/0 to 9",
            files=each("training/0", "training/1", "testing/0", "testing/1", ending="png"),
            held=("testing",),
        ),
        Layout(
            name="Food-101",
            shown="images/CLASS/*.jpg, meta/train.txt, meta/classes.txt",
            files=each("images/apple_pie", "images/baklava"),
            others={"meta/train.txt": "apple_pie/1\n", "meta/classes.txt": "apple_pie\n"},
        ),
        Layout(
            name="Caltech-101",
            shown="101_ObjectCategories/CLASS",
            files=each("101_ObjectCategories/accordion", "101_ObjectCategories/ant"),
            source="101_ObjectCategories",
        ),
        Layout(
            name="Stanford Dogs",
            shown="Images/WNID-BREED/*.jpg, Annotation/WNID-BREED/* (no endings)",
            files=each("Images/n02085620-Chihuahua", "Images/n02085782-Japanese_spaniel"),
            others={"Annotation/n02085620-Chihuahua/0": "<annotation/>"},
        ),
        Layout(
            name="CUB-200-2011",
            shown="images/001.NAME/*.jpg, image_class_labels.txt",
            files=each("images/001.Black_footed_Albatross", "images/002.Laysan_Albatross"),
            others={"image_class_labels.txt": "1 1\n2 1\n", "classes.txt": "1 x\n"},
        ),
        Layout(
            name="Oxford-IIIT Pet",
            shown="images/BREED_1.jpg, annotations/list.txt",
            files={"images/Abyssinian_1.jpg": None, "images/beagle_1.jpg": None},
            others={"annotations/list.txt": "#Image CLASS-ID SPECIES\nAbyssinian_1 1 1\n"},
            outcome=REFUSED,
            says="one class folder",
        ),
        Layout(
            name="Dogs vs. Cats on Kaggle",
            shown="train/cat.0.jpg, test1/1.jpg",
            files={"train/cat.0.jpg": None, "train/dog.0.jpg": None, "test1/1.jpg": None},
            outcome=REFUSED,
            says="have no labels",
        ),
        Layout(
            name="Animal-10N",
            shown="training/0_50695.jpg, testing/3_1.jpg",
            files={"training/0_50695.jpg": None, "testing/3_1.jpg": None},
            outcome=REFUSED,
            says="have no labels",
        ),
        Layout(
            name="EuroSAT",
            shown="2750/CLASS/*.jpg",
            files=each("2750/AnnualCrop", "2750/Forest"),
            source="2750",
        ),
        Layout(
            name="UC Merced",
            shown="Images/CLASS/*.tif",
            files=each("Images/agricultural", "Images/airplane", ending="tif"),
        ),
        Layout(
            name="DTD",
            shown="images/CLASS, labels/*.txt, imdb/",
            files=each("images/banded", "images/blotchy"),
            others={"labels/train1.txt": "banded/0.jpg\n", "imdb/imdb.mat": "x"},
        ),
        Layout(
            name="PlantVillage",
            shown="color/CLASS, grayscale/CLASS, segmented/CLASS",
            files=each("color/Apple_scab", "color/Apple_rot", "grayscale/Apple_scab",
                       "grayscale/Apple_rot"),
            options={"class_level": 2},
            outcome=OPTION,
            says="--class-level 2 (Apple_rot",
        ),
        Layout(
            name="DomainNet, PACS",
            shown="clipart/CLASS, real/CLASS",
            files=each("clipart/bear", "clipart/cat", "real/bear", "real/cat"),
            options={"class_level": 2},
            outcome=OPTION,
            says="--class-level 2",
        ),
        Layout(
            name="Office-31",
            shown="amazon/images/CLASS, dslr/images/CLASS",
            files=each("amazon/images/mug", "amazon/images/pen", "dslr/images/mug",
                       "dslr/images/pen"),
            options={"class_level": 3},
            outcome=OPTION,
            says="--class-level",
        ),
        Layout(
            name="Places365, SUN397",
            shown="data/a/abbey, data/b/bakery",
            files=each("a/abbey", "a/airport", "b/bakery", "b/bar"),
            says="a and b are initials: the classes are the folders in them",
        ),
        Layout(
            name="Intel Image Classification",
            shown="seg_train/seg_train/CLASS, seg_test/seg_test/CLASS, seg_pred/seg_pred/*",
            files=each("seg_train/seg_train/sea", "seg_train/seg_train/street",
                       "seg_test/seg_test/sea", "seg_test/seg_test/street")
            | each("seg_pred/seg_pred", label=None),
            held=("seg_test",),
            says="seg_pred lies beside the splits",
        ),
        Layout(
            name="Chest X-Ray (Pneumonia)",
            shown="chest_xray/train, test, val, and chest_xray/chest_xray/ again",
            files=each("train/NORMAL", "train/PNEUMONIA", "test/NORMAL", "test/PNEUMONIA"),
            others={f"chest_xray/{path}": "x" for path in each("train/NORMAL", "train/PNEUMONIA",
                                                               "test/NORMAL", "test/PNEUMONIA")},
            held=("test",),
            says="repeats 12 images of the folders beside it: left out",
        ),
        Layout(
            name="HAM10000",
            shown="HAM10000_images_part_1/*.jpg, _part_2, HAM10000_metadata.csv",
            files=(a := flat("HAM10000_images_part_1", "nv mel nv", name="ISIC_00{}")
                   | flat("HAM10000_images_part_2", "mel nv mel", name="ISIC_01{}")),
            others={"meta.csv": rows("lesion_id,image_id,dx,dx_type",
                                     [(f"HAM_{k},{s}", c) for k, (s, c) in enumerate(stems(a))],
                                     "histo")},
            labels="meta.csv",
        ),
        Layout(
            name="ISIC 2019",
            shown="ISIC_2019_Training_Input/*.jpg, GroundTruth.csv (image,MEL,NV,...)",
            files=(a := flat("Input", "MEL NV MEL NV BCC", name="ISIC_{}")),
            others={"gt.csv": "image,MEL,NV,BCC\n" + "".join(
                f"{s},{float(c == 'MEL')},{float(c == 'NV')},{float(c == 'BCC')}\n"
                for s, c in stems(a))},
            labels="gt.csv",
            says="one-hot columns, one a class",
        ),
        Layout(
            name="APTOS 2019",
            shown="train_images/*.png, test_images, train.csv (id_code,diagnosis)",
            files=(a := flat("train_images", "0 2 0 4", "png")) | each("test_images", ending="png",
                                                                       label=None),
            others={"train.csv": rows("id_code,diagnosis", stems(a))},
            labels="train.csv",
        ),
        Layout(
            name="Cassava Leaf Disease",
            shown="train_images/*.jpg, test_images, train.csv (image_id,label)",
            files=(a := flat("train_images", "0 3 3 4")) | each("test_images", label=None),
            others={"train.csv": rows("image_id,label", names(a)), "label_num_to_disease_map.json":
                    '{"0": "CBB"}'},
            labels="train.csv",
        ),
        Layout(
            name="a competition's root, without its table",
            shown="train_images/*, test_images/*, train.csv",
            files=flat("train_images", two) | each("test_images", label=None),
            others={"train.csv": "id,label\n"},
            outcome=REFUSED,
            says="train.csv in it may be one",
        ),
        Layout(
            name="State Farm Distracted Driver",
            shown="imgs/train/c0/*.jpg, imgs/test/*.jpg, driver_imgs_list.csv",
            files=each("imgs/train/c0", "imgs/train/c1") | each("imgs/test", label=None),
            others={"driver_imgs_list.csv": "subject,classname,img\n"},
            held=("imgs/test",),
            says="has no class folders",
        ),
        Layout(
            name="GTSRB on Kaggle",
            shown="Train/0/*.png, Test/*.png, Meta/*.png, Train.csv",
            files=each("Train/0", "Train/1", ending="png") | each("Test", "Meta", ending="png",
                                                                  label=None),
            others={"Train.csv": "Width,ClassId,Path\n"},
            held=("Test",),
            says="Meta lies beside the splits",
        ),
        Layout(
            name="Fashion Product Images",
            shown="images/1163.jpg, styles.csv (id,gender,masterCategory,...)",
            files=(a := flat("images", "Shirts Shoes Shirts Shoes", name="{}")),
            others={"styles.csv": "id,gender,articleType\n" + "".join(
                f"{s},Men,{c}\n" for s, c in stems(a))},
            labels="styles.csv",
            options={"label_col": "articleType"},
            outcome=OPTION,
            says="--label-col",
        ),
        Layout(
            name="CelebA",
            shown="img_align_celeba/*.jpg, list_attr_celeba.csv (40 columns of 1 and -1)",
            files=flat("img_align_celeba", two),
            others={"attr.csv": "image_id,Bald,Smiling\n" + "".join(
                f"img_{k}.jpg,{1 - 2 * (k % 2)},1\n" for k in range(6))},
            labels="attr.csv",
            outcome=REFUSED,
            says="--label-col",
        ),
        Layout(
            name="iNaturalist, COCO-style labels",
            shown="train/CATEGORY/*.jpg, train.json",
            files=(a := each("train/00000_Animalia", "train/00001_Plantae")),
            others={"train.json": json.dumps(coco({path: [label] for path, label in a.items()}))},
            labels="train.json",
        ),
        Layout(
            name="COCO 2017",
            shown="train2017/*.jpg, annotations/instances_train2017.json",
            files=flat("train2017", two),
            others={"i.json": json.dumps(coco({f"img_{k}.jpg": ("cat", "dog") for k in range(6)}))},
            labels="i.json",
            outcome=REFUSED,
            says="several labels (6 rows in all)",
        ),
        Layout(
            name="Pascal VOC 2012",
            shown="VOC2012/JPEGImages, Annotations/*.xml, ImageSets/Main/train.txt",
            files=flat("JPEGImages", two, name="2007_{}"),
            others={f"Annotations/2007_{k}.xml":
                    f"<annotation><object><name>{c}</name></object></annotation>"
                    for k, c in enumerate(two.split())}
            | {"ImageSets/Main/train.txt": "2007_0\n2007_1\n2007_2\n2007_3\n",
               "ImageSets/Main/val.txt": "2007_4\n2007_5\n"},
            held=("JPEGImages/2007_4", "JPEGImages/2007_5"),
        ),
        Layout(
            name="Open Images",
            shown="train/*.jpg, labels.csv (ImageID,Source,LabelName,Confidence)",
            files=flat("train", two),
            others={"labels.csv": "ImageID,Source,LabelName,Confidence\n" + "".join(
                f"img_{k},human,{c},1\n" for k in range(6) for c in ("cat", "dog"))},
            labels="labels.csv",
            outcome=REFUSED,
            says="keep one",
        ),
        Layout(
            name="Hugging Face image folder",
            shown="train/metadata.csv, train/*.jpg, test/metadata.csv",
            files=(a := flat("train", two)) | (b := flat("test", two)),
            others={"train/metadata.csv": rows("file_name,label", names(a)),
                    "test/metadata.csv": rows("file_name,label", names(b))},
            held=("test",),
        ),
        Layout(
            name="Roboflow, folders",
            shown="train/CLASS, valid/CLASS, test/CLASS, README.roboflow.txt",
            files=each("train/cat", "train/dog", "valid/cat", "test/dog"),
            others={"README.roboflow.txt": "x"},
            held=("valid", "test"),
        ),
        Layout(
            name="Roboflow, YOLO",
            shown="train/images/*.jpg, train/labels/*.txt, data.yaml",
            files=flat("train/images", two) | flat("valid/images", two),
            others={"train/labels/img_0.txt": "0 .5 .5 1 1\n", "data.yaml": "nc: 2\n"},
            outcome=REFUSED,
            says="give a table of labels",
        ),
        Layout(
            name="Clothing1M",
            shown="images/0/*.jpg, noisy_label_kv.txt (path and number, no header)",
            files=(a := flat("images/0", "3 5 3 5 3")),
            others={"noisy_label_kv.txt": rows("", a.items(), between=" ")},
            labels="noisy_label_kv.txt",
            options={"image_col": "1", "label_col": "2"},
            outcome=OPTION,
            says="--image-col 1 --label-col 2",
        ),
        Layout(
            name="AutoML CSV of Google Cloud",
            shown="labels.csv (TRAIN,gs://bucket/a.jpg,cat; no header)",
            files=flat("images", two),
            others={"automl.csv": "".join(f"TRAIN,gs://b/img_{k}.jpg,{c}\n"
                                          for k, c in enumerate(two.split()))},
            labels="automl.csv",
            outcome=REFUSED,
            says="no header",
        ),
        Layout(
            name="LFW",
            shown="lfw/PERSON/*.jpg",
            files=each("lfw/Aaron_Eckhart", count=1) | each("lfw/Abel_Pacheco", count=4),
            source="lfw",
        ),
        Layout(
            name="MVTec AD, one object",
            shown="train/good, test/good, test/broken_large, ground_truth/broken_large",
            files=each("train/good", "test/good", "test/broken_large", ending="png")
            | each("ground_truth/broken_large", ending="png", label=None),
            outcome=REFUSED,
            says="every image has the label 'good': at least two classes",
        ),
        Layout(
            name="FER2013",
            shown="fer2013.csv (emotion,pixels,Usage)",
            files={},
            others={"fer2013.csv": "emotion,pixels,Usage\n0,1 2 3,Training\n1,3 2 1,PublicTest\n"},
            source="fer2013.csv",
            outcome=REFUSED,
            says="no column for image paths",
        ),
        Layout(
            name="WebVision",
            shown="google/q0001/*.jpg, info/train_filelist_google.txt (path and number)",
            files=(a := flat("google/q0001", "0 0 0") | flat("google/q0002", "1 1 1")),
            others={"list.txt": rows("", a.items(), between=" ")},
            labels="list.txt",
            options={"image_col": "1", "label_col": "2"},
            outcome=OPTION,
            says="--image-col 1 --label-col 2",
        ),
    ]  # fmt: skip
    return found


LAYOUTS = _layouts()


def table_text() -> str:
    lines = ["| data set | layout | outcome | said or given |", "|---|---|---|---|"]
    for layout in LAYOUTS:
        options = " ".join(
            f"--{key.replace('_', '-')} {value}" for key, value in layout.options.items()
        )
        said = f"`{options}`" if options else layout.says
        lines.append(f"| {layout.name} | {layout.shown} | {layout.outcome} | {said} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table_text(), end="")
