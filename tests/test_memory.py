"""A process that keeps what it frees touches no new pages for the arrays that come after."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

import numpy as np
import pytest

from gradlab.memory import keep_freed_memory, limited_memory

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
        [sys.executable, "-c", FAULTS.format(keep=keep)], capture_output=True, text=True, check=True, timeout=600
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


linux = pytest.mark.skipif(sys.platform != "linux", reason="limits on memory are set on Linux")


@linux
def test_memory_beyond_a_limit_is_refused_and_the_limit_is_taken_back() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with limited_memory(1 << 28):
        assert np.zeros(1 << 27, np.int8).size
        with pytest.raises(MemoryError):
            np.zeros(1 << 29, np.int8)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert np.zeros(1 << 29, np.int8).size


@linux
def test_a_lower_limit_stays() -> None:
    with limited_memory(1 << 28):
        inner = resource.getrlimit(resource.RLIMIT_AS)
        with limited_memory(1 << 32):
            assert resource.getrlimit(resource.RLIMIT_AS) == inner
