"""inspect: what a source was taken for, and what in it is odd, without a training."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from labelclean.data.images import (
    DECODER_ERRORS,
    UnreadableImage,
    content_digest,
    open_image,
    reason_of,
)
from labelclean.data.quiet import quiet
from labelclean.data.samples import (
    MISSING,
    NO_LABEL,
    OK,
    UNLABELLED,
    UNREADABLE,
    SampleTable,
)
from labelclean.sources.folders import FileImages
from labelclean.sources.labels import look_alikes, spelled
from labelclean.sources.splits import HELD_OUT, is_split_word, plain_split
from labelclean.sources.wording import counted, listed, shown

WHOLE = 1_000  # images up to which each is decoded
HEADERS = 4_000  # headers that are read of more images
COPIES = 20_000  # images up to which copies are looked for
COPY_BYTES = 1 << 30  # that are read for it
FEW = 5  # images of a class below which it is odd
NAMED = 20  # classes that are all named
ENDS = 5  # the largest and smallest classes of more
NOT_OPENED = "no image was opened"
SIDES = 16  # times that the largest image may be the smallest


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The result of `inspect`.

    rows        of the input, repeated ones too
    images      what became of them -> how many
    unreadable  why -> names of images
    read        how the images were looked at
    classes     name -> images, the largest first
    splits      name -> (rows, what happens to them)
    columns     what for -> the column's name, and `left` those that are not used
    examples    three rows: image, label, split
    copies      images that are there more than once: (count, groups, groups with several labels);
                None: not looked for
    sides       smallest, median and largest (width, height)
    odd         what needs a decision
    """

    source: str
    format: str
    why: str
    rows: int
    images: dict[str, int]
    unreadable: dict[str, list[str]]
    read: str
    classes: dict[str, int]
    splits: dict[str, tuple[int, str]]
    columns: dict[str, str]
    left: list[str]
    examples: list[tuple[str, str, str]]
    copies: tuple[int, int, int] | None
    sides: list[tuple[int, int]]
    odd: list[str]
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def understood(table: SampleTable) -> list[str]:
    """One or two lines: what the source was taken for."""
    about = table.understood
    if about is None:
        return []
    counts = _class_counts(table)
    lines = [
        f"{about.format} ({about.why}): {counted(len(table), 'row')}, "
        f"{counted(len(counts), 'class')}: {_classes_text(counts, 8)}"
    ]
    splits = _splits(table)
    if splits:
        lines.append(
            "splits: "
            + "; ".join(f"{shown(name)} ({rows:,}) {what}" for name, (rows, what) in splits.items())
        )
    return lines


def inspect_table(source: str, table: SampleTable, *, opens: bool = True) -> Inspection:
    """Looks at the images of a table: at all of a few, at headers of more, at some of many.

    opens  False: at none, where features were given in their place
    """
    looked = _look(table) if opens else _unopened(table)
    counts = _class_counts(table)
    copies = _copies(table) if opens else None
    about = table.understood
    images = Counter(str(status) for status in table.status)
    if opens:
        images[UNREADABLE] = sum(len(names) for names in looked.unreadable.values())
        images[OK] -= images[UNREADABLE]
    images["repeated"] = len(table.merged)
    return Inspection(
        source=source,
        format="" if about is None else about.format,
        why="" if about is None else about.why,
        rows=len(table) + len(table.merged),
        images={name: count for name, count in images.items() if count},
        unreadable=looked.unreadable,
        read=looked.how,
        classes=counts,
        splits=_splits(table),
        columns={} if about is None else dict(about.columns),
        left=[] if about is None else list(about.left),
        examples=_examples(table),
        copies=copies,
        sides=_sides(looked.sizes),
        odd=_odd(table, counts, looked, copies),
        notes=list(table.notes),
    )


@dataclass
class _Looked:
    how: str
    unreadable: dict[str, list[str]]
    sizes: list[tuple[int, int]]


def _unopened(table: SampleTable) -> _Looked:
    names = [table.paths[row] for row in np.flatnonzero(table.status == UNREADABLE).tolist()]
    unreadable = {"without features": names} if names else {}
    return _Looked(how=NOT_OPENED, unreadable=unreadable, sizes=[])


