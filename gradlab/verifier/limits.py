"""How long, and in how much memory, one document may be read and judged."""

from __future__ import annotations

import os
from math import inf
from pathlib import Path
from time import monotonic, process_time

from gradlab.interrupts import checkpoint

SECONDS = 7.0
MEMORY = 1_500_000_000
BETWEEN = 0.02
_STATM = Path("/proc/self/statm")


class OutOfTime(Exception):
    """The time or the memory allowed for a document is used up; the message says which. Caught within this package."""


class Limits:
    """What is left for one document. Without arguments there is no limit of time.

    Args:
        seconds: of processor time from now on, which the load of other processes does not use up.
        memory: bytes that this process may grow by.
    """

    def __init__(self, seconds: float = inf, memory: int = MEMORY) -> None:
        self.deadline = process_time() + seconds
        self.memory = _resident() + memory
        self._looked = 0.0
        self.overtaken = False

    def restart(self, seconds: float) -> None:
        """Count the time from now on."""
        self.deadline = process_time() + seconds

    def tick(self) -> None:
        """Raise OutOfTime if nothing is left, and KeyboardInterrupt if an interrupt waits."""
        checkpoint()
        if self.overtaken:
            raise OutOfTime("a newer version has overtaken it")
        now = monotonic()
        if now - self._looked < BETWEEN:
            return  # to look at the processor's time and the memory costs more than most pieces of work
        self._looked = now
        if process_time() > self.deadline:
            raise OutOfTime("the time was used up")
        if _resident() > self.memory:
            raise OutOfTime(f"{MEMORY // 1_000_000:,} MB of memory were used up")


def _resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    try:
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
