"""`gradlab check FOLDER`: every file in it, in parallel; no file can stop the others."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from gradlab.cells import cell
from gradlab.checker.watch import SubmissionError
from gradlab.classroom.class_report import FolderReport
from gradlab.classroom.limits import Limits
from gradlab.classroom.row import REFUSED, Row
from gradlab.classroom.sandbox import modules

Progress = Callable[[str, int, int], None]

LIMITS = Limits(seconds=5.0, total=60.0)
SPARE = 60.0  # what judging itself may take of one file, beyond what the file takes
_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from gradlab.classroom.worker import main; main()"


def grade_folder(
    folder: str | Path,
    cell_name: str = "rnn",
    *,
    limits: Limits = LIMITS,
    workers: int | None = None,
    diagnosis: bool = True,
    progress: Progress | None = None,
) -> FolderReport:
    """Judge every .py file in a folder: lessons equation by equation, other files as a whole on a few hard problems.

    Args:
        cell_name: what the files that are no lessons claim to be.
        limits: what each file may use.
        workers: how many files at once; by default as many as there are processors.
        diagnosis: name the mistake in files that disagree.
        progress: called with (file, files done, files in all) after each file.

    Interrupted (Ctrl-C), it returns what is known by then.

    Raises:
        KeyError: no such cell.
        SubmissionError: the folder is none, or has no .py file in it.
    """
    cell(cell_name)
    folder, start = Path(folder), time.perf_counter()
    if not folder.is_dir():
        raise SubmissionError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    files = sorted(path for path in folder.iterdir() if path.suffix == ".py" and path.is_file())
    if not files:
        raise SubmissionError(f"{folder}: no .py file is in it")
    todo: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for path in files:
        todo.put(path)
    rows: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
    settings = {"cell": cell_name, "limits": asdict(limits), "diagnosis": diagnosis}
    patience = limits.total + limits.startup + SPARE
    graders = [_Grader(todo, rows, settings, patience) for _ in range(min(len(files), workers or _processors()))]
    report = FolderReport(str(folder), len(files))
    try:
        for grader in graders:
            grader.start()
        while len(report.rows) < len(files):
            row = rows.get()
            if row is None:
                break
            report.rows.append(row)
            if progress is not None:
                progress(row.file, len(report.rows), len(files))
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        for grader in graders:
            grader.stop()
        for grader in graders:
            grader.join()
    report.rows.sort(key=lambda row: row.file)
    report.seconds = time.perf_counter() - start
    return report


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Grader(threading.Thread):
    """One worker process, and the files it is given one after the other; another takes its place where it fails."""

    def __init__(
        self,
        todo: queue.SimpleQueue[Path],
        rows: queue.SimpleQueue[Row | None],
        settings: dict[str, object],
        patience: float,
    ) -> None:
        super().__init__(daemon=True)
        self.todo, self.rows, self.settings, self.patience = todo, rows, settings, patience
        self.stopped = threading.Event()
        self.process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        self.stopped.set()

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                try:
                    path = self.todo.get_nowait()
                except queue.Empty:
                    return
                row = self._row(path)
                if row is not None:
                    self.rows.put(row)
        except OSError as error:
            self.rows.put(Row("", REFUSED, note=f"no grader can be started: {error}"))
            self.rows.put(None)
        finally:
            self._end()

    def _row(self, path: Path) -> Row | None:
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
        asked = {"path": str(path), "file": path.name} | self.settings
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
                return Row(path.name, REFUSED, note=why, seconds=round(time.monotonic() - start, 3))
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
