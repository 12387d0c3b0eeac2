"""Weights in files that others wrote: .safetensors, or a state dict that torch saved."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from labelclean.errors import ConfigError

# what arbitrary bytes provoke in torch's restricted unpickler, besides UnpicklingError
_BAD_BYTES = (ValueError, EOFError, LookupError, AttributeError, TypeError)


def read_state(path: Path, flag: str = "--weights") -> dict[str, Tensor]:
    """Tensors by name from .safetensors or a state dict; never unpickles anything else.

    flag  the option that named the file, for the error line

    Raises ConfigError if the file is missing or is neither.
    """
    if not path.is_file():
        raise ConfigError(f"{flag} {path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickles that it then refuses anyway
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, OSError, RuntimeError, *_BAD_BYTES) as error:
        raise ConfigError(
            f"{flag} {path}: not a plain state dict ({type(error).__name__}); "
            "save model.state_dict() or use .safetensors"
        ) from None
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]  # the habit of many training scripts
    if not isinstance(content, Mapping) or not all(torch.is_tensor(v) for v in content.values()):
        raise ConfigError(f"{flag} {path}: holds no state dict; save model.state_dict()")
    return {str(name): tensor for name, tensor in content.items()}
