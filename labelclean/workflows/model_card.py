"""The README of a model folder: what the model is for, what it learnt, how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labelclean.errors import printable
from labelclean.learning.model_folder import ModelConfig

MOST_NAMES = 50  # class names listed
_MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]<>()#+-!|~&$"})

_USE = """\
## Use

    labelclean predict {folder} IMAGES --out labels.csv

```python
import labelclean, torch
from PIL import Image

model = labelclean.load_model("{folder}")
with torch.no_grad():
    probs = model(model.transform(Image.open("image.jpg"))[None]).softmax(dim=1)
print(model.class_names[probs.argmax()], float(probs.max()))
```
"""

_ONNX = """\
`model.onnx` takes `images`, float32 (batch, 3, {size}, {size}): the image upright in RGB,
{cut},
less `mean` and divided by `std` of `config.json` (of pixels from 0 to 255). It gives
`probabilities` (batch, {classes}), the temperature included.
"""


def model_card(config: ModelConfig, folder: str, *, has_onnx: bool) -> str:
    """Markdown in which no name of the data becomes markup."""
    training = config.training
    classes = ", ".join(map(text, config.class_names[:MOST_NAMES]))
    if len(config.class_names) > MOST_NAMES:
        classes += f" and {len(config.class_names) - MOST_NAMES:,} more (see config.json)"
    parts = [
        "# Image classifier trained on checked labels",
        f"{config.architecture}, {len(config.class_names):,} classes: {classes}.",
        f"License: {text(config.license) if config.license else 'not stated'}.",
        _USE.format(folder=printable(folder)),
    ]
    if has_onnx:
        parts.append(
            _ONNX.format(
                size=config.image_size, cut=_square(config), classes=len(config.class_names)
            )
        )
    parts += [
        "## Training data",
        "\n".join(
            [
                f"- report: {text(training['report'])}, images of {text(training['source'])}",
                f"- {training['images']:,} images, of which {training['kept']:,} kept their label, "
                f"{training['judged_wrong']:,} were judged wrong; {training['decided']:,} were "
                f"decided by a person, {training['excluded']:,} excluded",
                f"- estimated share of wrong labels before: {training['noise_rate']:.1%}",
                f"- {_calibrated(training['held_out'])}",
                f"- scheme {training['scheme']}, {training['epochs']} epochs, seed "
                f"{training['seed']}{_start(training)}",
            ]
        ),
        "## Quality",
        _quality(config.test),
        "## Limits",
        "The labels were judged by a network, not by people, unless decided above; what the images "
        "show rarely is learnt badly. Images unlike those of the training get some class all the "
        "same, often with a high probability.",
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _calibrated(held_out: int) -> str:
    if held_out:
        return f"{held_out:,} more images were held out to fit the temperature"
    return "no image was held out to fit the temperature"


def _start(training: Mapping[str, Any]) -> str:
    if not training["backbone"]:
        return ", from scratch"
    if training.get("is_finetuned"):  # absent in models of older versions
        return f"; the pretrained network {text(training['backbone'])}, trained on"
    return f"; a linear head on the pretrained network {text(training['backbone'])}"


def _square(config: ModelConfig) -> str:
    """How an image becomes the square that the network sees."""
    if config.is_squeezed:
        return f"resized to {config.image_size} x {config.image_size} px"
    return (
        f"its shorter side resized to {config.resize} px, its middle {config.image_size} px cut out"
    )


def text(name: object) -> str:
    """A name as Markdown that shows it and does nothing else."""
    return printable(name).translate(_MARKDOWN)


def _quality(test: Mapping[str, Any] | None) -> str:
    if test is None:
        return "Not tested."
    accuracy = test["accuracy"]
    low, high = accuracy["interval"]
    lines = [
        f"{accuracy['value']:.2%} of {accuracy['images']:,} test images right (95 % interval "
        f"{low:.2%} to {high:.2%}); expected calibration error "
        f"{test['calibration_error']:.3f}.",
        "",
        "| class | images | accuracy |",
        "|---|---|---|",
    ]
    for name, each in test["per_class"].items():
        value = "" if each["value"] is None else f"{each['value']:.1%}"
        lines.append(f"| {text(name)} | {each['images']:,} | {value} |")
    return "\n".join([*lines, "", "![confusion matrix](confusion.png)"])
