"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

NAME_MAX = 255  # bytes, on every file system in common use


class FileError(OSError):
    """A place that cannot be written to, said before any work is done."""


def check_writable(path: Path) -> None:
    """Refuse a path that cannot be written: a folder, or something in a folder that is missing or read-only.

    Raises:
        FileError: with the reason.
    """
    folder = path.resolve().parent
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
    path = path.resolve()  # a link stays a link: what it leads to is replaced
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".gradlab.")
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(_mode(path))
        Path(temporary).replace(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON, as `write_bytes` does; infinities and NaN become null, which JSON can hold."""
    write_bytes(path, (json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n").encode())


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, or those that a new one would get."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
