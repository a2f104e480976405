"""A view of the machine of a process's own, on Linux: its own files, processes, network and messages.

`enter` leaves the process that calls it behind as a keeper, and returns in a child that sees nothing but what it was
given: no other process, no network, no message queue, and of the file system only some folders, none of them writable.
It is to be called before anything else, in a process of one thread. man 7 namespaces, man 2 pivot_root.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

MOUNTS, PROCESSES, NETWORK, IPC = "mounts", "processes", "network", "ipc"

_NEW = 0x10000000 | 0x20000 | 0x20000000 | 0x40000000 | 0x8000000 | 0x4000000  # USER NS PID NET IPC UTS
_BIND, _REC, _PRIVATE, _DETACH = 0x1000, 0x4000, 0x40000, 2
_NOSUID, _NODEV = 2, 4
_MOUNT_SETATTR, _AT_RECURSIVE, _READ_ONLY = 442, 0x8000, 1
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITIES = 0x20080522


class View(NamedTuple):
    """What may be seen: files and folders, but for the folders `hidden`, of which only the files named are left."""

    readable: Sequence[Path]
    hidden: dict[Path, tuple[str, ...]]


def enter(view: View, folder: Path, unneeded: int) -> list[str]:
    """Go on in a child that has namespaces of its own; what it has of them, by name, [] where the system gives none.

    Args:
        folder: an empty one, which becomes the child's current folder.
        unneeded: a descriptor that the process left behind shall close.
    """
    if sys.platform != "linux" or platform.machine() not in _PIVOT_ROOT:
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_NEW) != 0:
        return []
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError:
        return [NETWORK, IPC]
    child = os.fork()
    if child:
        os.close(unneeded)
        _keep(child, libc)
    had = [PROCESSES, NETWORK, IPC]
    with contextlib.suppress(OSError):
        _mount_view(view, folder, _Mounts(libc))
        had.append(MOUNTS)
    _drop_capabilities(libc)
    return had


def _keep(child: int, libc: Any) -> NoReturn:
    """Wait for the child and end as it ends; end it when this process is asked to, or is killed."""

    def end(number: int, frame: Any) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end)
    libc.prctl(1, int(signal.SIGTERM), 0, 0, 0)  # PDEATHSIG: the grader is gone
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 255)


class _Mounts:
    """The calls of the C library, with errors raised."""

    def __init__(self, libc: Any) -> None:
        self.libc = libc

    def _checked(self, done: int, path: str) -> None:
        if done != 0:
            raise OSError(ctypes.get_errno(), "cannot be mounted", path)

    def mount(self, source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
        words = (word if word is None else word.encode() for word in (source, target, kind))
        said = None if data is None else data.encode()
        self._checked(self.libc.mount(*words, ctypes.c_ulong(flags), said), target)

    def forbid_writing(self, target: str, flags: int, recursive: bool = True) -> None:
        attributes = (ctypes.c_uint64 * 4)(_READ_ONLY | flags, 0, 0, 0)
        at = _AT_RECURSIVE if recursive else 0
        self._checked(
            self.libc.syscall(_MOUNT_SETATTR, -100, target.encode(), at, ctypes.byref(attributes), ctypes.c_size_t(32)),
            target,
        )

    def bind(self, source: Path, target: str, flags: int) -> None:
        self.mount(str(source), target, None, _BIND | _REC)
        self.forbid_writing(target, flags)

    def pivot(self) -> None:
        """Make the current folder the root, and forget the old one."""
        self._checked(self.libc.syscall(_PIVOT_ROOT[platform.machine()], b".", b"."), "/")
        self._checked(self.libc.umount2(b".", _DETACH), "/")


def _mount_view(view: View, folder: Path, mounts: _Mounts) -> None:
    mounts.mount("none", "/", None, _REC | _PRIVATE)
    mounts.mount("tmpfs", str(folder), "tmpfs", _NOSUID | _NODEV, "size=1m,mode=755")
    bound: list[Path] = []
    for path in sorted(view.readable, key=lambda path: len(path.parts)):
        if not path.exists() or any(path.is_relative_to(other) for other in bound):
            continue
        target = folder / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            target.symlink_to(path.readlink())
            continue
        _make_like(path, target)
        mounts.bind(path, str(target), _NOSUID if path.is_relative_to("/dev") else _NOSUID | _NODEV)
        bound.append(path)
    for path, kept in view.hidden.items():
        if path.is_dir() and any(path.is_relative_to(other) for other in bound):
            _hide(path, kept, folder / path.relative_to("/"), mounts)
    own = folder / folder.relative_to("/")
    own.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    mounts.pivot()
    os.chdir(folder)
    mounts.forbid_writing("/", _NOSUID | _NODEV, recursive=False)


def _make_like(path: Path, target: Path) -> None:
    if path.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.touch()


def _hide(path: Path, kept: tuple[str, ...], target: Path, mounts: _Mounts) -> None:
    """Lay an empty folder over one, with some of its files in it."""
    contents: dict[str, bytes] = {name: (path / name).read_bytes() for name in kept if (path / name).is_file()}
    mounts.mount("tmpfs", str(target), "tmpfs", _NOSUID | _NODEV, "size=1m,mode=755")
    for name, content in contents.items():
        (target / name).write_bytes(content)
    mounts.forbid_writing(str(target), _NOSUID | _NODEV)


def _drop_capabilities(libc: Any) -> None:
    header, none = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    libc.syscall(_CAPSET[platform.machine()], ctypes.byref(header), ctypes.byref(none))
