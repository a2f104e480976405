"""Processes that outlive the one that started them: found in Linux's process table, and killed.

A process group does not hold what leaves it. What it leaves behind still has the environment that it was born with,
and in it a word that no other process has.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

MARK = "GRADLAB_SANDBOX"


def kill_group(group: int) -> None:
    """Kill every process of a group; nothing where there is none any more."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def kill_marked(word: str, seconds: float = 5.0) -> None:
    """Kill every process born with `GRADLAB_SANDBOX=word`, again and again while they breed."""
    deadline = time.monotonic() + seconds
    while (found := marked(word)) and time.monotonic() < deadline:
        for process in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.002)


def marked(word: str) -> list[int]:
    """The processes, none that has ended, born with `GRADLAB_SANDBOX=word`; on Linux."""
    if sys.platform != "linux":
        return []
    wanted, found = f"{MARK}={word}".encode(), []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return found
