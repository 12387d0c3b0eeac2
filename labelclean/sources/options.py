"""SourceOptions: how a source is to be read, and how a report records that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from labelclean.errors import ConfigError

MULTI_LABEL = ("refuse", "skip", "keep")


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How a source is to be read.

    labels     table of labels for a folder, or in place of the labels of an archive or of CIFAR
    image_col, label_col, split_col
               names of the columns, or their numbers from 1 where the table has no header
    one_hot    columns of 0 and 1, one a class: their names by commas
    split      None: all rows, those of a test or validation split held out of the training
               (of CIFAR: the training split alone); "all": all rows, all trained on; "a,b": the
               rows of these splits, of which test and validation are held out only beside others
    class_level  which folder is the class, 1 for the one right below the source
    ignore     patterns of files and folders to leave out
    encoding   of tables that are not UTF-8
    merge_labels  join class names that look alike
    multi_label   what to do with a cell of several labels: refuse, skip (the row has no label),
               keep (a class of its own)
    root       folder that holds CIFAR
    download   fetch CIFAR where it is not there
    needs_images  refuse a table none of whose images is there
    is_to_train  refuse what nothing could be learned from, such as one class alone; this follows
               from what is done with the source, and is no option of a command
    """

    labels: Path | None = None
    image_col: str | None = None
    label_col: str | None = None
    split_col: str | None = None
    one_hot: str | None = None
    split: str | None = None
    class_level: int | None = None
    ignore: tuple[str, ...] = ()
    encoding: str | None = None
    merge_labels: bool = False
    multi_label: str = MULTI_LABEL[0]
    root: Path | None = None
    download: bool = False
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
        if problems:
            raise ConfigError("; ".join(problems))

    def record(self, source: str) -> dict[str, str | None]:
        """The options that a report keeps: later commands find the source from any folder."""
        record: dict[str, str | None] = {
            "source": str(Path(source).absolute()) if Path(source).exists() else source
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
