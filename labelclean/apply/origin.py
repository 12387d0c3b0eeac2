"""Where the labels of a report came from, and what of it may never be written over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from labelclean.errors import ReportError, SourceError, printable
from labelclean.report.table import Report
from labelclean.sources.archives import is_archive_name
from labelclean.sources.folders import Listing
from labelclean.sources.formats.metadata import holds_labels, is_metadata
from labelclean.sources.options import SourceOptions, recorded_options
from labelclean.sources.tables import PARQUET

TABLE = "table"  # of paths and labels
METADATA = "metadata"  # Hugging Face's metadata.csv and its kin, inside the folder of the images
CLASS_FOLDERS = "class folders"
SHARDS = "Parquet with images"
ARCHIVE = "archive"  # CIFAR: neither its images nor its labels are files of their own


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The labels' place.

    kind       one of the constants above
    source     what filter was given, absolute where it is a path
    root       folder of the images where they are files
    old_root   where that was when the report was made
    tables     the files with the labels, in the order in which they were read
    listed     images below the root of METADATA and CLASS_FOLDERS, forward slashes
    reading    how the tables were read
    options    all that filter was told about how to read it, as words of a command
    """

    kind: str
    source: str
    root: Path | None
    old_root: Path | None = None
    tables: tuple[Path, ...] = ()
    listed: tuple[str, ...] = ()
    reading: SourceOptions = field(default_factory=SourceOptions)
    options: tuple[str, ...] = ()

    @property
    def folder(self) -> Path | None:
        """The folder that is the source, in which nothing is ever written."""
        if self.kind in (METADATA, CLASS_FOLDERS):
            return self.root
        if self.kind == TABLE:
            return None if self._is_beside_table else self.root
        path = Path(self.source)
        return path if path.is_dir() else None

    @property
    def _is_beside_table(self) -> bool:
        """Whether the table alone was given: its folder is the images' root, and the user's."""
        return self.root is not None and str(self.tables[0].parent) == str(self.root)

    def folder_of(self, table: Path) -> str:
        """Where the paths in the table start, relative to the root; "" for the root itself."""
        if self.kind != METADATA or self.root is None:
            return ""
        folder = table.parent.relative_to(self.root).as_posix()
        return "" if folder == "." else folder


def find_origin(report: Report, report_path: Path, images: Path | None) -> Origin:
    """What the report's labels came from, wherever it lies now.

    images  where the folder of the images is now, or the archive; None: where it was

    Raises SourceError if it is not there, ReportError if the report does not say.
    """
    how = report.meta.source
    source = how.get("source")
    if source is None:
        raise ReportError(
            f"{printable(report_path)}: does not say where its labels came from, as an older "
            "labelclean wrote it: run filter again"
        )
    old_root = None if report.meta.image_root is None else Path(report.meta.image_root)
    root = None if old_root is None else (images or old_root).absolute()
    reading = recorded_options(how)
    if reading.image_col is None and (column := how.get("images from")) is not None:
        reading = replace(reading, image_col=column)  # it was found by its cells
    options = _words(how)
    labels = how.get("labels")
    if labels is not None or (old_root is not None and Path(source) != old_root):
        table = _found(Path(labels or source), images, report_path)
        return Origin(
            kind=TABLE,
            source=source,
            root=root,
            old_root=old_root,
            tables=(table,),
            reading=reading,
            options=options,
        )
    if root is not None:
        return replace(_from_folder(source, root, reading), options=options)
    is_path = Path(source).exists() or "/" in source.replace("\\", "/")
    if not is_path:
        return Origin(kind=ARCHIVE, source=source, root=None, options=options)
    path = (images or Path(source)).absolute()
    shards = _shards(path)
    return Origin(
        kind=SHARDS if shards else ARCHIVE,
        source=str(path),
        root=None,
        tables=shards,
        reading=reading,
        options=options,
    )


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


def _from_folder(source: str, root: Path, reading: SourceOptions) -> Origin:
    if not root.is_dir():
        raise SourceError(f"{printable(root)}: the folder is not there: give it by --images")
    listing = Listing(root, reading.ignore)
    listing.walk()
    tables = tuple(root / path for path in listing.paths if is_metadata(path))
    if tables and not holds_labels(tables[0], reading):
        tables = ()  # captions: the folders were the classes
    return Origin(
        kind=METADATA if tables else CLASS_FOLDERS,
        source=source,
        root=root,
        tables=tables,
        listed=tuple(path for path in listing.paths if listing.is_visible_image(path)),
        reading=reading,
    )


def _shards(path: Path) -> tuple[Path, ...]:
    """The Parquet files with images; () for archives and Arrow, into which nothing is written."""
    if path.is_file():
        return (path,) if path.suffix.lower() in PARQUET else ()
    if not path.is_dir():
        raise SourceError(f"{printable(path)}: the images are not there: give them by --images")
    listing = Listing(path)
    listing.walk()
    if any(is_archive_name(name) for name in listing.paths):
        return ()
    return tuple(path / name for name in listing.paths if name.lower().endswith(PARQUET))
