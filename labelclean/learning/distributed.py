"""The processes that train one network together, each with its share of a step (torchrun).

Each process passes its share of the images through the network; then all of them know all logits,
so that loss, method, scores and counts are computed on the whole batch everywhere, and nothing but
logits, features, gradients and sums of batch norms is exchanged. A process alone is a team of one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import loky
import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from labelclean.errors import ConfigError, LabelcleanError, RunError
from labelclean.signals import LAUNCHED

PATIENCE = timedelta(days=3)  # decoding millions of images takes one process hours, others wait

CORES = "LOKY_MAX_CPU_COUNT"  # the most that decoding takes, by loky's own variable
SAID = "said"  # key of the team's store: how many lines of error were printed

Found = TypeVar("Found")
Compute = Callable[[NDArray[np.int64]], NDArray[np.float32]]

_is_dismissed = False  # torchrun's processes can be a team once only
_is_limited = False  # CORES was set here
_is_alone = False  # torchrun's processes are no team
_is_apart = False  # of a team, at work of its own
_store: Any = None  # torch's key-value store: all see it, even who has lost the others


class TeamLost(RunError):
    """Another process has ended, and has said why if it could."""


def is_launched() -> bool:
    """Whether torchrun, or launch, started this process."""
    return not _is_alone and dist.is_available() and dist.is_torchelastic_launched()


def share() -> tuple[int, int]:
    """The number of this process among those that torchrun started, from 0 on, and how many."""
    if not is_launched():
        return 0, 1
    return _number("RANK", 0), _number("WORLD_SIZE", 1)


def work_alone(device: torch.device) -> None:
    """Each of torchrun's processes does its own from here on: on its GPU, with its part of the
    cores, and with its own errors.

    Raises RunError for too few GPUs.
    """
    global _is_alone
    if not is_launched():
        return
    if device.type == "cuda":
        _take_gpu()
    here = _number("LOCAL_WORLD_SIZE", 1)
    if here > 1:
        os.environ.setdefault(CORES, str(max(1, loky.cpu_count() // here)))
    _is_alone = True


def begin(device: torch.device) -> None:
    """Joins the processes that torchrun started; does nothing in any other process.

    Raises ConfigError for a device that cannot be shared, RunError for too few GPUs.
    """
    global _store
    if not is_launched() or dist.is_initialized() or _is_dismissed:
        return
    if device.type == "mps":
        raise ConfigError("--device mps: one process only; start without torchrun")
    if device.type == "cuda":
        _take_gpu()
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    from torch.distributed.rendezvous import rendezvous  # not in every build of torch

    _store, place, count = next(rendezvous("env://", timeout=PATIENCE))
    _store.set_timeout(PATIENCE)
    dist.init_process_group(backend, store=_store, rank=place, world_size=count, timeout=PATIENCE)


def _take_gpu() -> None:
    there, here = torch.cuda.device_count(), _number("LOCAL_WORLD_SIZE", 1)
    if here > there:
        raise RunError(
            f"torchrun started {here} processes on this machine, which has {there} GPUs; start "
            "fewer"
        )
    torch.cuda.set_device(_number("LOCAL_RANK", 0))


def size() -> int:
    return dist.get_world_size() if _is_joined() else 1


def rank() -> int:
    return dist.get_rank() if _is_joined() else 0


def is_teller(error: Exception) -> bool:
    """True in the one process that prints this error."""
    if not is_launched():
        return True
    if _store is None:  # all of a machine see the same until they join
        return _number("LOCAL_RANK", 0) == 0
    try:
        if isinstance(error, TeamLost) and (LAUNCHED in os.environ or _store.add(SAID, 0)):
            return False  # the one that ended has said why, or launch will
        _store.add(SAID, 1)
        return bool(_store.add(f"{SAID} {error}", 1) == 1)
    except RuntimeError:  # the store is gone with the process that kept it
        return True


def has_reported() -> bool:
    """Whether a process of the team has reported an error."""
    try:
        return _store is not None and bool(_store.add(SAID, 0))
    except RuntimeError:  # the store is gone with the process that kept it
        return False


def is_first() -> bool:
    """Whether this process is the one that speaks and writes."""
    return rank() == 0


def own(count: int, of: int | None = None) -> slice:
    """The share of `count` images that this process, or that number `of`, passes through."""
    place = rank() if of is None else of
    return slice(count * place // size(), count * (place + 1) // size())


def whole(part: Tensor, count: int) -> Tensor:
    """Each process's share (own(count), ...) -> all of it (count, ...), the same everywhere.

    Gradients flow to this process's share alone: added up (see add_up) they are those of all.
    """
    if size() == 1:
        return part
    most = -(-count // size())
    padded = part.new_zeros((most, *part.shape[1:]))
    padded[: len(part)] = part.detach()
    parts = [torch.empty_like(padded) for _ in range(size())]
    with _together():
        dist.all_gather(parts, padded)
    shares = [own(count, of) for of in range(size())]
    parts_of_all = [each[: to.stop - to.start] for each, to in zip(parts, shares, strict=True)]
    parts_of_all[rank()] = part
    return torch.cat(parts_of_all)


@torch.no_grad()
def copy_first(model: nn.Module) -> None:
    """The first process's parameters and buffers in all: other machines may draw other ones."""
    if size() > 1:
        for value in model.state_dict().values():
            copy = value.contiguous()  # channels last is not, and NCCL wants it
            with _together():
                dist.broadcast(copy, src=0)
            value.copy_(copy)


