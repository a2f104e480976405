"""`gradlab check FOLDER`: every file in it and the folders in it, in parallel; no file can stop the others."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from gradlab.cells import cell
from gradlab.checker.watch import SubmissionError
from gradlab.classroom.class_report import FolderReport
from gradlab.classroom.confine import missing
from gradlab.classroom.limits import Limits
from gradlab.classroom.own import LARGEST_SEED, own_seed
from gradlab.classroom.points import Points
from gradlab.classroom.row import REFUSED, Row, Task
from gradlab.classroom.sandbox import Sandbox, modules
from gradlab.classroom.single import DEFAULT
from gradlab.classroom.submissions import Entry, entries

Progress = Callable[[str, int, int], None]

LIMITS = Limits(seconds=5.0, total=60.0)
SPARE = 60.0  # what judging itself may take of one file, beyond what the file takes
_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from gradlab.classroom.worker import main; main()"


def grade_folder(
    folder: str | Path,
    cell_name: str | None = None,
    *,
    limits: Limits = LIMITS,
    workers: int | None = None,
    diagnosis: bool = True,
    seed: int | None = None,
    points: Sequence[str] = (),
    allow_unconfined: bool = False,
    progress: Progress | None = None,
) -> FolderReport:
    """Judge every Python file and notebook in a folder: lessons equation by equation, other files as a whole too.

    Args:
        cell_name: what the files that do not say so claim to be; by default an RNN.
        limits: what each file may use.
        workers: how many files at once; by default as many as there are processors.
        diagnosis: name the mistake in files that disagree.
        seed: of the problems that files cannot foresee; each has its own, made of this and its name. By default
            another one each time, which the report says.
        points: what equations are worth: "rnn.delta_implicit=3"; 1 by default.
        allow_unconfined: run other people's files though this system does not keep them from everything.
        progress: called with (file, files done, files in all) after each file.

    Interrupted (Ctrl-C), it returns what is known by then.

    Raises:
        KeyError: no such cell.
        SubmissionError: the folder is none, has no such file in it, points are none, or a protection is missing.
    """
    worth = Points.read(points, cell(cell_name or DEFAULT))
    folder, start = Path(folder), time.perf_counter()
    found = entries(folder)
    confined = protection(limits)
    lacking = missing(confined)
    if lacking and not allow_unconfined and limits.confine:
        raise SubmissionError(
            f"{folder}: here nothing keeps other people's files from {', '.join(lacking)}; "
            "--allow-unconfined runs them all the same"
        )
    report = FolderReport(str(folder), len(found), seed=own_seed(seed), confined=confined)
    report.rows = [entry.row for entry in found if entry.row is not None]
    tasks = [_task(entry, cell_name, report.seed, worth, diagnosis) for entry in found if entry.row is None]
    _run(tasks, limits, workers, report, progress)
    report.rows.sort(key=lambda row: row.file)
    report.seconds = time.perf_counter() - start
    return report


def protection(limits: Limits) -> tuple[str, ...]:
    """What keeps a file here, found out by starting a process for none."""
    with Sandbox("a process for somebody's file", limits) as sandbox:
        return sandbox.confined


def _task(entry: Entry, cell_name: str | None, seed: int, worth: Points, diagnosis: bool) -> Task:
    own = hashlib.sha256(f"{seed} {entry.file}".encode(errors="surrogateescape")).digest()
    number = int.from_bytes(own[:8], "big") % LARGEST_SEED
    key = None if cell_name is None else cell(cell_name).key
    return Task(str(entry.path), entry.file, entry.student, key, number, entry.readable, dict(worth.worth), diagnosis)


def _run(
    tasks: Sequence[Task], limits: Limits, workers: int | None, report: FolderReport, progress: Progress | None
) -> None:
    todo: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in tasks:
        todo.put(task)
    rows: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
    patience = limits.total + limits.startup + SPARE
    graders = [_Grader(todo, rows, limits, patience) for _ in range(min(len(tasks), workers or _processors()))]
    done = 0
    try:
        for grader in graders:
            grader.start()
        while done < len(tasks):
            row = rows.get()
            if row is None:
                break
            report.rows.append(row)
            done += 1
            if progress is not None:
                progress(row.file, done, len(tasks))
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        for grader in graders:
            grader.stop()
        for grader in graders:
            grader.join()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Grader(threading.Thread):
    """One worker process, and the files it is given one after the other; another takes its place where it fails."""

    def __init__(
        self,
        todo: queue.SimpleQueue[Task],
        rows: queue.SimpleQueue[Row | None],
        limits: Limits,
        patience: float,
    ) -> None:
        super().__init__(daemon=True)
        self.todo, self.rows, self.limits, self.patience = todo, rows, limits, patience
        self.stopped = threading.Event()
        self.process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        self.stopped.set()

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                try:
                    task = self.todo.get_nowait()
                except queue.Empty:
                    return
                row = self._row(task)
                if row is not None:
                    self.rows.put(row)
        except OSError as error:
            self.rows.put(Row("", REFUSED, note=f"no grader can be started: {error}"))
            self.rows.put(None)
        finally:
            self._end()

    def _row(self, task: Task) -> Row | None:
        """The row of one file; None where the grading is stopped."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-c", _START, json.dumps(modules())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C is for the main process to handle
            )
        process, start = self.process, time.monotonic()
        assert process.stdin is not None
        asked = {"task": asdict(task), "limits": asdict(self.limits)}
        with contextlib.suppress(BrokenPipeError):  # where it has ended, reading shows that
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.flush()
        line = b""
        while not line.endswith(b"\n"):
            if self.stopped.is_set():
                return None
            part = self._read(process)
            late = time.monotonic() - start > self.patience
            if part == b"" or late:
                self._end()
                why = f"no verdict within {self.patience:g} s" if late else "the process that judges it was killed"
                row = Row(task.file, REFUSED, task.student, note=why, seed=task.seed)
                return replace(row, seconds=round(time.monotonic() - start, 3))
            line += part or b""
        return Row.read(json.loads(line))

    @staticmethod
    def _read(process: subprocess.Popen[bytes]) -> bytes | None:
        """What it has written; b"" where it has ended, None where there is nothing yet."""
        assert process.stdout is not None
        ready = select.select([process.stdout], [], [], 0.1)[0]
        return os.read(process.stdout.fileno(), 1 << 16) if ready else None

    def _end(self) -> None:
        """End the worker so that it ends what it runs."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
