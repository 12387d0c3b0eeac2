"""launch: the same command in several processes of this machine, one a GPU, by torchrun."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import loky
import torch

from labelclean.errors import ConfigError, RunError
from labelclean.learning import distributed, runtime
from labelclean.signals import LAST_WORDS, LAUNCHED, Interrupted

GPUS = "--gpus"
_ASKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # by a person, or by torchrun


def check_gpus(count: int, device: str) -> None:
    """Raises ConfigError if this machine does not have so many GPUs for `device`."""
    if distributed.is_launched():
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
    """Runs this command in so many processes, which learn together (learning.distributed).

    Returns the exit code of the first that fails.

    words  of the command line; of --gpus nothing is passed on

    Raises RunError if one of them is killed, of which no line of its own can say why.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):  # we say in a line what goes wrong
            logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, loky.cpu_count() // processes)))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as errors:
        os.environ[LAUNCHED] = errors
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
            rank, failure = min(error.failures.items(), key=_consequence)
            code = int(failure.exitcode)
            if code < 0 and -code not in _ASKED:
                raise RunError(
                    f"process {rank} of {processes} was killed ({failure.signal_name()}); where "
                    "memory was short, give a smaller --batch-size; --resume goes on"
                ) from None
            number = -code if code < 0 else code - 128
            return _ended(number, errors) if number in _ASKED else code
        except SignalException as error:  # which all have got
            return _ended(int(error.sigval), errors)
        except Interrupted as error:
            return _ended(error.number, errors)
    return 0


def _ended(number: int, folder: str) -> int:
    """Says what the first process said of its end. Returns the exit code."""
    try:
        line = (Path(folder) / LAST_WORDS).read_text()
    except OSError:
        line = f"labelclean: ended by {signal.Signals(number).name}"
    print(line, file=sys.stderr)
    return 128 + number


def _consequence(of: tuple[int, Any]) -> tuple[int, int]:
    """Orders processes that failed by how likely that is the consequence of another's end.

    Those that lost a killed one end at the same moment without a line, and the rest are ended by
    torchrun.
    """
    rank, failure = of
    code = int(failure.exitcode)
    was_asked = code - 128 in _ASKED or -code in _ASKED
    return (2 if was_asked else int(code > 0)), rank


def _program() -> list[str]:
    """The script that this process is, which may know methods of its own; else labelclean."""
    main = sys.modules["__main__"]
    script = getattr(main, "__file__", None) or ""
    is_script = main.__spec__ is None and script.endswith(".py")
    return [script] if is_script else ["-m", "labelclean"]


def _without_gpus(words: Sequence[str]) -> list[str]:
    others = [word for word in words if not word.startswith(f"{GPUS}=")]
    while GPUS in others:
        at = others.index(GPUS)
        del others[at : at + 2]
    return others
