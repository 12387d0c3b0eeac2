"""SourceOptions: how a source is to be read, and how a report records it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from labelclean.config.described import option, raise_all
from labelclean.config.names import MULTI_LABEL


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How a source is to be read.

    labels     table of labels for a folder, or in place of the labels of an archive or of CIFAR
    split      None: all rows, those of a test or validation split held out of the training
               (of CIFAR: the training split alone); "all": all rows, all trained on; "a,b": the
               rows of these splits, of which test and validation are held out only beside others
    needs_images  refuse a table none of whose images is there
    is_to_train  refuse what nothing could be learned from, such as one class alone; this follows
               from what is done with the source, and is no option of a command
    """

    labels: Path | None = None
    image_col: str | None = option(
        None, "Column of the paths, or its number in a table without a header."
    )
    label_col: str | None = option(None, "Column of the labels.")
    split_col: str | None = option(None, "Column of the split.")
    one_hot: str | None = option(None, "Columns of 0 and 1, one a class: their names by commas.")
    class_level: int | None = option(
        None, "Which folder is the class: 1 is the one right below IMAGES."
    )
    ignore: tuple[str, ...] = option(
        (),
        "Files or folders to leave out, e.g. '*_mask.png'; repeatable.",
        is_repeated=True,
    )
    encoding: str | None = option(None, "Of tables that are not UTF-8: gbk, shift_jis, cp1251, ...")
    merge_labels: bool = option(False, "Join class names that look alike: Frog and frog.")
    multi_label: str = option(
        MULTI_LABEL[0],
        "Cells of several labels: refuse, skip (such rows have no label), keep (as classes).",
    )
    split: str | None = option(
        None,
        "Splits to use, e.g. train,extra, or all. Default: train on all rows but those of a test "
        "or validation split, and report on every row; of CIFAR by name the training split alone.",
    )
    root: Path | None = option(None, "Folder that holds CIFAR.")
    download: bool = option(False, "Fetch CIFAR, or weights, if absent.")
    is_to_train: bool = True
    needs_images: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "ignore", tuple(self.ignore or ()))  # a list, of the command line
        problems = []
        if self.class_level is not None and self.class_level < 1:
            problems.append(f"--class-level is {self.class_level}, must be at least 1")
        if self.multi_label not in MULTI_LABEL:
            ways = ", ".join(MULTI_LABEL)
            problems.append(f"--multi-label is {self.multi_label}, must be {ways}")
        if self.one_hot is not None and self.label_col is not None:
            problems.append("--one-hot and --label-col both name the labels: leave one out")
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except LookupError:
                problems.append(f"--encoding {self.encoding}: no such encoding, e.g. gbk, cp1251")
        raise_all(problems)

    def record(self, source: str) -> dict[str, str | None]:
        """The options that a report keeps: later commands find the source from any folder."""
        is_pattern = "://" not in source and any(each in source for each in "{*")
        is_local = is_pattern or Path(source).exists()
        record: dict[str, str | None] = {
            "source": str(Path(source).absolute()) if is_local else source
        }
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in _NOT_RECORDED:
                continue
            if each.name in _ALWAYS_RECORDED or value != each.default:
                record[each.name] = _text(value)
        return record


_ALWAYS_RECORDED = {"labels", "root", "image_col", "label_col", "split_col", "split"}
_NOT_RECORDED = {"download", "is_to_train", "needs_images"}


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, tuple):
        return "\n".join(value)
    return str(value)


def recorded_options(how: Mapping[str, str | None], **changes: object) -> SourceOptions:
    """The options that `record` kept."""
    given: dict[str, object] = {}
    for each in fields(SourceOptions):
        text = how.get(each.name)
        if text is None or each.name in _NOT_RECORDED:
            continue
        if each.name in ("labels", "root"):
            given[each.name] = Path(text)
        elif each.name == "ignore":
            given[each.name] = tuple(text.split("\n"))
        elif each.name == "class_level":
            given[each.name] = int(text)
        elif each.name == "merge_labels":
            given[each.name] = text == "True"
        else:
            given[each.name] = text
    return SourceOptions(**{**given, **changes})  # type: ignore[arg-type]
