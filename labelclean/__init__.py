"""labelclean finds the wrong labels of an image data set, and the labels that fit better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labelclean.report.report import Report as Report
    from labelclean.workflows.filtering import filter_dataset as filter_dataset
    from labelclean.workflows.predicting import load_model as load_model

__version__ = "0.1.0.dev0"  # read by the build as well

__all__ = ["Report", "__version__", "filter_dataset", "load_model"]


def __getattr__(name: str) -> Any:
    """Loads torch and pandas when they are asked for: `labelclean --help` answers at once."""
    if name == "filter_dataset":
        from labelclean.workflows.filtering import filter_dataset

        return filter_dataset
    if name == "load_model":
        from labelclean.workflows.predicting import load_model

        return load_model
    if name == "Report":
        from labelclean.report.report import Report

        return Report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