def _look(table: SampleTable) -> _Looked:
    rows = [k for k, status in enumerate(table.status) if status != MISSING]
    is_whole = len(rows) <= WHOLE
    if is_whole:
        how = "all images were decoded"
    elif len(rows) <= HEADERS:
        how = "the headers of all images were read, not their pixels"
    else:
        how = f"the headers of {HEADERS:,} images were read, evenly spaced, not their pixels"
        rows = [rows[k] for k in np.linspace(0, len(rows) - 1, HEADERS).astype(int)]
    unreadable: dict[str, list[str]] = defaultdict(list)
    sizes = []
    with quiet():
        for row in rows:
            try:
                sizes.append(_size(table, row, is_whole))
            except (*DECODER_ERRORS, UnreadableImage) as error:
                unreadable[reason_of(error)].append(table.paths[row])
    return _Looked(how=how, unreadable=dict(unreadable), sizes=sizes)


def _size(table: SampleTable, row: int, is_whole: bool) -> tuple[int, int]:
    source = table.images
    if isinstance(source, FileImages) and not is_whole:
        with open(os.path.join(source.root, source.files[row]), "rb") as file:
            head = file.read(1 << 16)
        try:
            with open_image(head) as image:
                return image.size
        except UnreadableImage:
            pass  # what it needs stands further back, as in TIFF
    with open_image(source.read(row)) as image:
        if is_whole:
            image.load()
        return image.size


def _copies(table: SampleTable) -> tuple[int, int, int] | None:
    """Images with a copy, groups of copies, and groups with several labels."""
    rows = [k for k, status in enumerate(table.status) if status != MISSING]
    if len(rows) > COPIES:
        return None
    source = table.images
    if isinstance(source, FileImages):  # equal files are equally long
        sizes = Counter(int(source.sizes[k]) for k in rows)
        rows = [k for k in rows if sizes[int(source.sizes[k])] > 1]
        if sum(int(source.sizes[k]) for k in rows) > COPY_BYTES:
            return None
    groups: dict[bytes, list[int]] = defaultdict(list)
    for row in rows:
        try:
            data = source.read(row)
        except OSError:
            continue
        groups[content_digest(data).tobytes()].append(row)
    copies = [group for group in groups.values() if len(group) > 1]
    clashing = [
        group for group in copies if len({int(table.labels[k]) for k in group} - {NO_LABEL}) > 1
    ]
    return sum(map(len, copies)), len(copies), len(clashing)


def _class_counts(table: SampleTable) -> dict[str, int]:
    has_image = table.status == OK
    has_image |= not has_image.any()  # of features alone no image need be there
    counts = np.bincount(
        table.labels[has_image & (table.labels != NO_LABEL)], minlength=table.num_classes
    )
    pairs = zip(table.class_names, counts.tolist(), strict=True)
    return dict(sorted(pairs, key=lambda pair: -pair[1]))


