"""Files that are written whole or not at all, and read only where they have an end."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

NAME_MAX = 255  # bytes, on every file system in common use
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class FileError(OSError):
    """A place that cannot be written to, said before any work is done."""


def read_bytes(path: Path, most: int) -> bytes:
    """The first `most` bytes of a regular file; a pipe or a device, which may keep its reader waiting, is not read.

    Raises:
        OSError: with the reason as its `strerror`.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(handle)


def check_writable(path: Path) -> None:
    """Refuse a path that cannot be written: a folder, or something in a folder that is missing or read-only.

    Raises:
        FileError: with the reason.
    """
    folder = _resolved(path).parent
    if path.is_dir():
        raise FileError(f"{path}: is a folder, wanted a file to write")
    if path.exists() and not path.is_file():
        raise FileError(f"{path}: is no regular file, and is not replaced by one")
    if not folder.is_dir():
        raise FileError(f"{path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise FileError(f"{path}: the folder {folder} cannot be written to")
    if len(os.fsencode(path.name)) > NAME_MAX:
        raise FileError(f"{path}: the name is longer than {NAME_MAX} bytes")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that at every moment it holds its old content or its new one, whole.

    Raises:
        FileError: it cannot be written; the old content is still there.
    """
    check_writable(path)
    path = _resolved(path)  # a link stays a link: what it leads to is replaced
    temporary = path.with_name(f".gradlab.{secrets.token_hex(8)}")
    try:
        # Made in here, so that an interrupt between its making and its removal leaves nothing behind.
        with os.fdopen(os.open(temporary, _NEW, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_mode(path))
        temporary.replace(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_json(path: Path, content: Any) -> None:
    """Write JSON, as `write_bytes` does; infinities and NaN become null, which JSON can hold.

    What is no text, as the bytes of a file's name may be, becomes what it is to Python, escaped: "\\udcff".
    """
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n"
    write_bytes(path, text.encode(errors="backslashreplace"))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        raise FileError(f"{path}: is a link that leads to itself") from None


def _sync_folder(folder: Path) -> None:
    """Make a new name itself durable, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, or those that a new one would get."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
