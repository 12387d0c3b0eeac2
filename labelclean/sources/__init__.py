"""Reads what the user points at: folders, tables, archives, data sets by name."""

from labelclean.sources.reading import SourceOptions, read

__all__ = ["SourceOptions", "read"]