def _classes_text(counts: dict[str, int], most: int) -> str:
    parts = [f"{shown(name)} {count:,}" for name, count in counts.items()]
    if len(parts) <= most:
        return ", ".join(parts)
    ends = min(ENDS, most // 2)
    return f"{', '.join(parts[:ends])}, ..., {', '.join(parts[-ends:])}"


def _splits(table: SampleTable) -> dict[str, tuple[int, str]]:
    if table.understood is None or not any(table.understood.splits):
        return {}
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, split in enumerate(table.understood.splits):
        rows_of[(split or "").strip() or "(none)"].append(row)
    return {
        name: (len(rows), "held out" if table.held_out[rows].all() else "trained on")
        for name, rows in rows_of.items()
    }


def _examples(table: SampleTable) -> list[tuple[str, str, str]]:
    splits = () if table.understood is None else table.understood.splits
    names = (*table.class_names, "")
    rows = sorted({0, len(table) // 2, len(table) - 1})
    return [
        (table.paths[k], names[table.labels[k]], (splits[k] if splits else None) or "")
        for k in rows
    ]


def _sides(sizes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    ordered = sorted(sizes, key=lambda size: size[0] * size[1])
    return [ordered[0], ordered[len(ordered) // 2], ordered[-1]] if ordered else []


def _odd(
    table: SampleTable,
    counts: dict[str, int],
    looked: _Looked,
    copies: tuple[int, int, int] | None,
) -> list[str]:
    """Oddities that a person should decide on before hours of training."""
    odd = []
    pairs = [" = ".join(map(spelled, names)) for names in look_alikes(counts)]
    if pairs:
        odd.append(f"class names that look alike: {listed(pairs, 5)}")
    few = [f"{shown(name)} {count}" for name, count in counts.items() if count < FEW]
    if few:
        odd.append(f"{counted(len(few), 'class')} of fewer than {FEW} images: {listed(few, 5)}")
    unknown = {
        name
        for name in _splits(table)
        if name != "(none)" and plain_split(name) not in ("train", *HELD_OUT)
    }
    unknown -= {name for name in unknown if is_split_word(name)}
    if unknown:
        odd.append(f"no known words for splits: {listed([shown(x) for x in sorted(unknown)], 5)}")
    lacks = ((MISSING, "rows without an image"), (UNLABELLED, "images without a label"))
    for status, what in lacks:
        paths = [table.paths[k] for k in np.flatnonzero(table.status == status).tolist()]
        if paths:
            odd.append(f"{len(paths):,} {what}: {listed([shown(p) for p in paths], 3)}")
    if looked.unreadable:
        total = sum(map(len, looked.unreadable.values()))
        reasons = [f"{shown(why)} ({len(names):,})" for why, names in looked.unreadable.items()]
        odd.append(f"{counted(total, 'image')} cannot be read: {listed(reasons, 4)}")
    sides = [min(size) for size in looked.sizes if min(size)]
    if sides and max(sides) > SIDES * min(sides):
        odd.append(f"images of very different sizes: shorter sides {min(sides)} to {max(sides)} px")
    if copies and copies[2]:
        odd.append(f"{counted(copies[2], 'image')} there more than once with different labels")
    return odd


def render(facts: Inspection) -> str:
    """The facts for a person."""
    images = ", ".join(f"{count:,} {name}" for name, count in facts.images.items())
    lines = [
        f"{shown(facts.source)}: {facts.format} ({facts.why})",
        f"rows:      {facts.rows:,} ({images})",
        f"classes:   {len(facts.classes):,}: {_classes_text(facts.classes, NAMED)}",
    ]
    for name, (rows, what) in facts.splits.items():
        lines.append(f"split:     {shown(name)}: {rows:,} rows, {what}")
    if facts.columns:
        taken = ", ".join(f"{what} from '{shown(name)}'" for what, name in facts.columns.items())
        left = listed([shown(name) for name in facts.left], 8)
        lines.append(f"columns:   {taken}" + (f"; not used: {left}" if left else ""))
    for image, label, split in facts.examples:
        rest = ", ".join(filter(None, (shown(label) or "(no label)", shown(split))))
        lines.append(f"example:   {shown(image)}: {rest}")
    if facts.sides:
        (w, h), (mw, mh), (W, H) = facts.sides
        lines.append(f"sizes:     {w} x {h} to {W} x {H} px, in the middle {mw} x {mh}")
    lines.append(f"looked at: {facts.read}")
    if facts.copies is None:
        why = "where no image is opened" if facts.read == NOT_OPENED else "among so many images"
        lines.append(f"copies:    not looked for {why}")
    elif facts.copies[0]:
        lines.append(f"copies:    {facts.copies[0]:,} images in {facts.copies[1]:,} groups")
    for why, names in facts.unreadable.items():
        some = listed([shown(name) for name in names], 3)
        lines.append(f"unreadable: {shown(why)}: {some}")
    lines += [f"note:      {shown(note)}" for note in facts.notes]
    lines += [f"odd:       {shown(line)}" for line in facts.odd]
    return "\n".join(lines)
