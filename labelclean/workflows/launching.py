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

from labelclean.errors import ConfigError, RunError
from labelclean.learning import runtime, team
from labelclean.signals import Interrupted

GPUS = "--gpus"
INTERRUPTED = 130


def check_gpus(count: int, device: str) -> None:
    """Raises ConfigError if this machine does not have so many GPUs for `device`."""
    if team.is_launched():
        raise ConfigError(f"{GPUS} starts the processes itself: leave it out, or torchrun")
    if not torch.distributed.is_available():
        raise ConfigError(f"{GPUS}: this build of torch trains in one process only; leave it out")
    if count < 1:
        raise ConfigError(f"{GPUS} is {count}, must be at least 1")
    there = torch.cuda.device_count()
    if runtime.choose_device(device).type != "cuda":
        raise ConfigError(
            f"{GPUS} {count}: the device is not cuda; leave it out, or on many CPU machines "
            "start with torchrun"
        )
    if count > there:
        raise ConfigError(f"{GPUS} {count}: this machine has {there}")


def launch(processes: int, words: Sequence[str]) -> int:
    """Runs this command in so many processes, a team that learns together (learning.team).

    Returns the exit code of the first that fails.

    words  of the command line; of --gpus nothing is passed on

    Raises RunError if one of them is killed, which no line of its own can tell.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):  # we say in a line what goes wrong
            logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ[team.BY] = "1"
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
            elastic_launch(config, sys.executable)(*_program(), *_without_gpus(words))
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode < 0 and -failure.exitcode != signal.SIGINT:
                raise RunError(
                    f"process {rank} of {processes} was killed ({failure.signal_name()}); where "
                    "memory was short, give a smaller --batch-size; --resume goes on"
                ) from None
            return int(failure.exitcode) if failure.exitcode > 0 else INTERRUPTED
        except SignalException as error:  # which all have got, and the first has told
            return 128 + int(error.sigval)
        except Interrupted as error:
            return 128 + error.number
    return 0


def _program() -> list[str]:
    """The script that this process is, which may know methods of its own; else labelclean."""
    main = sys.modules["__main__"]
    script = getattr(main, "__file__", None) or ""
    is_script = main.__spec__ is None and script.endswith(".py")
    return [script] if is_script else ["-m", "labelclean"]


def _without_gpus(words: Sequence[str]) -> list[str]:
    found = [word for word in words if not word.startswith(f"{GPUS}=")]
    while GPUS in found:
        at = found.index(GPUS)
        del found[at : at + 2]
    return found
