"""Memory of a process: what it keeps, where it passes arrays of megabytes through many hands; what it may take."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Parameters of mallopt, as malloc.h of the GNU C library numbers them.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
LIMIT = 1 << 30


def keep_freed_memory(limit: int = LIMIT) -> bool:
    """Have this process keep what it frees, instead of giving it back to the system; whether it now does.

    By default the GNU C library maps every array of more than 32 MB anew: the system clears each of its pages
    and maps it in at the first touch, which can take longer than the arithmetic. Call it once, before large networks
    are trained; it holds for everything in the process. Elsewhere than with that library it does nothing.

    Args:
        limit: bytes, at least 0 and less than 2³¹: larger arrays are still mapped, and more than that is given back.

    Raises:
        ValueError: limit is negative or too large.
    """
    if not 0 <= limit < 1 << 31:
        raise ValueError(f"limit = {limit}: a number of bytes from 0 to {(1 << 31) - 1} is needed")
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no such function, no such library, not a system that has one
        return False
    return bool(mallopt(TRIM_THRESHOLD, limit) and mallopt(MMAP_THRESHOLD, limit))


@contextmanager
def limited_memory(more: int) -> Iterator[None]:
    """Within it, what would take this process more than `more` bytes beyond what it has now raises MemoryError.

    The limit is on address space (RLIMIT_AS), of all threads together; a lower one that is in force stays. Where the
    system does not say how much a process has, as elsewhere than on Linux, there is none.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * resource.getpagesize() + more
    if before != resource.RLIM_INFINITY and before <= wanted:
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, hard))
