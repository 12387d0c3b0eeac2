"""The tools that reports go to and decisions come from, by their names on the command line."""

from __future__ import annotations

from labelclean.errors import ConfigError
from labelclean.exports import cleanlab, coco, cvat, fiftyone, huggingface, label_studio
from labelclean.exports.labelled_rows import Format

FORMATS = {
    "label-studio": label_studio.FORMAT,
    "fiftyone": fiftyone.FORMAT,
    "cvat": cvat.FORMAT,
    "cleanlab": cleanlab.FORMAT,
    "huggingface": huggingface.FORMAT,
    "coco-classification": coco.FORMAT,
}


def format_of(flag: str, name: str) -> Format:
    """Raises ConfigError if there is none of that name."""
    if name not in FORMATS:
        raise ConfigError(f"{flag} is {name}, must be one of {', '.join(FORMATS)}")
    return FORMATS[name]
