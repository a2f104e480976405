"""gradlab's commands, run as a user runs them or in a process forked from this one, and what is wrong with their end.

A fork has everything imported already: thousands of cases take minutes. Where a process's start matters (signals,
children), it is spawned.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import gradlab.cli

MARK = "GRADLAB_BENCHMARK"
ENDINGS = (0, 1, 2, 3)
# A shell lets what it starts in the background ignore Ctrl-C, and that is inherited.
_START = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from gradlab.cli import main; main()"


class Said(NamedTuple):
    """How a command ended. status: its exit status, or minus the signal that killed it; memory: at most, in bytes."""

    status: int
    out: str
    err: str
    seconds: float
    memory: int


def forked(
    arguments: Sequence[Any], limit: float = 20.0, memory: int = 4 << 30, before: Callable[[], Any] | None = None
) -> Said:
    """Run a command in a process forked from this one; one that takes longer than `limit` is killed, with all it began.

    Args:
        memory: bytes of address space that it may use. before: called in the process first.
    """
    start = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = os.fork()
        if process == 0:
            _run(arguments, out.fileno(), err.fileno(), memory, before)
        watched = os.pidfd_open(process)
        ended = bool(select.select([watched], [], [], limit)[0])
        os.close(watched)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL) if not ended else None
        _, status, used = os.wait4(process, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    code = os.waitstatus_to_exitcode(status) if ended else -int(signal.SIGKILL)
    return Said(code, *texts, time.monotonic() - start, used.ru_maxrss * 1024)


def _run(arguments: Sequence[Any], out: int, err: int, memory: int, before: Callable[[], Any] | None) -> NoReturn:
    """The forked process: never returns."""
    status = 70
    try:
        os.setpgid(0, 0)
        os.dup2(out, 1), os.dup2(err, 2), os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for name, number in (("stdout", 1), ("stderr", 2)):
            setattr(sys, name, open(number, "w", encoding="utf-8", errors="replace", closefd=False))  # noqa: SIM115
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        if before is not None:
            before()
        sys.argv = ["gradlab", *map(_text, arguments)]
        try:
            gradlab.cli.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001  what a user would see
            import traceback

            traceback.print_exc()
            status = 1
        sys.stdout.flush(), sys.stderr.flush()
    finally:
        os._exit(status)


def _text(argument: Any) -> str:
    return os.fsdecode(argument) if isinstance(argument, bytes | Path) else str(argument)


def spawn(arguments: Sequence[Any], scratch: Path, word: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a command as a user does, its temporary files in `scratch`, itself and all that it begins marked."""
    environment = os.environ | {"TMPDIR": str(scratch), MARK: word, "COLUMNS": "100", "TERM": "dumb"}
    return subprocess.Popen(
        [sys.executable, "-c", _START, *map(_text, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        **options,
    )


def spent(process: int) -> float:
    """Seconds of processor time that a running process has used, by itself."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def left_running(word: str, seconds: float = 3.0) -> list[str]:
    """The command lines of what was born with a word in its environment and still runs after some seconds."""
    deadline = time.monotonic() + seconds
    wanted = f"{MARK}={word}".encode()
    while True:
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    if wanted in (folder / "environ").read_bytes().split(b"\0"):
                        found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def defects(said: Said, endings: Collection[int] = ENDINGS) -> list[str]:
    """What is wrong with how a command ended: of no known status, killed, with a traceback, or with no line of why."""
    found = []
    if said.status == -signal.SIGKILL:
        found.append("hangs")
    elif said.status not in endings:
        found.append(f"ends with {said.status}")
    if "Traceback (most recent call last)" in said.out + said.err or "Exception ignored" in said.err:
        found.append("traceback")
    if not said.err.replace("\n", "").isprintable():
        found.append("control characters")
    lines = len(said.err.splitlines())
    if said.status == 2 and (lines > 1 or not (said.out or lines)):
        found.append(f"{lines} lines where there should be one")
    return found
