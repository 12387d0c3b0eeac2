"""Devices by their names, and what is seen of a checkpoint at a glance."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from labelclean.errors import ConfigError
from labelclean.learning import runtime


@pytest.mark.parametrize("name", ["gpu", "cuda:0", ""])
def test_a_device_of_no_known_name_is_refused(name: str):
    with pytest.raises(ConfigError, match=f"--device is {name}, must be one of auto, cpu, cuda"):
        runtime.choose_device(name)


def test_a_glance_tells_identity_and_epochs_and_nothing_of_what_is_no_checkpoint(tmp_path: Path):
    path = tmp_path / "checkpoint.pt"
    assert runtime.glance_at(path) is None
    path.write_bytes(b"PK\3\4 of something else")
    assert runtime.glance_at(path) is None
    runtime.save_checkpoint(path, {"epochs": 7, "model": torch.zeros(3)}, {"options": "these"})
    assert runtime.glance_at(path) == ({"options": "these"}, 7)
