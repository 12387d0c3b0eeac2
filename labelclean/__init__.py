"""labelclean finds the wrong labels of an image data set, and the labels that fit better."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labelclean.report.table import Report as Report
    from labelclean.workflows import filter_dataset as filter_dataset

try:
    __version__ = version("labelclean")
except PackageNotFoundError:  # run from a folder of sources
    __version__ = "0+unknown"

__all__ = ["Report", "__version__", "filter_dataset"]


def __getattr__(name: str) -> Any:
    """Loads torch and pandas when they are asked for: `labelclean --help` answers at once."""
    if name == "filter_dataset":
        from labelclean.workflows import filter_dataset

        return filter_dataset
    if name == "Report":
        from labelclean.report.table import Report

        return Report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
