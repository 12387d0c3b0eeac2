"""labelclean finds the wrong labels of an image data set, and the labels that fit better.

Everything public is here; the other modules may change at any time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labelclean.config import FilterConfig as FilterConfig
    from labelclean.config import HeadConfig as HeadConfig
    from labelclean.config import RuntimeConfig as RuntimeConfig
    from labelclean.config import TrainConfig as TrainConfig
    from labelclean.config import VerdictConfig as VerdictConfig
    from labelclean.config import ViewConfig as ViewConfig
    from labelclean.config.source_options import SourceOptions as SourceOptions
    from labelclean.config.training_config import TrainingConfig as TrainingConfig
    from labelclean.errors import LabelcleanError as LabelcleanError
    from labelclean.progress import TerminalReporter as TerminalReporter
    from labelclean.report.report import Report as Report
    from labelclean.workflows.applying import apply_decisions as apply_decisions
    from labelclean.workflows.evaluation import evaluate_report as evaluate_report
    from labelclean.workflows.filtering import filter_dataset as filter_dataset
    from labelclean.workflows.predicting import load_model as load_model
    from labelclean.workflows.training import train_classifier as train_classifier

__version__ = "0.1.0.dev0"  # read by the build as well

_HOMES = {
    "FilterConfig": "config",
    "HeadConfig": "config",
    "LabelcleanError": "errors",
    "Report": "report.report",
    "RuntimeConfig": "config",
    "SourceOptions": "config.source_options",
    "TerminalReporter": "progress",
    "TrainConfig": "config",
    "TrainingConfig": "config.training_config",
    "VerdictConfig": "config",
    "ViewConfig": "config",
    "apply_decisions": "workflows.applying",
    "evaluate_report": "workflows.evaluation",
    "filter_dataset": "workflows.filtering",
    "load_model": "workflows.predicting",
    "train_classifier": "workflows.training",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Loads torch and pandas when they are asked for: `labelclean --help` answers at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