@torch.no_grad()
def summed(values: Tensor) -> Tensor:
    """The sum over all processes, in place."""
    with _together():
        dist.all_reduce(values)
    return values


@torch.no_grad()
def add_up(model: nn.Module) -> None:
    """After the backward pass: gradients summed."""
    if size() == 1:
        return
    values = [p.grad for p in model.parameters() if p.grad is not None]
    flat = summed(torch.cat([value.reshape(-1) for value in values]))
    for value, total in zip(values, flat.split([v.numel() for v in values]), strict=True):
        value.copy_(total.view(value.shape))


def agreed(make: Callable[[], Found]) -> Found:
    """Calls `make` in the first process and sends the result to all of them.

    An error for the user that `make` raises is raised in every process.
    """
    if size() == 1:
        return make()
    made: list[Any] = [None, None]
    if is_first():
        try:
            made[0] = make()
        except LabelcleanError as error:
            made[1] = error
    with _together():
        dist.broadcast_object_list(made, src=0)
    value, problem = made
    if problem is not None:
        raise problem
    return value  # type: ignore[no-any-return]


@contextmanager
def apart() -> Iterator[None]:
    """Lets this process work as if there were no others, which wait for it meanwhile."""
    global _is_apart
    _is_apart = True
    try:
        yield
    finally:
        _is_apart = False


def divided(compute: Compute) -> Compute:
    """As `compute`, by all processes, each its share: the first one calls it, others help_with.

    compute  rows (b,) -> (b, ...)
    """
    if size() == 1:
        return compute

    def together(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        agreed(lambda: rows)
        return _computed(compute, rows)

    return together


def help_with(compute: Compute) -> None:
    """Computes shares of what the first process asks for, until it releases its helpers."""
    while (rows := agreed(_nothing)) is not None:
        _computed(compute, rows)


def release_helpers() -> None:
    """Ends help_with in all others."""
    agreed(_nothing)


def _nothing() -> NDArray[np.int64] | None:
    return None


def _computed(compute: Compute, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    part = torch.from_numpy(compute(rows[own(len(rows))]))
    return whole(part, len(rows)).numpy()


@contextmanager
def one_a_machine_first() -> Iterator[None]:
    """Lets the first process of each machine work before the others, which find it done."""
    is_later = _number("LOCAL_RANK", 0) > 0
    if is_later:
        _wait()
        _share_cores()
    yield
    if not is_later:
        _wait()
        _share_cores()


def _share_cores() -> None:
    """From here on all of the machine's processes decode at once."""
    global _is_limited
    if size() > 1 and CORES not in os.environ:
        os.environ[CORES] = str(max(1, loky.cpu_count() // _number("LOCAL_WORLD_SIZE", 1)))
        _is_limited = True


def dismiss() -> None:
    """Ends the other processes here: what follows is for the first alone, decoding on all cores.

    Raises SystemExit in the others.
    """
    global _is_dismissed, _is_limited
    if not _is_joined():
        return
    is_needed = is_first()
    _wait()
    dist.destroy_process_group()
    _is_dismissed = True
    if _is_limited:
        del os.environ[CORES]
        _is_limited = False
    if not is_needed:
        raise SystemExit(0)


@contextmanager
def _together() -> Iterator[None]:
    """Wraps a step that needs all processes. Raises TeamLost where another one has ended."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # of the backend, without a class of its own
        raise TeamLost(
            "a process lost the others, for one of them ended; --resume goes on"
        ) from None


def _is_joined() -> bool:
    return not _is_apart and dist.is_available() and dist.is_initialized()


def _wait() -> None:
    """Until all processes are here."""
    if size() > 1:
        with _together():
            dist.all_reduce(torch.zeros(1))  # on the CPU: no GPU has to spin meanwhile


def _number(name: str, default: int) -> int:
    return int(os.environ.get(name, default))
