"""The model folder: a trained classifier as files that need no code of ours to be read."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from labelclean import disk, schema
from labelclean.data.images import ImageSpec
from labelclean.data.transform import Transform
from labelclean.errors import LabelcleanError, RunError, printable
from labelclean.learning import models
from labelclean.opening import read_regular
from labelclean.schema import Count, Flag, Number, Text

FORMAT = 2  # of config.json; raise it when older versions would misread the folder
CONFIG, WEIGHTS, ONNX = "config.json", "model.safetensors", "model.onnx"

_LARGEST = 8192  # px, of an image that a network sees


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """All that is needed to use the weights; kept in config.json.

    class_names  (c,) in the order of the outputs
    image_size   px, side of the square that the network sees, cut from the middle of an image
                 whose shorter side was made `resize` px long
    mean, std    of the three colours, 0 to 255
    is_squeezed  the whole image becomes that square, whatever its sides: nothing is cut off
    enlarged     px that the network itself enlarges the square to; None: it does not
    values       black and white of images of more than 8 bits; None: of each its own
    flip         mirror images were trained on: they are of the same class
    temperature  the network's logits are divided by it
    license      of the weights; None: nobody said
    training     summary of the data and how it was learnt
    test         figures on the test set, if there was one
    """

    architecture: Text
    class_names: tuple[Text, ...]
    image_size: Count
    resize: Count
    mean: tuple[Number, Number, Number]
    std: tuple[Number, Number, Number]
    is_squeezed: Flag = False
    enlarged: Count | None = None
    values: tuple[Number, Number] | None = None
    flip: Flag = True
    temperature: Number = 1.0
    license: Text | None = None
    versions: Mapping[Text, Text] = field(default_factory=dict)
    training: Mapping[Text, Any] = field(default_factory=dict)
    test: Mapping[Text, Any] | None = None

    def __post_init__(self) -> None:
        numbers = (*self.mean, *self.std, self.temperature)
        if not all(map(math.isfinite, numbers)) or min(*self.std, self.temperature) <= 0:
            raise ValueError(f"mean {self.mean}, std {self.std}, temperature {self.temperature}")
        if len(self.mean) != 3 or len(self.std) != 3:
            raise ValueError(f"{len(self.mean)} means and {len(self.std)} deviations, not 3")
        if len(self.class_names) < 2 or not 1 <= self.image_size <= self.resize <= _LARGEST:
            raise ValueError(f"{len(self.class_names)} classes, {self.image_size}, {self.resize}")
        if self.enlarged is not None and not self.image_size <= self.enlarged <= _LARGEST:
            raise ValueError(f"images of {self.image_size} px are enlarged to {self.enlarged}")
        if len(set(self.class_names)) < len(self.class_names):
            raise ValueError("class_names has a name twice")

    def to_json(self) -> bytes:
        facts = {"format": FORMAT, **asdict(self)}
        return (json.dumps(facts, indent=2, allow_nan=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, place: str) -> ModelConfig:
        """Raises RunError that begins with `place` if it is none, or of another format."""
        fields_read = schema.loads(data)
        if not isinstance(fields_read, dict) or not isinstance(fields_read.get("format"), int):
            raise RunError(f"{place}: not the config of a model of labelclean; train it again")
        if fields_read["format"] != FORMAT:
            remedy = "update labelclean" if fields_read["format"] > FORMAT else "train it again"
            raise RunError(
                f"{place}: format {fields_read['format']}, this labelclean reads {FORMAT}; {remedy}"
            )
        try:
            return schema.checked(_schema(), fields_read)
        except ValueError as error:
            raise RunError(
                f"{place}: damaged ({error}); restore it or train the model again"
            ) from None


@functools.cache
def _schema() -> TypeAdapter[ModelConfig]:
    return TypeAdapter(ModelConfig)


class TrainedModel(nn.Module):
    """A classifier with all that is needed to use it.

    forward(images (b, 3, s, s), as `transform` makes them) gives logits (b, c) whose softmax is
    calibrated: they are divided by the temperature already.
    """

    def __init__(self, network: nn.Module, config: ModelConfig) -> None:
        super().__init__()
        self.network, self.config = network, config

    @cached_property
    def transform(self) -> Transform:
        """Turns a PIL image into the tensor (3, s, s) that the network expects."""
        spec = ImageSpec(
            size=self.config.image_size,
            resize=self.config.resize,
            values=self.config.values,
            is_squeezed=self.config.is_squeezed,
        )
        return Transform(spec=spec, mean=self.config.mean, std=self.config.std)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.config.class_names

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits / self.config.temperature


def weights_bytes(network: nn.Module, config: ModelConfig) -> bytes:
    """The file of the weights; its header says what they are."""
    state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    about = {"architecture": config.architecture, "class_names": config.class_names}
    # one key: safetensors writes several in an order that changes from run to run
    return bytes(save(state, metadata={"labelclean": json.dumps(about)}))


def is_model(folder: Path) -> bool:
    """Whether a folder is one that may be replaced by another model."""
    return (folder / CONFIG).is_file()


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """The folder appears with all of its files in place of what is there, or not at all.

    Raises OutputError.
    """
    with disk.staged(folder) as place:
        place.mkdir()
        for name, data in contents.items():
            disk.write_durably(place / name, data)


def is_finite(values: Tensor) -> bool:
    return not values.is_floating_point() or bool(torch.isfinite(values).all())


def load_model(folder: str | Path) -> TrainedModel:
    """The model of that folder, in evaluation mode, on the CPU.

    Its `transform` turns a PIL image into the right tensor; `class_names` are in the order of the
    logits.

    Raises RunError if the folder is no such model, damaged or of another version.
    """
    folder = Path(folder)
    disk.finish(folder)
    place = folder / CONFIG
    config = ModelConfig.from_json(_read(folder, place), printable(place))
    path = folder / WEIGHTS
    data = _read(folder, path)
    try:
        state = load(data)
        broken = [name for name, values in state.items() if not is_finite(values)]
        if broken:
            raise ValueError(f"{broken[0]} holds values that are no numbers")
    except (SafetensorError, ValueError, LookupError, MemoryError) as error:
        raise RunError(
            f"{printable(path)}: damaged ({printable(error)}); restore it or train the model again"
        ) from None
    with torch.random.fork_rng(devices=[]):  # a new network is drawn, and overwritten
        try:
            network = models.build(
                config.architecture,
                len(config.class_names),
                config.image_size,
                enlarged=config.enlarged,
            )
        except LabelcleanError as error:
            raise RunError(f"{printable(place)}: {error}") from None
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise RunError(
            f"{printable(path)}: not the weights that {CONFIG} describes ({printable(reason)}); "
            "restore the folder or train the model again"
        ) from None
    return TrainedModel(network, config).eval()


def _read(folder: Path, path: Path) -> bytes:
    if not folder.is_dir():
        raise RunError(f"{printable(folder)}: no such folder; give the one that train wrote")
    try:
        return read_regular(path)
    except OSError as error:
        raise RunError(
            f"{printable(path)}: {error.strerror}; give the folder that train wrote"
        ) from None
