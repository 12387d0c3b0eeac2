"""Hugging Face's image folder: metadata.csv, .jsonl or .parquet in it or in its splits."""

from __future__ import annotations

from dataclasses import replace

from labelclean.config.source_options import SourceOptions
from labelclean.errors import SourceError
from labelclean.sources.columns import has_label_column, image_column, one_hot_columns
from labelclean.sources.formats.class_folders import ClassFolders
from labelclean.sources.locating import matcher
from labelclean.sources.protocol import FileFormat, Found, LabelPlaces, Place
from labelclean.sources.rows import Rows, concatenate, read_rows
from labelclean.sources.splits import split_of
from labelclean.sources.with_files import with_files
from labelclean.sources.wording import shown
from labelclean.tables.read_table import read_table
from labelclean.tables.table import SUFFIXES, Table, read_bytes


def is_metadata(path: str) -> bool:
    """True of metadata.csv and its kin, in the folder itself or one below it."""
    stem, dot, suffix = path.rpartition("/")[2].partition(".")
    return stem == "metadata" and dot + suffix in SUFFIXES and path.count("/") <= 1


def _has_labels(table: Table, options: SourceOptions) -> bool:
    if options.label_col is not None or options.one_hot is not None:
        return True
    image = image_column(table, options.image_col)
    return has_label_column(table, image) or bool(one_hot_columns(table, None, (image,)))


class MetadataFolder(FileFormat):
    name = "image folder with metadata"

    def looks_like(self, place: Place) -> str | None:
        if not (place.is_folder or place.is_archive) or place.options.labels is not None:
            return None
        tables = _tables(place)
        return f"{shown(tables[0])} in the folder" if tables else None

    def read(self, place: Place, labelled: bool) -> Found:
        tables = self._metadata(place)
        options, first = place.options, next(iter(tables.values()))[0]
        if not _has_labels(first, options):
            return self._by_folders(place, first)
        listing = place.holder
        match = matcher(listing, is_walked=True)
        parts: list[Rows] = []
        for folder, (table, _) in tables.items():
            split = folder if split_of(folder) else None
            rows = read_rows(
                table,
                options,
                match=match if len(tables) == 1 else None,
                folder=folder,
                split=split,
            )
            parts.append(rows)
        rows = replace(concatenate(parts), origin=str(place.path))
        return with_files(
            rows,
            listing,
            root=place.root,
            why=" and ".join(shown(path) for _, path in tables.values()),
            is_walked=True,
        )

    def label_places(self, place: Place) -> LabelPlaces:
        if place.root is None:
            return LabelPlaces()
        tables = tuple(place.root / path for path in _tables(place))
        if not _has_labels(read_table(tables[0], encoding=place.options.encoding), place.options):
            return ClassFolders().label_places(place)  # captions: the folders were the classes
        return LabelPlaces(tables=tables, images=tuple(place.images))

    def _metadata(self, place: Place) -> dict[str, tuple[Table, str]]:
        tables: dict[str, tuple[Table, str]] = {}
        for path in _tables(place):
            folder = path.rpartition("/")[0]
            if folder in tables:
                raise SourceError(
                    f"{place.path}: both {tables[folder][1]} and {path} are there: "
                    "remove one, or give one as LABELS"
                )
            content = place.listing.content(path) if place.is_archive else None
            file = place.path / path
            if content is None and not path.endswith(".parquet"):
                content = read_bytes(file)
            table = read_table(file, encoding=place.options.encoding, content=content)
            tables[folder] = (table, path)
        return tables

    def _by_folders(self, place: Place, table: Table) -> Found:
        """Captions and no labels: the folders are the classes, if there are any."""
        try:
            found = ClassFolders().read(place, labelled=True)
        except SourceError as error:
            raise SourceError(
                f"{table.path}: has no column of labels (name it by --label-col), and the folders "
                f"are no classes: {error}"
            ) from None
        note = f"{table.path.name} has no column of labels: the folders are the classes"
        return replace(found, rows=replace(found.rows, notes=(note, *found.rows.notes)))


def _tables(place: Place) -> list[str]:
    return [path for path in place.listing.paths if is_metadata(path)]
