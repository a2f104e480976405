"""Disks that are full, signals, and children that are killed: nothing lost, nothing left, one line."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradlab import cli
from gradlab.addition.train import Run, Settings, load, save
from gradlab.manual import rnn

HANG = 600.0  # seconds: what takes so long has stopped for good, however busy the machine is
SOURCE = Path(rnn.__file__).read_text(encoding="utf-8")
WRITING = {
    "mistakes": (["mistakes", "--json"], "out.json"),
    "verify": (["verify", "mine.md", "--json"], "out.json"),
    "train --json": (["train", "--epochs", "3", "--json"], "out.json"),
    "train --save": (["train", "--epochs", "3", "--save"], "run.npz"),
    "draw": (["draw", "network", "--hidden", "2", "-o"], "out.png"),
    "exercise": (["exercise", "rnn", "-o"], "new.py"),
    "check FOLDER --csv": (["check", "class", "--csv"], "out.csv"),
}
# A shell lets what it starts in the background ignore Ctrl-C, and that is inherited.
START = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from gradlab.cli import main; main()"
CALLS = {"open": os, "fsync": os, "replace": Path}


@pytest.mark.parametrize(
    ("command", "call"),
    [(command, call) for command in WRITING for call in CALLS if "FOLDER" not in command or call == "fsync"],
)
def test_a_disk_that_is_full(
    command: str, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, name = WRITING[command]
    monkeypatch.chdir(tmp_path)
    Path("class").mkdir()
    Path("class", "mine.py").write_text("x =", encoding="utf-8")
    Path("mine.md").write_text("$$ x", encoding="utf-8")
    if command != "exercise":
        Path(name).write_bytes(b"old")
    before = sorted(path.name for path in tmp_path.iterdir())
    real = getattr(CALLS[call], call)

    def full(first: Any, *rest: Any, **options: Any) -> Any:
        if call == "open" and not (".gradlab." in str(first) and rest[0] & os.O_CREAT):
            return real(first, *rest, **options)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sys, "argv", ["gradlab", *arguments, name])
    monkeypatch.setattr(CALLS[call], call, full)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    monkeypatch.undo()
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.err == f"gradlab: {tmp_path / name}: cannot be written: No space left on device\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert command == "exercise" or (tmp_path / name).read_bytes() == b"old"
    if command in ("mistakes", "verify", "train --json", "check FOLDER --csv"):
        assert said.out  # what was found is not lost with the disk


def started(arguments: list[Any], folder: Path) -> subprocess.Popen[str]:
    (folder / "scratch").mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", START, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder / "scratch"), "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def until(condition: Callable[[], Any], seconds: float = HANG) -> Any:
    """What the condition gives as soon as that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    return pytest.fail("it never happened")


def children_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes that run somebody's file for a process, and are ready to."""
    path, found = Path(f"/proc/{process.pid}/task/{process.pid}/children"), []
    if path.exists():
        found = [int(word) for word in path.read_text().split()]
    return [child for child in found if b"classroom.child" in Path(f"/proc/{child}/cmdline").read_bytes()]


def gone(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_check_that_is_stopped_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{SOURCE}\nimport time\ntime.sleep(9999)\n", encoding="utf-8")
    with started(["check", "mine.py", "--seconds", str(HANG)], tmp_path) as process:
        child = until(lambda: children_of(process))[0]
        until(lambda: list((tmp_path / "scratch").iterdir()))
        process.send_signal(number)
        out, err = process.communicate(timeout=HANG)
    assert (process.returncode, out, err) == (130, "", "gradlab: interrupted\n")
    until(lambda: gone(child))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_training_that_is_terminated_is_saved(tmp_path: Path) -> None:
    arguments = ["train", "--epochs", "1000000", "--stop", "never", "--save", "run.npz", "--json", "out.json"]
    with started(arguments, tmp_path) as process:
        until((tmp_path / "run.npz").exists)
        process.terminate()
        _, err = process.communicate(timeout=HANG)
    assert err == ""
    said = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert said["ended"] == "interrupted" and said["step"] == load(tmp_path / "run.npz").step
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "run.npz", "scratch"]


def test_a_child_that_is_killed_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{SOURCE}\nimport time\ntime.sleep(9999)\n", encoding="utf-8")
    with started(["check", "mine.py", "--seconds", str(HANG)], tmp_path) as process:
        child = until(lambda: children_of(process))[0]
        os.kill(child, signal.SIGKILL)
        out, err = process.communicate(timeout=HANG)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("gradlab: mine.py: its process ended (SIGKILL)")
    assert err.count("\n") == 1


def test_the_signals_are_python_s_own_again_afterwards(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    monkeypatch.setattr(sys, "argv", ["gradlab", "mistakes"])
    with pytest.raises(SystemExit):
        cli.main()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before
    capsys.readouterr()


def test_a_link_in_the_way_of_a_run_is_written_through(tmp_path: Path) -> None:
    real, link = tmp_path / "real.npz", tmp_path / "link.npz"
    link.symlink_to(real)
    save(Run.start(Settings(hidden=2)), link)
    assert link.is_symlink() and load(real).step == 0
