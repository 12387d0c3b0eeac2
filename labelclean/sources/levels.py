"""Which level of a tree of folders holds the classes, and which the splits."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from labelclean.errors import SourceError
from labelclean.sources.splits import NOT_LABELLED, TRAIN, UNKNOWN, is_split_word, split_of
from labelclean.sources.wording import counted, listed, shown

# Folders that hold a kind of file and no class.
_KINDS = {
    "images", "image", "imgs", "img", "photos", "pictures", "jpegs", "jpg", "png", "masks", "mask",
    "labels", "label", "annotations", "annotation", "segmentation", "segmentations", "gt", "ground",
    "truth", "groundtruth", "padded", "cropped", "crops", "resized", "raw", "data", "dataset",
    "thumbnails", "thumbs", "all", "jpegimages",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Class and split of each image by its folders.

    labels  (n,) class, None where there is none
    splits  (n,) name of the folder that is a split, None where there is none
    depths  (n,) how many folders stand above the class folder; -1: no class
    left    places of images that are copies of others and are left out
    """

    labels: list[str | None]
    splits: list[str | None]
    depths: list[int]
    why: str
    left: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass
class _Node:
    """A folder: images right in it, by place, and its folders that hold images."""

    name: str
    path: str = ""
    images: list[int] = field(default_factory=list)
    folders: dict[str, _Node] = field(default_factory=dict)

    def all(self) -> list[int]:
        return self.images + [k for folder in self.folders.values() for k in folder.all()]


@dataclass
class _Reading:
    """Filled while the tree is walked; the arrays are those of Levels."""

    labels: list[str | None]
    splits: list[str | None]
    depths: list[int]
    left: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def find_levels(paths: Sequence[str], root: str, level: int | None) -> Levels:
    """The classes and splits of images by their folders.

    paths  (n,) relative to the root, forward slashes
    level  which folder is the class, 1 for the one right below the root; None: found out from
           words for splits at any level, names that repeat and folders without folders in them

    Raises SourceError where the folders allow two readings.
    """
    nothing: list[str | None] = [None] * len(paths)
    reading = _Reading(list(nothing), list(nothing), [-1] * len(paths))
    if level is not None:
        why = _at_level(paths, root, level, reading)
    else:
        tree = _tree(paths)
        tree.name = posixpath.basename(root.rstrip("/"))
        why = _read(tree, root, reading, None, 0)
    return Levels(
        labels=reading.labels,
        splits=reading.splits,
        depths=reading.depths,
        why=why,
        left=frozenset(reading.left),
        notes=tuple(reading.notes),
    )


def _tree(paths: Sequence[str]) -> _Node:
    tree = _Node("")
    nodes = {"": tree}

    def node(folder: str) -> _Node:
        if folder not in nodes:
            above, _, name = folder.rpartition("/")
            nodes[folder] = node(above).folders.setdefault(name, _Node(name, folder))
        return nodes[folder]

    for k, path in enumerate(paths):
        node(posixpath.dirname(path)).images.append(k)
    return tree


def _at_level(paths: Sequence[str], root: str, level: int, reading: _Reading) -> str:
    for k, path in enumerate(paths):
        folders = path.split("/")[:-1]
        if len(folders) >= level:
            reading.labels[k] = folders[level - 1]
            reading.depths[k] = level - 1
        reading.splits[k] = next((f for f in folders[: level - 1] if split_of(f)), None)
    if not any(reading.depths[k] >= 0 for k in range(len(paths))):
        raise SourceError(f"--class-level {level}: no image of {root} lies so deep")
    return f"--class-level {level}"


def _read(node: _Node, root: str, reading: _Reading, split: str | None, depth: int) -> str:
    """Reads the folders of a node as splits, or else as classes. Returns why."""
    tops = list(node.folders.values())
    splits = [top for top in tops if split_of(top.name) is not None]
    if len(tops) == 1 and not splits and _is_wrapper(tops[0], node.name):
        inner = tops[0]
        reading.notes.append(f"the classes are looked for in {shown(inner.path)}")
        return _read(inner, root, reading, split, depth + 1)
    if splits and split is None and _are_splits(splits, tops, root):
        return _read_splits(node, splits, root, reading, depth)
    _check_classes(node, tops, root)
    if _are_initials(tops):
        reading.notes.append(
            f"{listed([shown(top.name) for top in tops], 3)} are initials: the classes are the "
            "folders in them"
        )
        for top in tops:
            _read_classes(top, list(top.folders.values()), reading, split, depth + 1)
        return "one folder a class, below its initial"
    return _read_classes(node, tops, reading, split, depth)


