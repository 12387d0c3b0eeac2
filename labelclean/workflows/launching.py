"""launch: the same command in several processes of this machine, one a GPU, by torchrun."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence

import loky
import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from labelclean.errors import ConfigError, RunError
from labelclean.learning import runtime

INTERRUPTED = 130


def is_launched() -> bool:
    """Whether torchrun, or launch, started this process."""
    return dist.is_torchelastic_launched()


def check_gpus(count: int, device: str) -> None:
    """Raises ConfigError if this machine does not have so many GPUs for `device`."""
    if count < 1:
        raise ConfigError(f"--gpus is {count}, must be at least 1")
    there = torch.cuda.device_count()
    if runtime.choose_device(device).type != "cuda":
        raise ConfigError(
            f"--gpus {count}: the device is not cuda; leave --gpus out, or on many CPU machines "
            "start with torchrun"
        )
    if count > there:
        raise ConfigError(f"--gpus {count}: this machine has {there}")


def launch(processes: int, words: Sequence[str]) -> int:
    """Runs `labelclean WORDS` in so many processes; returns the exit code of the first that fails.

    They are a team (learning.team): each learns from its share of every step.

    Raises RunError if one of them is killed, which no line of its own can tell.
    """
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):  # we say in a line what goes wrong
            logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, loky.cpu_count() // processes)))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as errors:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            logs_specs=DefaultLogsSpecs(log_dir=errors),
            run_id="labelclean",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
        )
        try:
            elastic_launch(config, sys.executable)("-m", "labelclean", *words)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode < 0 and -failure.exitcode != signal.SIGINT:
                raise RunError(
                    f"process {rank} of {processes} was killed ({failure.signal_name()}); where "
                    "memory was short, give a smaller --batch-size; --resume goes on"
                ) from None
            return int(failure.exitcode) if failure.exitcode > 0 else INTERRUPTED
        except (SignalException, KeyboardInterrupt):
            return INTERRUPTED
    return 0
