"""What a process forbids itself for good, before it runs somebody's code.

Limits on resources always. On Linux also, where the kernel offers it:

    seccomp     no processes, threads, programs, signals, sockets, messages, locks; nothing is written anywhere
    Landlock    nothing is read but Python, its libraries and what of gradlab is no answer
    namespaces  nothing else is there: no other file, process, network, message (`gradlab.classroom.namespaces`)

All are one-way and hold for every thread that starts later. Numbers of system calls are those of x86-64; elsewhere
there is no seccomp.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import signal
import site
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gradlab.classroom.limits import Limits
from gradlab.classroom.namespaces import IPC, MOUNTS, NETWORK, PROCESSES, View

SECCOMP, LANDLOCK = "seccomp", "landlock"

# What others are to be kept from, and any of what keeps a file from it.
PROTECTIONS = {
    "reading what is not its own": (LANDLOCK, MOUNTS),
    "writing": (SECCOMP, MOUNTS),
    "other processes": (SECCOMP, PROCESSES),
    "the network": (SECCOMP, NETWORK),
    "messages between processes": (SECCOMP, IPC),
}

# Of gradlab itself, what holds the answers, and which of its files are none.
ANSWERS = {"manual": ("__init__.py", "gates.py"), "reference": (), "mistakes": (), "derivations": ()}

_PDEATHSIG, _NO_NEW_PRIVS, _SET_SECCOMP, _FILTER_MODE = 1, 38, 22, 2


def missing(confined: Iterable[str]) -> list[str]:
    """What nothing keeps a file from, where this much is in force."""
    had = set(confined)
    return [what for what, keepers in PROTECTIONS.items() if not had.intersection(keepers)]


def limit_resources(limits: Limits) -> None:
    """Set the limits that every POSIX system knows; one that is already lower stays."""
    import resource  # which Windows has not

    wanted = {
        resource.RLIMIT_AS: limits.memory,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: int(limits.total) + 60,  # for a process whose guardian is gone
        resource.RLIMIT_FSIZE: limits.file_size,
        resource.RLIMIT_NOFILE: 64,
    }
    for kind, most in wanted.items():
        hard = resource.getrlimit(kind)[1]
        lowest = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (lowest, lowest))


def no_processes() -> None:
    """Start no process and no thread any more, where only this limit is there to forbid it; root is exempt from it."""
    import resource

    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """On Linux, be sent a signal when the thread that started this process ends."""
    if sys.platform == "linux":
        _libc().prctl(_PDEATHSIG, int(number), 0, 0, 0)


def view(readable: Iterable[Path]) -> View:
    """What may be read: Python, its libraries, what of gradlab is no answer, and some files and folders more."""
    gradlab = Path(__file__).resolve().parents[1]
    return View([*_libraries(), *readable], {gradlab / name: kept for name, kept in ANSWERS.items()})


def confine(seen: View) -> list[str]:
    """Forbid all that the kernel can forbid a process that stays where it is; the names of what is in force."""
    if sys.platform != "linux" or _libc().prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return []
    kept = [LANDLOCK] if _landlock(seen) else []
    return [*kept, SECCOMP] if platform.machine() == "x86_64" and _seccomp() else kept


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _libraries() -> list[Path]:
    python = [sys.prefix, sys.base_prefix, sys.exec_prefix, *site.getsitepackages()]
    if site.getusersitepackages() in sys.path:
        python.append(site.getusersitepackages())
    system = ["/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/ssl", "/etc/localtime", "/dev/null", "/dev/urandom"]
    hardware = ["/sys/devices/system/cpu", "/proc/cpuinfo", "/proc/meminfo"]
    return [*map(Path, [*python, *system, *hardware]), Path(__file__).resolve().parents[1]]


# Landlock: man 7 landlock.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_TCP, _SCOPED = 3, 3  # binding and connecting; abstract sockets and signals
_FS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many there are, by version
_O_PATH = 0o10000000


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # what _pack_ means on Linux, said as Python 3.14 wants it
    _fields_ = (("access", ctypes.c_uint64), ("folder", ctypes.c_int32))


def _landlock(seen: View) -> bool:
    libc = _libc()
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    if version < 1:
        return False
    handled = (ctypes.c_uint64 * 3)((1 << _FS_RIGHTS[min(version, 5)]) - 1, _TCP, _SCOPED)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = libc.syscall(_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if rules < 0:
        return False
    for path, access in _allowed(seen):
        with contextlib.suppress(OSError):
            folder = os.open(path, _O_PATH | os.O_CLOEXEC)
            rule = _Beneath(access, folder)
            libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))
            os.close(folder)
    done = libc.syscall(_RESTRICT_SELF, rules, ctypes.c_uint32(0)) == 0
    os.close(rules)
    return done


def _allowed(seen: View) -> Iterator[tuple[Path, int]]:
    """Each path and what may be done beneath it: a rule holds for a whole tree, so one with something hidden in it is
    listed whole, and read piece by piece."""

    def pieces(path: Path) -> Iterator[tuple[Path, int]]:
        if path in seen.hidden:
            yield from ((path / name, _READ_FILE) for name in seen.hidden[path])
        elif not any(hidden.is_relative_to(path) for hidden in seen.hidden):
            yield path, _READ_FILE | _READ_DIR if path.is_dir() else _READ_FILE
        else:
            for piece in path.iterdir():
                yield from pieces(piece)

    for path in dict.fromkeys(path.resolve() for path in seen.readable if path.exists()):
        if path.is_dir():
            yield path, _READ_DIR
        elif path.suffix == ".py":
            yield path.parent, _READ_DIR  # a module is looked for among the names in its folder
        yield from pieces(path)


# seccomp: man 2 seccomp. A filter is a program on {nr: 0, arch: 4, args: 16, 24, …}.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_X86_64, _X32 = 0xC000003E, 0x40000000
_NEWER = 463  # system calls added after those that this file knows

# fmt: off
_DENIED = (
    56, 57, 58, 59, 322,                                        # clone fork vfork execve execveat
    62, 200, 234, 129, 297, 424, 434, 438,                      # kill and its kin, pidfds
    101, 310, 311, 312, 440, 448,                               # ptrace, other processes' memory
    41, 42, 43, 49, 50, 53, 288,                                # sockets
    109, 112, 141, 142, 144, 203, 314, 251, 256, 279,           # sessions, groups, scheduling of others
    85, 87, 263, 82, 264, 316, 83, 258, 84, 86, 265, 88, 266, 133, 259,  # creat unlink rename mkdir link symlink mknod
    76, 77, 285, 90, 91, 268, 452, 92, 93, 94, 260,             # truncate fallocate chmod chown
    132, 235, 280, 261, 188, 189, 190, 197, 198, 199,           # times, extended attributes
    165, 166, 155, 161, 272, 308, 428, 429, 430, 431, 432, 433, 442, 443, 457, 458,  # mounts, namespaces
    167, 168, 169, 170, 171, 175, 176, 313, 246, 320, 163, 164, 227, 159, 305, 179, 103, 172, 173, 135,  # the machine
    321, 298, 323, 248, 249, 250, 425, 426, 427, 206, 300, 303, 304,  # bpf perf keys io_uring aio file handles
    319, 447, 29, 30, 31, 67, 64, 65, 66, 220, 68, 69, 70, 71,  # memory, semaphores and messages between processes
    240, 241, 242, 243, 244, 245,                               # message queues
    73, 253, 254, 255, 294, 162, 306,                           # locks, watches on others' files, sync
    105, 106, 113, 114, 116, 117, 119, 122, 123,                # setuid and its kin, which let it outlive its parent
    89, 267, 191, 192, 193, 194, 195, 196,                      # where links lead, extended attributes
)
# fmt: on
_WRITING = 0o3 | 0o100 | 0o1000 | 0o20000000  # O_WRONLY, O_RDWR; O_CREAT, O_TRUNC, __O_TMPFILE
# What puts words into a terminal's mouth, has the kernel send signals to another process, or keeps others waiting:
# TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP; F_SETLK and its kin, F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY.
_ARGUMENTS = {16: (0x5412, 0x541C, 0x8901, 0x8902), 72: (6, 7, 8, 10, 15, 37, 38, 1024, 1026)}  # ioctl, fcntl


def refusing(numbers: Iterable[int], *, filters: bool) -> bool:
    """Have the kernel seem not to know some system calls: what a container that lacks them looks like.

    Args:
        filters: whether further filters may be installed.
    """
    program = [_step(_LOAD, 0)]
    for number in numbers:
        program += [_step(_EQUAL, number, 0, 1), _refuse(errno.ENOSYS)]
    if not filters:
        program += [
            _step(_EQUAL, 157, 0, 3),
            _step(_LOAD, 16),
            _step(_EQUAL, _SET_SECCOMP, 0, 1),
            _refuse(errno.EINVAL),
        ]
    libc = _libc()
    return libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and _installed([*program, _step(_RETURN, _ALLOW)])


def _seccomp() -> bool:
    return _installed(list(_program()))


def _installed(program: list[int]) -> bool:
    code = (ctypes.c_uint64 * len(program))(*program)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_uint16), ("code", ctypes.c_void_p))

    whole = Program(len(program), ctypes.addressof(code))
    done = _libc().prctl(_SET_SECCOMP, ctypes.c_ulong(_FILTER_MODE), ctypes.byref(whole), 0, 0)
    return bool(done == 0)


def _step(code: int, k: int, yes: int = 0, no: int = 0) -> int:
    """struct sock_filter {u16 code; u8 jt, jf; u32 k} as one little-endian number."""
    return code | yes << 16 | no << 24 | k << 32


def _refuse(number: int) -> int:
    return _step(_RETURN, _ERRNO | number)


def _program() -> Iterable[int]:
    step, refuse = _step, _refuse
    allow = step(_RETURN, _ALLOW)
    yield from (step(_LOAD, 4), step(_EQUAL, _X86_64, 1), refuse(errno.EPERM))
    yield from (step(_LOAD, 0), step(_AT_LEAST, _X32, 0, 1), refuse(errno.EPERM))
    yield from (step(_AT_LEAST, _NEWER, 0, 1), refuse(errno.ENOSYS))
    for number in _DENIED:
        yield from (step(_EQUAL, number, 0, 1), refuse(errno.EPERM))
    # clone3, openat2: the C library falls back to clone and openat, whose flags are seen here
    for number in (435, 437):
        yield from (step(_EQUAL, number, 0, 1), refuse(errno.ENOSYS))
    for number, flags in ((2, 24), (257, 32)):  # open, openat
        yield from (step(_EQUAL, number, 0, 4), step(_LOAD, flags), step(_ANY_BIT, _WRITING, 0, 1))
        yield from (refuse(errno.EACCES), allow)
    yield from (step(_EQUAL, 302, 0, 4), step(_LOAD, 16), step(_EQUAL, 0, 1), refuse(errno.EPERM), allow)  # prlimit64
    yield from (step(_EQUAL, 157, 0, 4), step(_LOAD, 16), step(_EQUAL, _PDEATHSIG, 0, 1), refuse(errno.EPERM), allow)
    for number, refused in _ARGUMENTS.items():
        yield from (step(_EQUAL, number, 0, len(refused) + 3), step(_LOAD, 24))
        for left, argument in zip(range(len(refused), 0, -1), refused, strict=True):
            yield step(_EQUAL, argument, left)
        yield from (allow, refuse(errno.EPERM))
    yield allow
