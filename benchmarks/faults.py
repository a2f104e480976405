"""What becomes of a command whose disk is full or read-only, that is stopped at any moment, or whose child is killed?

A write that fails must leave the old file whole, no other file, one line and exit status 2. A signal must end a command
within STOP seconds of work, with what is known, no traceback, no process and no temporary file left, and an old file
or a new one, whole. A killed child is said of the file that ran in it, and of no other.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from commands import Said, defects, forked, left_running, spawn, spent
from measure import Result, Table, duration

from gradlab.addition.train import Run, Settings, save
from gradlab.classroom import write_lesson
from gradlab.manual import rnn

DERIVATIONS = Path(__file__).parents[1] / "derivations"
SOURCE = Path(rnn.__file__).read_text("utf-8")
WRONG = SOURCE.replace("= (y_hat - y) * y_hat", "= 2 * (y_hat - y) * y_hat")
STOP = 10.0  # seconds of processor time from the signal to the end
PATIENCE = 300.0  # seconds, on a machine that is busy with something else
INTERRUPTED = 130
OLD = b"old"

# The commands that write, and the file they write.
WRITING: dict[str, tuple[list[Any], str]] = {
    "check --json": (["check", "--examples", "1", "--json", "out"], "out"),
    "check FILE --json": (["check", "mine.py", "--examples", "1", "--json", "out"], "out"),
    "check FOLDER --json": (["check", "class", "--json", "out"], "out"),
    "check FOLDER --csv": (["check", "class", "--csv", "out"], "out"),
    "compare --json": (["compare", "--bits", "2", "--hidden", "2", "--json", "out"], "out"),
    "mistakes --json": (["mistakes", "--json", "out"], "out"),
    "verify --json": (["verify", "mine.md", "--json", "out"], "out"),
    "train --json": (["train", "--epochs", "10", "--json", "out"], "out"),
    "train --save": (["train", "--epochs", "10", "--save", "out"], "out"),
    "train --resume": (["train", "--epochs", "10", "--save", "run.npz", "--resume"], "run.npz"),
    "draw -o .png": (["draw", "network", "-o", "out.png"], "out.png"),
    "draw -o .gif": (["draw", "addition", "--bits", "2", "-o", "out.gif"], "out.gif"),
    "exercise": (["exercise", "rnn", "-o", "out"], "out"),
}
CALLS = {"open": os, "fsync": os, "replace": Path, "chmod": Path}

# The commands that take long: what they are stopped in the midst of, and for how many seconds.
LONG: dict[str, tuple[list[Any], float]] = {
    "check": (["check", "--examples", "5000", "--json", "out.json"], 8.0),
    "check FILE": (["check", "mine.py", "--examples", "5000", "--json", "out.json"], 8.0),
    "check FILE, wrong": (["check", "wrong.py", "--examples", "50", "--json", "out.json"], 8.0),
    "check LESSON": (["check", "lesson.py", "--json", "out.json"], 2.0),
    "check FOLDER": (["check", "class", "--json", "out.json", "--csv", "out.csv"], 8.0),
    "compare": (["compare", "--hidden", "40", "--json", "out.json"], 4.0),
    "mistakes --score": (["mistakes", "--score", "--json", "out.json"], 8.0),
    "verify": (["verify", DERIVATIONS, "--json", "out.json"], 5.0),
    "train": (["train", "--epochs", "1000000000", "--stop", "never", "--save", "run.npz"], 3.0),
    "draw a GIF": (["draw", "addition", "--bits", "30", "-o", "out.gif"], 4.0),
}


def furnish(folder: Path) -> None:
    """What the commands read."""
    (folder / "mine.py").write_text(SOURCE, "utf-8")
    (folder / "wrong.py").write_text(WRONG, "utf-8")
    (folder / "lesson.py").write_text(write_lesson("rnn"), "utf-8")
    (folder / "mine.md").write_text("---\nsizes: {N: 2}\nsteps: 4\nsymbols: {v: 1 x N}\n---\n$$ v = v $$\n", "utf-8")
    (folder / "class").mkdir()
    for number in range(4):
        (folder / "class" / f"{number}.py").write_text((SOURCE, WRONG)[number % 2], "utf-8")
    (folder / "class" / "sleeps.py").write_text(f"{SOURCE}\nimport time\ntime.sleep(60)\n", "utf-8")
    save(Run.start(Settings(hidden=4, epochs=5)), folder / "run.npz")


def fails_with(name: str, number: int) -> Callable[[], None]:
    """A call of the system that fails where something is written, from here on."""

    def before() -> None:
        holder, real = CALLS[name], getattr(CALLS[name], name)

        def fail(first: Any, *rest: Any, **options: Any) -> Any:
            flags = rest[0] if rest and isinstance(rest[0], int) else 0
            if name == "open" and not (flags & os.O_CREAT and ".gradlab." in os.fsdecode(first)):
                return real(first, *rest, **options)
            raise OSError(number, os.strerror(number))

        setattr(holder, name, fail)

    return before


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[bool]:
    """A file system of 64 kB on a folder; False where this user may not mount one."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "--lazy", folder], check=True)


