"""Work spread over processes: the same results whatever their number.

A worker is asked through its standard input and answers through its standard output. It is killed when its results are
no longer wanted; should the main process itself be killed, it ends after the task it is at. Cells cross over by name.
"""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from gradlab.cells import Cell
from gradlab.cells import cell as registered

Task = tuple[Callable[..., Any], tuple[Any, ...]]

_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from gradlab.mistakes.workers import serve; serve()"
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerError(RuntimeError):
    """A worker process ended before it answered; the message says how."""


def processors() -> int:
    """How many processes can run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[int, Any]]:
    """Run every task; yields (number of the task, result) as they come, in order only where jobs is 1.

    Args:
        tasks: functions at the top of their modules, each with its arguments.
        jobs: how many processes; 1 runs everything in this one.

    Raises:
        WorkerError: a worker process ended. Whatever a task raises is raised here too.
    """
    if jobs <= 1:
        yield from ((i, work(*given)) for i, (work, given) in enumerate(tasks))
        return
    todo: queue.SimpleQueue[tuple[int, Task]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
    for numbered in enumerate(tasks):
        todo.put(numbered)
    workers: list[_Worker] = []
    try:
        workers.extend(_Worker(todo, done) for _ in range(min(jobs, len(tasks))))
        for _ in tasks:
            number, result = done.get()
            if isinstance(result, BaseException):
                raise result
            yield number, result
    finally:
        for worker in workers:
            worker.end()


class _Worker(threading.Thread):
    """One process, and the thread that hands it one task after the other."""

    def __init__(self, todo: queue.SimpleQueue[tuple[int, Task]], done: queue.SimpleQueue[tuple[int, Any]]) -> None:
        super().__init__(daemon=True)
        self.todo, self.done = todo, done
        path = [str(Path(entry).resolve()) for entry in sys.path if entry]
        self.process = subprocess.Popen(
            [sys.executable, "-s", "-P", "-c", _START, json.dumps([*path, str(Path(__file__).resolve().parents[2])])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | dict.fromkeys(_THREADS, "1"),  # the processes share the cores already
            start_new_session=True,  # a Ctrl-C is for the main process to handle
        )
        self.start()

    def run(self) -> None:
        requests, answers = self.process.stdin, self.process.stdout
        assert requests is not None and answers is not None
        with suppress(queue.Empty):
            while True:
                number, task = self.todo.get_nowait()
                try:
                    _Pickler(requests).dump(task)
                    requests.flush()
                    result = _Unpickler(answers).load()
                except (EOFError, OSError, pickle.UnpicklingError):
                    result = WorkerError(
                        f"a worker process ended ({_ending(self.process.wait())}) before it answered; "
                        "where memory is short, fewer processes need less"
                    )
                self.done.put((number, result))

    def end(self) -> None:
        """Kill the process, whatever it is doing, and wait for both."""
        self.process.kill()
        self.process.wait()
        self.join()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def serve() -> None:
    """Answer on standard output what is asked on standard input, until nobody asks; what code prints goes nowhere."""
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        _answer(sys.stdin.buffer, answers)


def _answer(requests: IO[bytes], answers: IO[bytes]) -> None:
    with suppress(EOFError):
        while True:
            work, given = _Unpickler(requests).load()
            result: Any
            try:
                result = work(*given)
            except Exception as error:  # noqa: BLE001  a defect, which the main process raises as its own
                error.add_note("in a worker process:\n" + traceback.format_exc())
                result = error
            _Pickler(answers).dump(result)
            answers.flush()


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> str | None:
        return obj.key if isinstance(obj, Cell) else None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, name: str) -> Cell:
        return registered(name)
