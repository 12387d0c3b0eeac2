"""Networks and the weights they start from."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from labelclean.errors import ConfigError
from labelclean.learning import models


@pytest.mark.parametrize("arch", ["smallnet", "resnet10", "resnet18", "resnet34", "resnet50"])
@pytest.mark.parametrize("size", [32, 96])
def test_every_architecture_gives_one_logit_a_class(arch: str, size: int):
    model = models.build(arch, 7, size).eval()
    assert model(torch.zeros(2, 3, size, size)).shape == (2, 7)


def test_small_images_keep_their_resolution_in_the_first_layer():
    backbone = models.build("resnet18", 10, 32).backbone
    assert backbone.conv1.kernel_size == (3, 3)
    assert backbone.conv1(torch.zeros(1, 3, 32, 32)).shape[-1] == 32


def test_weights_come_back_from_safetensors_and_from_a_state_dict(tmp_path: Path):
    torch.manual_seed(0)
    model = models.build("resnet10", 3, 32)
    save_file(model.state_dict(), tmp_path / "a.safetensors")
    torch.save({"state_dict": model.state_dict()}, tmp_path / "b.pt")
    images = torch.randn(2, 3, 32, 32)
    for name in ("a.safetensors", "b.pt"):
        again = models.build("resnet10", 3, 32, str(tmp_path / name))
        torch.testing.assert_close(again.eval()(images), model.eval()(images))


def test_a_head_for_other_classes_is_drawn_anew(tmp_path: Path):
    model = models.build("resnet10", 3, 32)
    save_file(model.state_dict(), tmp_path / "a.safetensors")
    again = models.build("resnet10", 5, 32, str(tmp_path / "a.safetensors"))
    assert again.head.out_features == 5
    torch.testing.assert_close(again.backbone[0].weight, model.backbone[0].weight)


class _Payload:
    def __reduce__(self):
        return (Path.touch, (Path("owned"),))


def _write_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weight": _Payload()}))


def _write_other_shape(path: Path) -> None:
    state = models.build("resnet10", 3, 32).state_dict()
    state["backbone.0.weight"] = torch.zeros(4, 3, 3, 3)
    torch.save(state, path)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (_write_pickle, "not a plain state dict"),
        (lambda path: path.write_bytes(b"\x00garbage"), "not a plain state dict"),
        (lambda path: torch.save([1, 2], path), "holds no state dict"),
        (lambda path: torch.save({"x": torch.zeros(2)}, path), "lacks 72 of 74 tensors"),
        (_write_other_shape, r"0.weight is \(4, 3, 3, 3\), the chosen --arch has \(16, 3, 3, 3\)"),
        (lambda path: None, "no such file"),
    ],
)
def test_a_file_that_holds_no_fitting_weights_is_one_line(tmp_path, monkeypatch, write, says):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w.pt"
    write(path)
    with pytest.raises(ConfigError, match=says) as error:
        models.build("resnet10", 3, 32, str(path))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "owned").exists()


def test_imagenet_weights_offline_are_one_line(tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ConfigError, match="cannot be downloaded .* --weights FILE"):
        models.build("resnet18", 3, 96, "imagenet")


def test_an_unknown_architecture_lists_the_known_ones():
    with pytest.raises(ConfigError, match="--arch vgg is unknown; there are smallnet, resnet10"):
        models.build("vgg", 3, 32)


def test_an_unknown_architecture_of_a_hostile_config_is_one_short_line():
    with pytest.raises(ConfigError, match="is unknown; there are") as caught:
        models.build("x" * 5000, 2, 16)
    assert len(str(caught.value)) < 300