def writes(result: Result) -> list[str]:
    """Every writing command under every fault; what is wrong."""
    faults: dict[str, Callable[[], None] | None] = {"a full disk": None, "a read-only disk": None}
    faults |= {f"{name} fails: no space": fails_with(name, errno.ENOSPC) for name in CALLS}
    faults |= {"fsync fails: I/O error": fails_with("fsync", errno.EIO)}
    chosen = dict(list(WRITING.items())[5:8] if result.quick else WRITING)
    table = Table("Writes that fail", ["fault", "commands", "old file whole", "nothing else left", "one line, exit 2"])
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch:
        furnish(Path(scratch))
        for fault, before in faults.items():
            counts = {"done": 0, "whole": 0, "alone": 0, "said": 0}
            for command, (arguments, name) in chosen.items():
                place = Path(scratch) / "place"
                place.mkdir(exist_ok=True)
                with mounted(place) if before is None else contextlib.nullcontext(True) as there:
                    if not there:
                        continue
                    one = _written(Path(scratch), place, fault, before, command, arguments, name)
                counts["done"] += 1
                for key in ("whole", "alone", "said"):
                    counts[key] += one[key]
                if not (one["whole"] and one["alone"] and one["said"]):
                    wrong.append(f"{command}, {fault}: {one}")
                    print(wrong[-1], flush=True)
            table.rows.append([fault, str(counts["done"]), *(str(counts[key]) for key in ("whole", "alone", "said"))])
    table.note = "Commands: " + ", ".join(f"`{command}`" for command in chosen) + "."
    result.table(table)
    return wrong


def _written(
    scratch: Path, place: Path, fault: str, before: Any, command: str, arguments: list[Any], name: str
) -> dict[str, Any]:
    """One command under one fault, in the scratch folder, writing into `place`."""
    target = place / name
    for path in place.iterdir():
        path.unlink()
    if command == "train --resume":
        shutil.copy(scratch / "run.npz", target)
    elif command != "exercise":  # which replaces nothing
        target.write_bytes(OLD)
    old = target.read_bytes() if target.exists() else None
    if fault == "a full disk":
        with contextlib.suppress(OSError), (place / "filler").open("wb", 0) as filler:
            while True:
                filler.write(bytes(512))
    listed = sorted(path.name for path in place.iterdir())
    if fault == "a read-only disk":
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    given = [target if one == name else scratch / one if (scratch / str(one)).exists() else one for one in arguments]
    said = forked(given, 120.0, before=before)
    kept = target.read_bytes() if target.exists() else None
    ended = said.status == 2 and len(said.err.splitlines()) == 1 and not defects(said)
    left = sorted(path.name for path in place.iterdir())
    return {"whole": kept == old, "alone": left == listed, "said": ended, "status": said.status, "err": said.err[-500:]}


def stops(result: Result) -> list[str]:
    """Every long command, sent signals at many moments; what is wrong."""
    table = Table(
        "Stopped at any moment",
        ["command", "signals", "exit status", "longest to stop", "of it work", "left running", "left lying", "defects"],
    )
    wrong: list[str] = []
    chosen = dict(list(LONG.items())[7:9] if result.quick else LONG)
    moments = {signal.SIGINT: 2, signal.SIGTERM: 1} if result.quick else {signal.SIGINT: 5, signal.SIGTERM: 2}
    rng = np.random.default_rng(0)
    for command, (arguments, lasts) in chosen.items():
        ended: dict[int, int] = {}
        longest, most, running, lying, before = 0.0, 0.0, 0, 0, len(wrong)
        sent = 0
        for number, count in moments.items():
            for k in range(count):
                found = _stopped(arguments, number, 0.3 + lasts * (k + rng.random()) / count)
                if found is None:
                    continue
                said, worked, left, stray, broken = found
                sent += 1
                ended[said.status] = ended.get(said.status, 0) + 1
                longest, most = max(longest, said.seconds), max(most, worked)
                running, lying = running + len(left), lying + len(stray)
                problems = defects(said, (0, 1, 2, 3, INTERRUPTED, -number)) + left + stray + broken
                # Work counts what children did before that are reaped only now; waiting counts the machine's load.
                problems += ["took too long"] * (min(worked, said.seconds) > STOP)
                if problems:
                    wrong.append(f"{command}, {number.name}: {problems}: {said.err[-600:]}")
                    print(wrong[-1], flush=True)
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(ended.items()))
        cells = [
            str(sent),
            statuses,
            duration(longest),
            duration(most),
            str(running),
            str(lying),
            str(len(wrong) - before),
        ]
        table.rows.append([f"`{command}`", *cells])
    table.note = (
        "SIGINT and SIGTERM, at moments spread over what the command does. 130: stopped before anything was known, and "
        "said so, and minus the signal where it fell before or after Python's own handling, which a shell shows as 130 "
        "too; 3: cannot tell, with the report on what was looked at. A signal waits for the end of what must not "
        "be cut short (an import, a compilation, one oracle's evidence)."
    )
    result.table(table)
    return wrong


