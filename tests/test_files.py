"""Files written whole or not at all."""

from __future__ import annotations

import json
import os
import socket
import stat
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from gradlab.files import FileError, check_writable, read_bytes, write_bytes, write_json


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.json"


def only(path: Path) -> bool:
    """Nothing else lies in its folder."""
    return [other.name for other in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("content", [b"", b"new", b"x" * 1_000_000], ids=["empty", "short", "long"])
@pytest.mark.parametrize("before", [None, b"old"], ids=["new", "replaced"])
def test_the_content_is_written(out: Path, before: bytes | None, content: bytes) -> None:
    if before is not None:
        out.write_bytes(before)
    write_bytes(out, content)
    assert out.read_bytes() == content and only(out)


# What may fail on the way, each after something else has been done.
FAILURES = ["fsync", "chmod", "replace"]


@pytest.mark.parametrize("step", FAILURES)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["disk", "ctrl-c"])
def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(
    step: str, error: BaseException, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    out.write_bytes(b"old")
    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises((FileError, KeyboardInterrupt)) as caught:
        write_bytes(out, b"new")
    monkeypatch.undo()
    assert out.read_bytes() == b"old" and only(out)
    if isinstance(error, OSError):
        assert str(caught.value) == f"{out}: cannot be written: No space left on device"


def test_a_first_write_that_fails_leaves_nothing(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FileError, match="cannot be written: Input/output error"):
        write_bytes(out, b"new")
    assert list(out.parent.iterdir()) == []


def test_the_new_content_is_on_the_disk_before_it_takes_the_name(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append("fsync"), fsync(file))[1])
    monkeypatch.setattr(Path, "replace", lambda path, to: (order.append("replace"), replace(path, to))[1])
    write_bytes(out, b"new")
    assert order == ["fsync", "replace", "fsync"]  # the last: the name itself, in its folder


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o664])
def test_permissions_are_kept(mode: int, out: Path) -> None:
    out.write_bytes(b"old")
    out.chmod(mode)
    write_bytes(out, b"new")
    assert stat.S_IMODE(out.stat().st_mode) == mode


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_usual_permissions(mask: int, mode: int, out: Path) -> None:
    before = os.umask(mask)
    try:
        write_bytes(out, b"new")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE(out.stat().st_mode) == mode


def test_numbers_that_json_does_not_hold_become_null(out: Path) -> None:
    write_json(out, {"a": nan, "b": [inf, -inf, 1.5], "c": {"d": (nan, 2)}, "e": "NaN", "f": True, "g": None})
    assert json.loads(out.read_text(encoding="utf-8")) == {
        "a": None,
        "b": [None, None, 1.5],
        "c": {"d": [None, 2]},
        "e": "NaN",
        "f": True,
        "g": None,
    }


def test_json_is_text_that_people_can_read(out: Path) -> None:
    write_json(out, {"label": "∂L / ∂net_hidden(t)"})
    assert out.read_bytes() == '{\n  "label": "∂L / ∂net_hidden(t)"\n}\n'.encode()


def test_a_name_that_is_no_text_is_written_and_comes_back(out: Path) -> None:
    name = os.fsdecode(b"odd\xff.py")
    write_json(out, {"file": name})
    assert json.loads(out.read_text(encoding="utf-8")) == {"file": name}


def test_floats_come_back_to_the_last_bit(out: Path) -> None:
    numbers = [0.1, 1e-300, 5e-324, 1.7976931348623157e308, -0.0]
    write_json(out, numbers)
    assert [number.hex() for number in json.loads(out.read_text())] == [number.hex() for number in numbers]


def test_what_is_no_json_is_refused_before_anything_is_written(out: Path) -> None:
    out.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_json(out, {"a": object()})
    assert out.read_bytes() == b"old" and only(out)


def test_a_path_that_can_be_written(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_writable(out)
    assert not out.exists()
    out.write_bytes(b"old")
    check_writable(out)
    assert out.read_bytes() == b"old"
    monkeypatch.chdir(out.parent)
    check_writable(Path("beside.json"))
    write_bytes(Path("beside.json"), b"new")
    assert (out.parent / "beside.json").read_bytes() == b"new"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a folder, wanted a file to write"):
        check_writable(tmp_path)


@pytest.mark.parametrize("parent", ["missing", "a file"])
def test_a_file_in_no_folder_is_refused(parent: str, tmp_path: Path) -> None:
    (tmp_path / "a file").write_bytes(b"")
    path = tmp_path / parent / "out.json"
    with pytest.raises(FileError) as caught:
        check_writable(path)
    assert str(caught.value) == f"{path}: there is no folder {path.parent}"
    with pytest.raises(FileError, match=r"there is no folder|cannot be written"):
        write_bytes(path, b"new")


def test_a_folder_that_is_read_only_is_refused(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the operating system says it; root, as whom the tests may run, is refused nothing."""
    monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == out.parent and mode & os.W_OK))
    with pytest.raises(FileError, match="cannot be written to"):
        check_writable(out)


def test_a_file_error_is_an_os_error() -> None:
    assert issubclass(FileError, OSError)


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    try:
        check_writable(pipe)
        write_bytes(pipe, b"new")
    except FileError:
        pass
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_is_followed(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_bytes(b"old")
    link.symlink_to(real)
    write_bytes(link, b"new")
    assert link.is_symlink() and real.read_bytes() == b"new"


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(link)
    with pytest.raises(FileError, match=r"link\.json: is a link that leads to itself"):
        write_bytes(link, b"new")
    assert link.is_symlink()


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_has_no_end_is_not_read(kind: str, tmp_path: Path) -> None:
    path = Path("/dev/zero") if kind == "device" else tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    with pytest.raises(OSError, match=r"is no regular file|No such device or address"):
        read_bytes(path, 10)


def test_no_more_is_read_than_asked_for(out: Path) -> None:
    out.write_bytes(b"0123456789")
    assert read_bytes(out, 4) == b"0123" and read_bytes(out, 40) == b"0123456789"


def test_a_folder_cannot_be_read_and_nothing_stays_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(IsADirectoryError, match="Is a directory") as caught:
        read_bytes(tmp_path, 10)
    assert caught.value.filename == str(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_longest_name_there_is(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 250)
    path.write_bytes(b"old")
    check_writable(path)
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
