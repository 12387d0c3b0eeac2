"""Label Studio: tasks with predictions (tasks.json), the labelling interface (labels.xml)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from labelclean.errors import printable
from labelclean.exports import parsing
from labelclean.exports.labelled_rows import (
    MODEL,
    Export,
    ExportRow,
    Format,
    Found,
    Labelled,
    is_xml_text,
)
from labelclean.exports.streamed import json_list
from labelclean.tables.annotations import choices_of, submitted

TITLE = "Label Studio"
CONTROL = "label"  # name of the choices in labels.xml
IMAGE = "labelclean_image"  # key in a task's data that keeps the report's name of the image
# Keys of a JSON-MIN task other than its choice; labelclean's export writes the last six.
_NO_CONTROL = {
    "id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "image", IMAGE,
    "question", "given_label", "suggested_label", "is_label_issue", "issue_probability",
    "label_score",
}  # fmt: skip
_LIKELY = {"choice", "choices", "class", "category", "classification"}
LOCAL_FILES = "/data/local-files/?d="  # the address of a file below the server's document root


def files(export: Export) -> Mapping[str, Iterable[bytes]]:
    """The label in doubt is data of the task; the suggestion is its prediction.

    The score of the prediction is the probability of a wrong label: the Data Manager sorts by it.
    """
    tasks = (_task(row, _address(export, row)) for row in export.rows)
    choices = "\n".join(f"    <Choice value={quoteattr(x)}/>" for x in export.class_names)
    interface = (
        "<View>\n"
        '  <Header value="$question"/>\n'
        '  <Image name="image" value="$image"/>\n'
        f'  <Choices name="{CONTROL}" toName="image" choice="single" required="true">\n'
        f"{choices}\n  </Choices>\n</View>\n"
    )
    return {"tasks.json": json_list(tasks, between=b",\n"), "labels.xml": [interface.encode()]}


def _address(export: Export, row: ExportRow) -> str:
    """The server hands out files of a folder within its document root, not of that root itself."""
    if (url := export.url(row)) is not None:
        return url
    if export.images is None:
        raise ValueError(f"row {row.row} is neither a file nor a URL")
    return LOCAL_FILES + quote(f"{export.images.name}/{row.file}")


def _task(row: ExportRow, address: str) -> dict[str, Any]:
    sure = "" if row.suggested_probability is None else f" ({row.suggested_probability:.0%})"
    task: dict[str, Any] = {
        "data": {
            "image": address,
            IMAGE: row.image,
            "question": f"given: {row.given or 'no label'}, suggested: {row.suggested}{sure}",
            "given_label": row.given,
            "suggested_label": row.suggested,
            "is_label_issue": row.is_label_issue,
            "issue_probability": row.issue_probability,
            "label_score": row.label_score,
        }
    }
    if row.suggested:
        prediction: dict[str, Any] = {
            "model_version": MODEL,
            "result": [
                {
                    "id": f"row{row.row}",
                    "from_name": CONTROL,
                    "to_name": "image",
                    "type": "choices",
                    "value": {"choices": [row.suggested]},
                }
            ],
        }
        if row.issue_probability is not None:
            prediction["score"] = row.issue_probability
        task["predictions"] = [prediction]
    return task


def read(path: Path) -> Found:
    """The submitted annotations of an export as JSON or JSON-MIN, the oldest of a task first.

    Predictions, drafts and skipped tasks are no decisions. Raises ReportError.
    """
    tasks = parsing.read_json(path, TITLE)
    tasks = tasks if isinstance(tasks, list) else [tasks]
    if not all(isinstance(task, dict) for task in tasks):
        raise parsing.unlike(path, TITLE, "a list of tasks is needed")
    labelled: list[Labelled] = []
    unclear = 0
    is_known = not tasks
    control = _control(tasks, path)
    for task in tasks:
        data = task.get("data", task)
        if not isinstance(data, dict) or not (IMAGE in data or "image" in data):
            continue
        is_known = True
        image = parsing.text_of(data.get(IMAGE, data.get("image")))
        for choices, annotator in _answers(task, control):
            if len(choices) == 1:
                labelled.append(
                    Labelled(image=image, label=choices[0], annotator=annotator, is_reviewed=True)
                )
            unclear += len(choices) > 1
    if not is_known:
        raise parsing.unlike(path, TITLE, "no task has an image")
    return Found(labels=tuple(labelled), unclear=unclear)


def _control(tasks: list[dict[str, Any]], path: Path) -> str:
    """The key of the choice in JSON-MIN: the name of the control, which may be any.

    Raises ReportError if it is not clear.
    """
    short = [task for task in tasks if "data" not in task]
    if not short or any(CONTROL in task for task in short):
        return CONTROL
    keys = {key for task in short for key in task} - _NO_CONTROL
    chosen = sorted(key for key in keys if any(_texts(_choices(task.get(key))) for task in short))
    chosen = [key for key in chosen if key in _LIKELY] or chosen
    if len(chosen) == 1:
        return chosen[0]
    what = f"{' and '.join(chosen)} may all be the choice" if chosen else "no task has a choice"
    raise parsing.unlike(path, TITLE, f"{printable(what)}: name the control '{CONTROL}'")


def _choices(value: object) -> object:
    return value.get("choices") if isinstance(value, dict) else value


def _answers(task: Mapping[str, Any], control: str) -> list[tuple[list[str], str | None]]:
    """The choices of each annotation, and who made it."""
    if "data" not in task:  # JSON-MIN has one object a task, its choice under the control's name
        chosen = _choices(task.get(control))
        return [(_texts(chosen), _name(task.get("annotator")))]
    return [(_texts(choices_of(each)), _name(each.get("completed_by"))) for each in submitted(task)]


def _texts(chosen: object) -> list[str]:
    listed = chosen if isinstance(chosen, list) else [chosen]
    return [text for text in map(parsing.text_of, listed) if text]


def _name(user: object) -> str | None:
    """An export names people by their address or only by their number on that server."""
    if isinstance(user, dict):
        user = user.get("email") or user.get("username") or user.get("id")
    if isinstance(user, int) and not isinstance(user, bool):
        return f"label-studio user {user}"
    return parsing.text_of(user) or None


def next_step(export: Export, out: Path) -> str:
    steps = "paste labels.xml as the labelling interface, import tasks.json"
    if export.url_prefix is not None or export.images is None:
        return steps
    return (
        "start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
        f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={export.images.parent}, "
        f"add {export.images} as a local storage without syncing it, {steps}"
    )


FORMAT = Format(
    title=TITLE,
    files=files,
    read=read,
    next_step=next_step,
    takes_urls=True,
    has_text=is_xml_text,
)