def _stopped(
    arguments: list[Any], number: signal.Signals, after: float
) -> tuple[Said, float, list[str], list[str], list[str]] | None:
    """How a command ends that is sent a signal, and how much it still worked; None where it ended before."""
    word = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="stops-") as name:
        work, scratch = Path(name) / "work", Path(name) / "scratch"
        work.mkdir(), scratch.mkdir()
        furnish(work)
        there = {path.name for path in work.iterdir()}
        process = spawn(arguments, scratch, word, cwd=work)
        try:
            process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            pass
        else:
            return None
        start, worked = time.monotonic(), spent(process.pid)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        process.send_signal(number)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        worked = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime - worked
        said = Said(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"), seconds, 0)
        left = [f"runs on: {line}" for line in left_running(word)]
        outputs = {"out.json", "out.csv", "out.gif", "run.npz"}
        stray = [f"lies there: {path.name}" for path in scratch.iterdir()]
        stray += [f"lies there: {path.name}" for path in work.iterdir() if path.name not in there | outputs]
        broken = []
        if (work / "out.json").exists():
            try:
                json.loads((work / "out.json").read_text("utf-8"))
            except ValueError:
                broken.append("out.json is not whole")
        return said, worked, left, stray, broken


def children(result: Result) -> list[str]:
    """Files whose process is killed from outside, at some moments; what is wrong."""
    table = Table("A child that is killed", ["command", "killed", "said of that file alone", "exit status"])
    wrong: list[str] = []
    for command, folder in (("check mine.py", False), ("check class", True)):
        counts, ended = [0, 0], set()
        for k in range(1 if result.quick else 4):
            with tempfile.TemporaryDirectory(prefix="killed-") as name:
                work, scratch = Path(name) / "work", Path(name) / "scratch"
                work.mkdir(), scratch.mkdir()
                furnish(work)
                (work / "class" / "sleeps.py").unlink()
                word, victim = secrets.token_hex(8), "1.py" if folder else "mine.py"
                arguments = [*command.split(), "--json", "out.json", *([] if folder else ["--examples", "5000"])]
                process = spawn(arguments, scratch, word, cwd=work)
                killed = _kill(victim, 20.0, 0.05 + 0.4 * k)
                out, err = process.communicate(timeout=120)
                if not killed:
                    continue
                counts[0] += 1
                ended.add(process.returncode)
                if folder:
                    rows = json.loads((work / "out.json").read_text("utf-8"))["rows"]
                    verdicts = {row["file"]: row["verdict"] for row in rows}
                    known = verdicts.pop("1.py") in ("refused", "disagree")  # the latter where it was proven before
                    fine = known and verdicts == {"0.py": "agree", "2.py": "agree", "3.py": "disagree"}
                    fine &= any("SIGKILL" in row["note"] for row in rows)
                else:
                    fine = process.returncode == 2 and err.count(b"\n") == 1 and b"its process ended (SIGKILL)" in err
                counts[1] += fine
                if not fine or left_running(word):
                    wrong.append(f"{command}: {out[-800:]!r} {err[-500:]!r}")
                    print(wrong[-1], flush=True)
        table.rows.append([f"`{command}`", *map(str, counts), ", ".join(map(str, sorted(ended)))])
    table.note = (
        "SIGKILL from outside, as the kernel sends it where memory is short, at moments after the child's start."
    )
    result.table(table)
    return wrong


def _kill(victim: str, patience: float, after: float) -> bool:
    """Kill the process that runs a file, some time after it has started."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    line = (folder / "cmdline").read_bytes()
                    if b"gradlab.classroom.child" in line and f"/{victim}".encode() in line and b"killed-" in line:
                        time.sleep(after)
                        os.kill(int(folder.name), signal.SIGKILL)
                        return True
        time.sleep(0.005)
    return False


def main() -> None:
    """Run everything, and judge."""
    result = Result(__doc__.strip().splitlines()[0])
    failed = {"writes": writes(result), "stops": stops(result), "children": children(result)}
    result.data = failed
    names = {
        "writes": "a write that fails: old file whole, nothing else left, one line, exit status 2",
        "stops": f"a signal: ended within {STOP:g} s of work, no traceback, nothing left running or lying",
        "children": "a killed child is said of its file alone",
    }
    for name, wanted in names.items():
        result.target(f"faults.{name}", wanted, f"{len(failed[name])} defects", not failed[name])
    result.close()


if __name__ == "__main__":
    main()
