"""Where a run happens and what survives it: device, precision, memory, atomic checkpoints."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from labelclean import disk
from labelclean.config import DEVICES
from labelclean.errors import ConfigError, RunError
from labelclean.learning import distributed

CHECKPOINT_VERSION = 2
WORTH_THREADS = 400_000_000  # multiplications of a step: about 10 ms of a core
# what torch.load, and a look into what it gave, may raise
_DAMAGES = (UnpicklingError, OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError)


def choose_device(requested: str) -> torch.device:
    """cuda before mps before cpu for "auto".

    Raises ConfigError for a name that is none of DEVICES, or a device that is absent.
    """
    if requested not in DEVICES:
        raise ConfigError(f"--device is {requested}, must be one of {', '.join(DEVICES)}")
    present = {"cpu": True, "cuda": torch.cuda.is_available()}
    present["mps"] = torch.backends.mps.is_available()
    if requested == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if present[name]))
    if not present[requested]:
        usable = ", ".join(name for name, is_there in present.items() if is_there)
        raise ConfigError(f"--device {requested}: this machine has none; it has {usable}")
    return torch.device(requested)


def choose_precision(requested: str, device: torch.device) -> torch.dtype:
    """The precision that is asked for; of "auto" bfloat16 where the device has instructions for it.

    In a team the first process's machine decides.
    """
    if requested != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[requested]
    if device.type == "mps":
        return torch.float32
    if device.type == "cuda":  # every card with tensor cores of that type gains from it
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return distributed.agreed(_for_cpu)


def _for_cpu() -> torch.dtype:
    """bfloat16 where the CPU has instructions for it (AVX512-BF16, which AMX implies, or Arm's).

    Not by a measurement: beside other work that came out otherwise on the same machine, and the
    report with it.
    """
    abilities: Any = getattr(torch.cpu, "get_capabilities", dict)()  # absent in older PyTorch
    is_there = abilities.get("avx512_bf16") or abilities.get("bf16")
    is_fast = is_there and torch.backends.mkldnn.is_available()
    return torch.bfloat16 if is_fast else torch.float32


def free_bytes(device: torch.device) -> int:
    """Memory that data may take on the device; half is left to the network."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] // 2)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() // 4)
    return 0


@contextmanager
def few_threads(operations: int) -> Iterator[None]:
    """One thread for steps of so few operations that handing them out takes longer than doing them.

    Where other programs want the cores too, waiting for a thread costs ten times the work.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if operations < WORTH_THREADS else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads" if device.type == "cpu" else "mps"


def save_checkpoint(path: Path, state: Mapping[str, Any], identity: Mapping[str, str]) -> None:
    """Writes tensors and plain values; the file appears whole or not at all.

    identity  what a resumed run must share: see load_checkpoint

    Raises OutputError if it cannot be written.
    """
    data = io.BytesIO()  # torch's own file writer turns a full disk into a riddle
    torch.save({"version": CHECKPOINT_VERSION, "identity": dict(identity), **state}, data)
    with disk.errors_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    disk.write_files({path: data.getbuffer()})


def glance_at(path: Path) -> tuple[dict[str, str], int] | None:
    """Identity and epochs of the run that is saved there; None where load_checkpoint says why."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return dict(state["identity"]), int(state["epochs"])
    except _DAMAGES:
        return None


def load_checkpoint(path: Path, identity: Mapping[str, str]) -> dict[str, Any]:
    """The state saved there; unpickles nothing but tensors and plain values.

    Raises RunError if it is damaged, of another version, or differs in identity.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        version, saved = state["version"], state["identity"]
    except _DAMAGES:
        raise RunError(
            f"{path}: not a checkpoint of labelclean, or damaged; delete it and start again"
        ) from None
    if version != CHECKPOINT_VERSION:
        raise RunError(
            f"{path}: checkpoint of version {version}, this labelclean reads "
            f"{CHECKPOINT_VERSION}; start again without --resume"
        )
    for what, value in identity.items():
        if saved.get(what) != value:
            raise RunError(
                f"{path}: the checkpoint was made with other {what}; "
                "give the same as then, or start again without --resume"
            )
    return dict(state)
