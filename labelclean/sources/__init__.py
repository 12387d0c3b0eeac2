"""Reads what the user points at: folders, tables, archives, data sets by name."""

from labelclean.config.source_options import SourceOptions
from labelclean.sources.read_source import read, read_images, reopen

__all__ = ["SourceOptions", "read", "read_images", "reopen"]
