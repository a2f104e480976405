"""A Python process of its own for somebody's file: started, asked, timed, and killed with all that it has started."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from gradlab.checker.watch import NotCertified, SubmissionError
from gradlab.classroom import wire
from gradlab.classroom.confine import SECCOMP
from gradlab.classroom.limits import Limits
from gradlab.classroom.namespaces import PROCESSES
from gradlab.classroom.survivors import MARK, kill_group, kill_marked
from gradlab.interrupts import checkpoint

_START = (
    "import sys, json; descriptor, settings, path = sys.argv[1:]; sys.path[:] = json.loads(path); "
    "from gradlab.classroom.child import main; main(int(descriptor), settings)"
)
ENDING = 5.0  # seconds that a process which keeps another may take to end it
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Sandbox:
    """The process that runs one file; a context manager, at whose end nothing of it is left.

    Args:
        path: the file it will run; it is told to it in full, and called `path` in messages.
        limits: what it may use.
        readable: what it may read beside Python, its libraries and gradlab: the modules beside the file.

    Its environment holds nothing of this process's, its working directory is empty and its own, its standard streams
    lead nowhere, and the channel is the only descriptor it inherits.

    Raises:
        SubmissionError: it cannot be started.
    """

    def __init__(self, path: str | Path, limits: Limits, readable: Iterable[Path] = ()) -> None:
        if os.name != "posix":
            raise SubmissionError(
                f"{path}: this system cannot keep a file in a process that does no harm; --trust runs it in this one"
            )
        self.origin = str(path)
        self.limits = limits
        self._readable = [str(Path(other).resolve()) for other in readable]
        self.confined: tuple[str, ...] = ()
        self._full = str(Path(path).resolve())
        self._word = secrets.token_hex(16)
        self._spent = 0.0
        self._channel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = str(Path(tempfile.mkdtemp(prefix="gradlab-")).resolve())
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        self._channel = ours
        said = {"readable": self._readable, "folder": self._folder, "limits": asdict(self.limits)}
        settings = json.dumps(said)
        command = [
            sys.executable,
            "-s",
            "-P",
            "-B",
            "-c",
            _START,
            str(theirs.fileno()),
            settings,
            json.dumps(modules()),
        ]
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self._folder,
                env=self._environment(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        ready = self._receive({wire.READY: 64}, time.monotonic() + self.limits.startup, "starting Python for it")
        self.confined = tuple(ready[1].decode().split())

    def _environment(self) -> dict[str, str]:
        place = {"HOME": self._folder, "TMPDIR": self._folder, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
        return {MARK: self._word} | place | dict.fromkeys(_THREADS, "1")

    @property
    def pid(self) -> int:
        """The process's number, while it runs."""
        if self._process is None:
            raise SubmissionError(f"{self.origin}: the process it ran in is gone")
        return self._process.pid

    @property
    def full(self) -> str:
        """The file's full path."""
        return self._full

    def ask(self, what: wire.Request, kind: bytes, most: int, seconds: float) -> bytes:
        """Send a request; the payload of the answer, unread.

        Args:
            kind: what the answer must be. most: its greatest length. seconds: how long to wait for it.

        Raises:
            SubmissionError: the code says so itself, or it does not answer in time, or what it answers is no answer.
        """
        self.send(wire.REQUEST, wire.request(what), seconds)
        return self.receive({kind: most}, seconds, "running it")[1]

    def send(self, kind: bytes, payload: bytes, seconds: float) -> None:
        """Send one frame.

        Raises:
            SubmissionError: it has written what nobody asked for, or does not take the frame in time.
        """
        channel = self._channel
        if channel is None or self._process is None:
            raise SubmissionError(f"{self.origin}: the process it ran in is gone")
        seconds = min(seconds, self.limits.total - self._spent)
        try:
            if select.select([channel], [], [], 0)[0] and self._process.poll() is None:
                raise SubmissionError(f"{self.origin}: writes to gradlab's channel without being asked")
            channel.settimeout(max(seconds, 0.001))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                channel.sendall(wire.frame(kind, payload))
        except TimeoutError:
            self.close()
            raise SubmissionError(f"{self.origin}: takes no request within {seconds:g} s") from None
        except BaseException:
            self.close()
            raise

    def receive(self, kinds: dict[bytes, int], seconds: float, doing: str) -> tuple[bytes, bytes]:
        """The next frame: its kind, one of `kinds`, and its payload, of at most the length given for it.

        Raises:
            SubmissionError: the code says so itself, or it does not answer in time, or what it answers is no answer.
        """
        start = time.monotonic()
        seconds = min(seconds, self.limits.total - self._spent)
        try:
            errors = dict.fromkeys((wire.ERROR, wire.UNCERTIFIED), wire.MOST_TEXT)
            sent, payload = self._receive(kinds | errors, start + seconds, doing)
        except BaseException:
            self.close()
            raise
        self._spent += time.monotonic() - start
        if sent in errors:
            raise (SubmissionError if sent == wire.ERROR else NotCertified)(self._said(payload))
        return sent, payload

    def _said(self, payload: bytes) -> str:
        """A line that the other side wrote, under the name that the file has here."""
        text = payload.decode(errors="surrogateescape")
        named, rest = text.startswith(self._full), text.removeprefix(self._full).replace(self._full, self.origin)
        rest = wire.one_line(rest.encode(errors="surrogateescape"))
        return f"{self.origin}{'' if named else ': '}{rest}"

    def _receive(self, kinds: dict[bytes, int], deadline: float, doing: str) -> tuple[bytes, bytes]:
        kind, size = wire.HEADER.unpack(self._exactly(wire.HEADER.size, deadline, doing))
        if kind not in kinds or size > kinds[kind]:
            raise SubmissionError(f"{self.origin}: writes to gradlab's channel; it must leave open descriptors alone")
        return kind, self._exactly(size, deadline, doing)

    def _exactly(self, size: int, deadline: float, doing: str) -> bytes:
        channel, process = self._channel, self._process
        if channel is None or process is None:
            raise SubmissionError(f"{self.origin}: the process it ran in is gone")
        start, parts = time.monotonic(), []
        while size:
            checkpoint()
            left = deadline - time.monotonic()
            if left <= 0:
                raise SubmissionError(f"{self.origin}: no answer within {deadline - start:.3g} s of {doing}")
            ended = process.poll() is not None  # before looking: what it wrote before it ended is there now
            readable = select.select([channel], [], [], 0 if ended else min(left, 0.05))[0]
            part = b""
            if readable:
                with contextlib.suppress(ConnectionResetError):
                    part = channel.recv(min(size, 1 << 20))
            if part:
                parts.append(part)
                size -= len(part)
            elif ended:
                raise SubmissionError(f"{self.origin}: its process ended ({_ending(process)}) while {doing}")
            elif readable:  # it has closed the channel, and runs on
                time.sleep(0.01)
        return b"".join(parts)

    def close(self) -> None:
        """Kill the process and all that it has started, and remove its folder; more than once does no harm."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            self._end(self._process)
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if PROCESSES in self.confined:  # what keeps it ends it, and with it every process that can see no other
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ENDING)
        kill_group(process.pid)
        process.kill()
        process.wait()
        if not {SECCOMP, PROCESSES} & set(self.confined):
            kill_marked(self._word)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def modules() -> list[str]:
    """Where modules are found here; the current folder is another one there."""
    found = [str(Path(entry).resolve()) for entry in sys.path if entry]
    return [*found, str(Path(__file__).resolve().parents[2])]


def _ending(process: subprocess.Popen[Any]) -> str:
    code = process.returncode
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
