"""A process that keeps what it frees touches no new pages for the arrays that come after."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from gradlab.memory import keep_freed_memory

FAULTS = """
import resource
import numpy as np
from gradlab.memory import keep_freed_memory

kept = keep_freed_memory() if {keep} else False
for turn in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(8_000_000)  # 64 MB: at most 32 are recycled by default
    found = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(kept, found)
"""


def faults(keep: bool) -> tuple[bool, int]:
    """Whether it was kept, and the pages faulted in by an array of 64 MB after three that were freed."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(keep=keep)], capture_output=True, text=True, check=True, timeout=60
    )
    kept, found = done.stdout.split()
    return kept == "True", int(found)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another")
def test_freed_memory_is_kept() -> None:
    (_, by_default), (kept, found) = faults(keep=False), faults(keep=True)
    assert kept
    assert found < 4 < by_default


@pytest.mark.parametrize("limit", [-1, 1 << 31])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=f"limit = {limit}: "):
        keep_freed_memory(limit)
