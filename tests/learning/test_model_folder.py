"""A model folder that is damaged or hostile is refused in one line, and never used."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from labelclean.errors import RunError
from labelclean.learning import models
from labelclean.learning.model_folder import ModelConfig, load_model, weights_bytes, write_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = models.build("smallnet", 3, 16)
    config = ModelConfig(
        architecture="smallnet",
        class_names=("a", "b", "c"),
        image_size=16,
        resize=18,
        mean=(1.0, 2.0, 3.0),
        std=(1.0, 1.0, 1.0),
    )
    contents = {
        "model.safetensors": weights_bytes(network, config),
        "config.json": config.to_json(),
    }
    write_folder(tmp_path / "model", contents)
    return tmp_path / "model"


def refused(folder: Path) -> str:
    with pytest.raises(RunError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    return str(caught.value)


def test_a_model_reads_back(folder: Path):
    assert load_model(folder).class_names == ("a", "b", "c")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(folder: Path, value: float):
    path = folder / "model.safetensors"
    state = load(path.read_bytes())
    name = next(name for name, tensor in state.items() if tensor.is_floating_point())
    state[name].view(-1)[0] = value
    path.write_bytes(save(state))
    assert f"model.safetensors: damaged ({name} holds values that are no numbers)" in refused(
        folder
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"class_names": ["a", "b", "a"]}, "class_names has a name twice"),
        ({"class_names": ["a", "b", "\ud800"]}, "class_names.2 is '\\ud800', must be text"),
        ({"class_names": ["a"]}, "1 classes, 16, 18"),
        ({"image_size": 10**9, "resize": 10**9}, "3 classes, 1000000000"),
        ({"image_size": True}, "image_size is True, must be a whole number"),
        ({"mean": [1, 2]}, "no 'mean.2'"),
        ({"std": [1, 2, float("inf")]}, "std.2 is inf, must be a finite number"),
        ({"temperature": "1"}, "temperature is '1', must be a finite number"),
        ({"temperature": 0}, "temperature 0"),
        ({"flip": 1}, "flip is 1, must be true or false"),
        ({"training": []}, "training is [], must be an object"),
        ({"architecture": 5}, "architecture is 5, must be text"),
        ({"class_names": ["a", "b", "c", "d"]}, "not the weights that config.json describes"),
    ],
)
def test_what_is_wrong_with_a_config_is_one_line(folder: Path, change, says: str):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    assert says in refused(folder)


@pytest.mark.parametrize(
    "header",
    [
        {"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
        {"x": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}},
        {"x": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 0]}},
        {"x": {"dtype": "nothing", "shape": [], "data_offsets": [0, 4]}},
        [],
    ],
)
def test_weights_with_a_lying_header_are_refused(folder: Path, header):
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 4)
    assert "model.safetensors: damaged" in refused(folder)


def test_weights_whose_header_is_longer_than_the_file_are_refused(folder: Path):
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**63) + b"{}")
    assert "model.safetensors: damaged" in refused(folder)
