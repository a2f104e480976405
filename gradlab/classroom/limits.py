"""What somebody's code may use."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What the process that runs a file may use.

    seconds: the time of one call of one of its functions, and of importing it. total: of all its calls together.
    equation: of one equation of a lesson, at one step.
    grace: how much longer than that an answer is waited for. startup: how long Python itself may take to start.
    memory: bytes of address space. file_size: bytes of one file, where writing files cannot be forbidden altogether.
    confine: forbid what the kernel can forbid: writing, reading what is not Python's, processes, signals, the network.
    """

    seconds: float = 10.0
    total: float = 600.0
    equation: float = 2.0
    grace: float = 2.0
    startup: float = 60.0
    memory: int = 4096 * MIB
    file_size: int = MIB
    confine: bool = True