def _is_wrapper(inner: _Node, above: str) -> bool:
    """True of the only folder, where it is a further shell around splits or classes."""
    if not inner.folders:
        return False
    holds_splits = any(split_of(name) for name in inner.folders)
    is_kind = bool(_is_kind(inner.name) or inner.name.casefold() == above.casefold())
    if len(inner.folders) == 1:
        return holds_splits or _is_wrapper(next(iter(inner.folders.values())), inner.name)
    return holds_splits or is_kind


def _is_kind(name: str) -> bool:
    words = {word.casefold() for word in UNKNOWN.findall(name)}
    return bool(words) and words <= _KINDS


def _inside_kind(top: _Node) -> _Node:
    """CLASS/images/... : the folder images, where it is the only one and holds folders itself."""
    if len(top.folders) == 1 and not top.images:
        (inner,) = top.folders.values()
        if _is_kind(inner.name) and inner.folders:
            return inner
    return top


def _are_initials(tops: list[_Node]) -> bool:
    """a/abbey, a/airport, b/bakery: many classes, put into a folder for each letter."""
    return len(tops) > 1 and all(
        len(top.name) == 1
        and top.name.isalpha()
        and top.folders
        and not top.images
        and all(name[:1].casefold() == top.name.casefold() for name in top.folders)
        for top in tops
    )


def _is_unlabelled(name: str) -> bool:
    return any(word.casefold() in NOT_LABELLED for word in UNKNOWN.findall(name))


def _are_splits(splits: list[_Node], tops: list[_Node], root: str) -> bool:
    """Whether folders that are called like splits are that, and not classes of such a name."""
    others = [top for top in tops if split_of(top.name) is None]
    if not others:
        return True
    deep = [top for top in splits if top.folders]
    if not deep:  # classes `train`, `car`, `bus`
        if all(split_of(top.name) == TRAIN for top in splits):
            return False
        raise SourceError(
            f"{root}: {listed([shown(top.name) for top in splits])} may be a split or a class "
            f"beside {listed([shown(top.name) for top in others])}: --class-level 1 takes all for "
            f"classes, --ignore {shown(splits[0].name)} leaves it out"
        )
    classes = [_classes_of(top) for top in deep]
    kinds = {split_of(top.name) for top in deep}
    others_flat = all(not top.folders for top in others)
    shared = set.intersection(*classes) if len(classes) > 1 else set()
    if len(kinds) > 1 and (shared or others_flat):
        return True
    if all(is_split_word(inner) for names in classes for inner in names):
        return False
    same = [top for top in others if classes[0] & set(top.folders)]
    if (len(classes[0]) > 1 and len(others) == 1 and others_flat) or same or len(splits) > 1:
        return True
    if others_flat and any(_is_unlabelled(top.name) for top in others):
        return True
    raise SourceError(
        f"{root}: {shown(deep[0].name)} may be a split or a class beside "
        f"{listed([shown(top.name) for top in others])}: --class-level 1 takes the top folders "
        "for the classes, --class-level 2 those in them"
    )


def _classes_of(split: _Node) -> set[str]:
    return set(_unwrapped(split)[0].folders)


def _unwrapped(split: _Node) -> tuple[_Node, int]:
    """seg_train/seg_train/CLASS: the inner folder, and how many there are."""
    depth, word = 0, split_of(split.name)
    while len(split.folders) == 1 and not split.images:
        inner = next(iter(split.folders.values()))
        if not inner.folders or not (split_of(inner.name) == word or _is_kind(inner.name)):
            break
        split, depth = inner, depth + 1
    return split, depth


