"""The processes that runs happen in: one run at a time in each, and a crash costs that run only."""

from __future__ import annotations

import tempfile
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import replace
from pathlib import Path

import loky
import numpy as np

from labelclean.benchmark.results import Row, write
from labelclean.benchmark.runs import UNCLASSIFIED, Task, do_run, known, with_notes, without_folder
from labelclean.data.workers import begin_process
from labelclean.errors import LabelcleanError, printable

LOOK_EVERY = 0.5  # s between two looks at how far the runs are

OnProgress = Callable[[float, Task], None]  # runs done, with shares of those under way; one of them


def _run_here(task: Task, board: Path, place: int) -> Row:
    shares = np.memmap(board, np.float64, "r+")

    def show(share: float) -> None:
        shares[place] = share

    return do_run(task, show)


class _Process:
    """Does one run at a time; starts anew after a crash."""

    def __init__(self, board: Path, place: int, threads: int) -> None:
        self._board, self.place = board, place
        self._environment = {
            "OMP_NUM_THREADS": str(threads),  # before torch loads: runs side by side would fight
            "MKL_NUM_THREADS": str(threads),
            "LOKY_MAX_MEMORY_LEAK_SIZE": "1e18",  # a network and its data are no leak
        }
        self._executor: loky.ProcessPoolExecutor | None = None

    def start(self, task: Task) -> Future[Row]:
        if self._executor is None:
            self._executor = loky.ProcessPoolExecutor(
                max_workers=1, initializer=begin_process, env=self._environment
            )
        future: Future[Row] = self._executor.submit(_run_here, task, self._board, self.place)
        return future

    def stop(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = None


def do_all(
    tasks: Sequence[Task],
    *,
    jobs: int,
    threads: int,
    on_row: Callable[[Row], None],
    on_progress: OnProgress,
) -> None:
    """Does the runs, `jobs` at a time, in their order; a failed one becomes a row with its error.

    threads  of each run
    on_row   receives each run that ended, in this process

    The processes end with this function, also when it is interrupted.
    """
    waiting, done_count = deque(tasks), 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        board = Path(folder) / "shares"
        shares = np.memmap(board, np.float64, "w+", shape=(jobs,))
        processes = [_Process(board, place, threads) for place in range(jobs)]
        idle, running = list(reversed(processes)), dict[Future[Row], tuple[_Process, Task]]()
        try:
            while waiting or running:
                while idle and waiting:
                    process, task = idle.pop(), waiting.popleft()
                    shares[process.place] = 0.0
                    running[process.start(task)] = process, task
                ended, _ = wait(running, timeout=LOOK_EVERY, return_when=FIRST_COMPLETED)
                for future in ended:
                    process, task = running.pop(future)
                    shares[process.place] = 0.0
                    done_count += 1
                    error = future.exception()
                    if isinstance(error, BrokenExecutor):
                        process.stop()
                    idle.append(process)
                    on_row(_failed(task, error) if error else future.result())
                progress = done_count + float(shares.sum())
                if running and progress > 0:  # before that the time left is unknown
                    on_progress(progress, next(iter(running.values()))[1])
        finally:
            for process in processes:
                process.stop()


def _failed(task: Task, error: BaseException) -> Row:
    """The row with one line of error; the traceback of a bug is kept beside the runs' scores.

    Where the labels were judged before, it was the classifier that failed: the figures stay.
    """
    if isinstance(error, LabelcleanError):
        words = without_folder(str(error), task.run_dir)
    elif isinstance(error, BrokenExecutor):
        words = "its process died; where memory was short, give fewer --jobs or a smaller --count"
    else:
        words = f"{type(error).__name__}: {error}"
        path = task.folder / f"{task.run}.traceback.txt"
        write(path, "".join(traceback.format_exception(error)).encode("utf-8", "backslashreplace"))
    judged = known(task)
    if judged is not None:
        return with_notes(judged, [f"{UNCLASSIFIED}{printable(words)}"])
    return replace(task.row(), error=printable(words))
