"""Runs commands of labelclean in forks of one process that has loaded all of it: quick, and with
faults: killed, signalled or failed at the n-th file operation, or with files of limited size.

One JSON object a line on standard input, an answer for each on standard output.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
COUNT = 200  # descriptor that gets a byte for each change
CHANGES = {"os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.truncate"}


def is_change(event: str, args: tuple[object, ...], folder: str) -> bool:
    """Whether an event of the interpreter is about to change something below the folder."""
    if event == "open":
        path, _, flags = args
        is_writing = isinstance(flags, int) and flags & WRITES
        return bool(is_writing) and isinstance(path, str | bytes) and _is_below(path, folder)
    if event not in CHANGES:
        return False
    if event in ("os.remove", "os.rmdir", "os.mkdir") and isinstance(args[-1], int):
        if args[-1] != -1:  # relative to an open folder, as shutil.rmtree does
            return True
    return any(isinstance(arg, str | bytes) and _is_below(arg, folder) for arg in args[:2])


def _is_below(path: str | bytes, folder: str) -> bool:
    return os.path.abspath(os.fsdecode(path)).startswith(folder + os.sep)


def inject(task: dict[str, object]) -> None:
    """Arms the faults of this process."""
    folder, at, fault = os.getcwd(), task.get("at"), task.get("fault")
    count = 0

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal count
        if not is_change(event, args, folder):
            return
        count += 1
        if fault == "count":
            os.write(COUNT, b"x")
        if count != at:
            return
        if fault == "full" and event != "os.remove" and event != "os.rmdir":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if isinstance(fault, int):
            os.kill(os.getpid(), fault)

    if fault is not None:
        sys.addaudithook(hook)
    if "tells_all" in task:  # progress as it comes, not after two seconds
        from labelclean import progress

        progress.FIRST_LINE = progress.LINE_EVERY = 0.0
    if "largest" in task:
        largest = int(str(task["largest"]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    if "files" in task:
        most = int(str(task["files"]))
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def child(task: dict[str, object]) -> int:
    from labelclean import cli

    os.chdir(str(task["cwd"]))
    if isinstance(task.get("env"), dict):
        os.environ.clear()
        os.environ.update(dict(task["env"]))
    if "warnings" in task:
        warnings.resetwarnings()
        warnings.simplefilter(str(task["warnings"]))  # type: ignore[arg-type]
    for number, name in ((1, "out"), (2, "err"), (COUNT, "count")):
        handle = os.open(f"{task['log']}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, number, inheritable=number != COUNT)
        os.close(handle)
    if "stdout" in task:
        os.dup2(os.open(str(task["stdout"]), os.O_WRONLY), 1)
    sys.stdout = open(1, "w", closefd=False)
    sys.stderr = open(2, "w", buffering=1, closefd=False)
    sys.argv = ["labelclean", *map(str, task["argv"])]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    inject(task)
    try:
        cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    else:
        code = 0
    try:
        sys.stdout.flush()
    except OSError:
        code = 120
    return code


def start(task: dict[str, object]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            code = child(task)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def wait(pid: int, seconds: float) -> dict[str, object]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            return {"code": code, "peak": usage.ru_maxrss // 1024}
        time.sleep(0.01)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return {"code": "hang"}


def main() -> None:
    warnings.simplefilter("ignore")
    import torch

    from labelclean import cli  # noqa: F401
    from labelclean.workflows import (  # noqa: F401
        applying,
        evaluation,
        exporting,
        filtering,
        importing,
        injecting,
        planning,
        plotting,
        predicting,
        reviewing,
        showing,
        training,
    )

    torch.set_num_threads(1)
    print("{}", flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        if task["do"] == "start":
            answer: dict[str, object] = {"pid": start(task)}
        elif task["do"] == "signal":
            os.kill(task["pid"], task["number"])
            answer = {}
        else:
            answer = wait(task["pid"], task["seconds"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