def _read_splits(node: _Node, splits: list[_Node], root: str, reading: _Reading, depth: int) -> str:
    names: dict[str, set[str]] = {}
    for top in splits:
        for k in top.all():
            reading.splits[k] = top.name
        inner, further = _unwrapped(top)
        if len(inner.folders) == 1 and _is_kind(next(iter(inner.folders))):
            names[top.name] = set()  # test/images/*
            continue
        names[top.name] = set(inner.folders)
        if inner.folders:
            classes = list(inner.folders.values())
            _check_classes(inner, classes, root)
            _read_classes(inner, classes, reading, top.name, depth + 1 + further)
    if not any(names.values()):
        return f"{listed(sorted(shown(name) for name in names))} are splits without class folders"
    for top in splits:
        if not names[top.name]:
            reading.notes.append(
                f"{shown(top.path)} has no class folders: its images have no label"
            )
    known = set.union(*names.values())
    for top in node.folders.values():
        if top in splits:
            continue
        places = top.all()
        if _is_copy(top, node):
            reading.left |= set(places)
            reading.notes.append(
                f"{shown(top.path)} repeats {counted(len(places), 'image')} of the folders "
                "beside it: left out"
            )
        elif top.folders and set(top.folders) <= known and not _is_kind(top.name):
            _read_classes(top, list(top.folders.values()), reading, top.name, depth + 1)
            for k in places:
                reading.splits[k] = top.name
        else:
            reading.notes.append(
                f"{shown(top.path)} lies beside the splits: its {counted(len(places), 'image')} "
                f"{'has' if len(places) == 1 else 'have'} no label"
            )
    return f"{listed(sorted(shown(name) for name in names))} hold the classes"


def _is_copy(top: _Node, node: _Node) -> bool:
    """Whether every folder in it is there beside it too, with as many images."""

    def sizes(start: _Node, above: str = "") -> dict[str, int]:
        counts = {above: len(start.images)} if start.images else {}
        for name, folder in start.folders.items():
            counts |= sizes(folder, f"{above}/{name}")
        return counts

    inner = sizes(top)
    beside: dict[str, int] = {}
    for name, folder in node.folders.items():
        if folder is not top:
            beside |= sizes(folder, f"/{name}")
    return bool(inner) and all(beside.get(path) == size for path, size in inner.items())


def _check_classes(node: _Node, tops: list[_Node], root: str) -> None:
    """Raises SourceError where the folders cannot be the classes, or those below might."""
    if not tops:
        return
    place = f"{root}/{node.path}".rstrip("/") if node.path else root
    names = listed([shown(top.name) for top in tops])
    if len(tops) > 1 and all(_is_kind(top.name) for top in tops):
        raise SourceError(
            f"{place}: {names} are kinds of files and no classes: give one of them with a table "
            "of labels, or --class-level 1 if they are the classes"
        )
    inside = [_inside_kind(top) for top in tops if top.folders]
    below = [set(folder.folders) for folder in inside]
    if len(below) < 2:
        return
    if all(is_split_word(name) for names_below in below for name in names_below):
        return  # CLASS/train, CLASS/test
    counts: dict[str, int] = defaultdict(int)
    for folders in below:
        for name in folders:
            counts[name] += 1
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if len(repeated) > 1 and 2 * len(repeated) >= len(counts):
        level = len(node.path.split("/")) if node.path else 0
        deeper = len(inside[0].path.split("/")) + 1
        raise SourceError(
            f"{place}: the folders {listed([shown(name) for name in repeated], 3)} come again "
            f"under {names}: say which are the classes, by --class-level {level + 1} "
            f"({shown(tops[0].name)}, ...) or --class-level {deeper} ({shown(repeated[0])}, ...)"
        )


def _read_classes(
    node: _Node, tops: list[_Node], reading: _Reading, split: str | None, depth: int
) -> str:
    for top in tops:
        if _is_unlabelled(top.name):
            reading.notes.append(
                f"{shown(top.path)} is taken for no class: its "
                f"{counted(len(top.all()), 'image')} without a label (--class-level takes it)"
            )
            continue
        for k in top.all():
            reading.labels[k], reading.depths[k] = top.name, depth
        if split is None and _are_split_words(top):
            for name, folder in top.folders.items():
                for k in folder.all():
                    reading.splits[k] = name
    nested = [top for top in tops if _is_nested(top)]
    if nested and 2 * len(nested) >= len(tops) and split is None:
        reading.notes.append(
            f"the folders in {shown(nested[0].path)} and others are not taken for classes: "
            f"--class-level {depth + 2} takes {shown(min(nested[0].folders))}, ..."
        )
    return f"one folder a class in {shown(node.path)}" if node.path else "one folder a class"


def _is_nested(top: _Node) -> bool:
    """Whether it holds several folders alone, and none that are splits."""
    several = len(top.folders) > 1 and not top.images
    return several and not _is_unlabelled(top.name) and not _are_split_words(top)


def _are_split_words(top: _Node) -> bool:
    return bool(top.folders) and all(is_split_word(name) for name in top.folders)
