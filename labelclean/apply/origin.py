"""Where the labels of a report came from, and what of it may never be written over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from labelclean.config.source_options import SourceOptions, recorded_options
from labelclean.errors import ReportError, SourceError, printable
from labelclean.report.meta import ReportMeta
from labelclean.sources.formats import recognise
from labelclean.sources.formats.parquet import ColumnFormat
from labelclean.sources.protocol import LabelPlaces, Place
from labelclean.sources.remote import is_several


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The labels' place.

    source     what filter was given, absolute where it is a path
    root       folder of the images where they are files
    old_root   where that was when the report was made
    places     where the labels stand, in what the source is now
    reading    how the tables were read
    options    all options of filter about how to read it, as words of a command
    """

    source: str
    root: Path | None
    old_root: Path | None = None
    places: LabelPlaces = field(default_factory=LabelPlaces)
    reading: SourceOptions = field(default_factory=SourceOptions)
    options: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[Path, ...]:
        return self.places.tables

    @property
    def folder(self) -> Path | None:
        """The folder that is the source, in which nothing is ever written."""
        if self.root is not None:
            return None if self._is_beside_table else self.root
        path = Path(self.source)
        return path if path.is_dir() else None

    @property
    def _is_beside_table(self) -> bool:
        """Whether the table alone was given: its folder is the images' root, and the user's."""
        is_alone = len(self.tables) == 1 and not self.places.images
        return is_alone and str(self.tables[0].parent) == str(self.root)

    def folder_of(self, table: Path) -> str:
        """Where the paths in the table start, relative to the root; "" for the root itself."""
        if not self.places.images or self.root is None:
            return ""
        folder = table.parent.relative_to(self.root).as_posix()
        return "" if folder == "." else folder


def find_origin(meta: ReportMeta, report_path: Path, images: Path | None) -> Origin:
    """Finds the source of a report's labels, wherever it lies now.

    images  where the folder of the images is now, or the archive; None: where it was

    Raises SourceError if it is not there, ReportError if the report does not say.
    """
    how = meta.source
    source = how.get("source")
    if source is None:
        raise ReportError(
            f"{printable(report_path)}: does not say where its labels came from, as an older "
            "labelclean wrote it: run filter again"
        )
    old_root = None if meta.image_root is None else Path(meta.image_root)
    root = None if old_root is None else (images or old_root).absolute()
    reading = recorded_options(how)
    if reading.image_col is None and (column := how.get("images from")) is not None:
        reading = replace(reading, image_col=column)  # it was found by its cells
    options = _words(how)
    if (labels := how.get("labels")) is not None:
        places = LabelPlaces(tables=(_found(Path(labels), images, report_path),))
        return Origin(
            source=source,
            root=root,
            old_root=old_root,
            places=places,
            reading=reading,
            options=options,
        )
    if images is None and is_several(source):
        if how.get("format") == ColumnFormat.name:
            raise SourceError(
                f"{printable(source)}: labels inside many Parquet files are written for a folder: "
                "give it by --images"
            )
        return Origin(  # a new table: the files may be far away, and are not needed for it
            source=source,
            root=None,
            old_root=None,
            places=LabelPlaces(),
            reading=reading,
            options=options,
        )
    place = _source_now(source, old_root, images, reading, report_path)
    form, _ = recognise(place)
    return Origin(
        source=source if root is not None else place.source,
        root=root,
        old_root=old_root,
        places=form.label_places(place),
        reading=reading,
        options=options,
    )


def _source_now(
    source: str,
    old_root: Path | None,
    images: Path | None,
    reading: SourceOptions,
    report_path: Path,
) -> Place:
    """The place that filter was given, where it lies now."""
    path = Path(source)
    if old_root is None:
        if not path.exists() and "/" not in source.replace("\\", "/"):
            return Place(source, reading)  # a data set's name
        path = (images or path).absolute()
        if not path.exists():
            raise SourceError(f"{printable(path)}: the images are not there: give them by --images")
    elif path != old_root:
        path = _found(path, images, report_path)
    else:
        path = (images or old_root).absolute()
        if not path.is_dir():
            raise SourceError(f"{printable(path)}: the folder is not there: give it by --images")
    return Place(path, reading)


def _words(how: Mapping[str, str | None]) -> tuple[str, ...]:
    """The arguments that filter was started with, as words of a command."""
    words: list[str] = []
    for name in (
        "image_col", "label_col", "split_col", "split", "root", "one_hot", "class_level",
        "encoding", "multi_label",
    ):  # fmt: skip
        if (value := how.get(name)) is not None:
            words += ["--" + name.replace("_", "-"), value]
    for glob in (how.get("ignore") or "").split("\n"):
        words += ["--ignore", glob] if glob else []
    return (*words, "--merge-labels") if how.get("merge_labels") else tuple(words)


def _found(recorded: Path, images: Path | None, report_path: Path) -> Path:
    """The table of the labels, which may have moved with the images or the report.

    A wrong one of that name does no harm: its labels are compared with the report's.
    """
    folders = [report_path.absolute().parent]
    if images is not None:
        folders = [images.absolute(), images.absolute().parent, *folders]
    for place in (recorded, *(folder / recorded.name for folder in folders)):
        if place.is_file():
            return place
    raise SourceError(
        f"{printable(recorded)}: the labels' table is not there: put it back, or beside the report"
    )
