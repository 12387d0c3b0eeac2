"""One decision of a person on one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from pydantic import BaseModel, TypeAdapter

from labelclean.errors import printable
from labelclean.schema import Text, checked

ACTIONS = ("accept", "keep", "other", "exclude", "unsure")
LABELLING = ("accept", "keep", "other")  # after these the image has a label
SETTLING = (*LABELLING, "exclude")  # after "unsure" the label may still be wrong


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A person's decision on one image.

    action    one of ACTIONS
    label     what holds now: the suggested label (accept), the given one (keep), the chosen one
              (other), None (exclude, unsure)
    before    the given label, "" where there was none
    reviewer  who, may be ""
    at        when, ISO 8601 in UTC

    Raises ValueError if action and label contradict each other.
    """

    image: str
    action: str
    label: str | None
    before: str
    reviewer: str
    at: str

    def __post_init__(self) -> None:
        if problem := problem_of(self.action, self.label, self.before):
            raise ValueError(f"{self.image!r}: {problem}")


def problem_of(action: str, label: str | None, before: str) -> str:
    """The reason why these three are no decision; "" where they are one."""
    if action not in ACTIONS:
        return f"action is '{printable(action)}', must be one of {', '.join(ACTIONS)}"
    if action not in LABELLING and label is not None:
        return f"label is '{printable(label)}', must be empty for {action}"
    if action in ("accept", "other") and not label:
        return f"label is empty, must be the label that holds now for {action}"
    if action == "keep" and label != before:
        return f"label is '{printable(label)}', must be the given label for keep"
    return ""


FIELDS = tuple(each.name for each in fields(Decision))  # the columns of a file of decisions


class _Cells(BaseModel):
    image: Text
    action: Text
    label: Text | None
    before: Text
    reviewer: Text
    at: Text


_CELLS = TypeAdapter(_Cells)


def decision_of(cells: Mapping[str, object]) -> Decision:
    """The decision in the cells of a file, by FIELDS. Raises ValueError with one line."""
    checked_cells = checked(_CELLS, cells)
    if not checked_cells.image:
        raise ValueError("image is empty")
    if problem := problem_of(checked_cells.action, checked_cells.label, checked_cells.before):
        raise ValueError(problem)
    return Decision(**dict(checked_cells))
