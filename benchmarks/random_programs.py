"""Does `check_gradient` believe every right gradient of 20,000 random programs, and no wrong one?

    python random_programs.py [--programs 20000] [--processes 2] [--keep FILE] [--resume] [--quick]

Each program is checked twice: as it is, and with one entry of the gradient off by a relative 1e-9. Every process works
through seeds of its own, one at a time; one that hangs or dies is replaced, and its seed is kept as a failure. What is
known is written to FILE twice a minute and at the end, whole; Ctrl-C ends the run with what it has. The exit status is
1 where a right gradient is called wrong, a wrong one is not, a check fails, or the run was interrupted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
import time
from collections import Counter
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from measure import TRIAL, Result, Table, duration
from programs import FORMS, program, wrong

import gradlab
from gradlab.files import write_json

PATIENCE = 120.0  # seconds for one program, right and wrong; a process that takes longer is ended
PROGRAMS_OF_A_PROCESS = 1000  # then a fresh one takes over
SAVE_EVERY = 30.0  # seconds
ENOUGH = 20_000  # programs; fewer that pass show nothing


def checked(seed: int) -> dict[str, Any]:
    """What the check says of the program of this seed, right and wrong."""
    said: dict[str, Any] = {"seed": seed}
    for kind, make in (("right", program), ("wrong", wrong)):
        given = make(seed)
        begun = time.perf_counter()
        try:
            report = gradlab.check_gradient(given.loss, given.grad, given.params, diagnosis=0)
        except Exception as problem:  # noqa: BLE001  whatever it is, it is kept, and the run goes on
            said[kind] = f"{type(problem).__name__}: {problem}"
        else:
            said[kind] = str(report.verdict)
        said[f"{kind} seconds"] = time.perf_counter() - begun
        said["forms"] = sorted(given.forms & FORMS)
        given.forget()
    return said


def work(pipe: Connection) -> None:
    """Check the programs of the seeds that come, until None comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first of them ends the others
    while (seed := pipe.recv()) is not None:
        pipe.send(checked(seed))


class Worker:
    """A process, the seed it is at, and since when."""

    def __init__(self) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.seed, self.since, self.left = -1, 0.0, PROGRAMS_OF_A_PROCESS

    def give(self, seed: int) -> None:
        self.seed, self.since = seed, time.monotonic()
        self.left -= 1
        self.pipe.send(seed)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


class Run:
    """Seeds that are to be done, and what became of the others.

    known: everything that is kept, as JSON.
    """

    def __init__(self, keep: Path, programs: int, resume: bool) -> None:
        self.keep = keep
        self.known: dict[str, Any] = {"done": [], "seconds": 0.0, "verdicts": {}, "seen": {}, "slowest": {}}
        self.known |= {"alarms": [], "missed": [], "cannot tell": [], "failures": []}
        if resume and keep.exists():
            self.known = json.loads(keep.read_text("utf-8"))
        self.done = {seed for first, last in self.known["done"] for seed in range(first, last)}
        self.todo = iter([seed for seed in range(programs) if seed not in self.done])
        self.begun, self.before, self.saved = time.monotonic(), self.known["seconds"], time.monotonic()

    def save(self) -> None:
        """Write all that is known; seeds that are done as ranges."""
        ranges: list[list[int]] = []
        for seed in sorted(self.done):
            if ranges and ranges[-1][1] == seed:
                ranges[-1][1] = seed + 1
            else:
                ranges.append([seed, seed + 1])
        self.known |= {"done": ranges, "seconds": round(self.before + time.monotonic() - self.begun, 1)}
        write_json(self.keep, self.known)
        self.saved = time.monotonic()

    def take(self, said: dict[str, Any]) -> None:
        """Count what was said of one seed."""
        seed = said["seed"]
        self.done.add(seed)
        for kind, other in (("right", "alarms"), ("wrong", "missed")):
            verdict = said[kind]
            known = verdict in ("agree", "disagree", "cannot tell")
            count(self.known["verdicts"].setdefault(kind, {}), verdict if known else "failure")
            if not known:
                self.known["failures"].append({"seed": seed, "kind": kind, "problem": verdict[:400]})
            elif verdict == ("disagree" if kind == "right" else "agree"):
                self.known[other].append(seed)
            elif verdict == "cannot tell":
                self.known["cannot tell"].append([kind, seed])
            seconds = round(said.get(f"{kind} seconds", 0.0), 3)
            if seconds > self.known["slowest"].get(kind, [0.0, 0])[0]:
                self.known["slowest"][kind] = [seconds, seed]
        for form in said.get("forms", ()):
            seen = self.known["seen"].setdefault(form, {"programs": 0, "right": 0, "wrong": 0})
            seen["programs"] += 1
            seen["right"] += said["right"] == "agree"
            seen["wrong"] += said["wrong"] == "disagree"

    def step(self, workers: list[Worker]) -> None:
        """Take what is ready, replace what hangs or died, and give each idle process its next seed."""
        ready = wait([worker.pipe for worker in workers if worker.seed >= 0], timeout=1.0)
        for worker in list(workers):
            problem = ""
            if worker.pipe in ready:
                try:
                    self.take(worker.pipe.recv())
                except EOFError:
                    problem = "the process died"
            elif worker.seed >= 0 and time.monotonic() - worker.since > PATIENCE:
                problem = f"takes more than {PATIENCE:g} s"
            elif worker.seed >= 0:
                continue
            if problem:
                self.take({"seed": worker.seed, "right": problem, "wrong": problem})
            if problem or worker.left == 0:
                worker.end()
                workers[workers.index(worker)] = worker = Worker()
            seed = next(self.todo, None)
            if seed is None:
                worker.end()
                workers.remove(worker)
            else:
                worker.give(seed)
        if time.monotonic() - self.saved > SAVE_EVERY:
            self.save()
            print(self.line(), flush=True)

    def line(self) -> str:
        known = self.known
        found = ", ".join(f"{len(known[what])} {what}" for what in ("alarms", "missed", "cannot tell", "failures"))
        return f"{known['seconds']:.0f} s: {len(self.done):,} programs, {found}"


def count(counts: dict[str, int], key: str) -> None:
    """One more of it."""
    counts[key] = counts.get(key, 0) + 1


def tabled(result: Result, run: Run) -> bool:
    """The tables and targets of what is known; whether the targets are met."""
    known, total = run.known, len(run.done)
    table = Table(
        f"{total:,} random programs, each right and with one entry off by 1e-9, in {duration(known['seconds'])}",
        ["gradient", "agree", "disagree", "cannot tell", "failure", "slowest"],
    )
    for kind, verdicts in known["verdicts"].items():
        counts = [f"{verdicts.get(one, 0):,}" for one in ("agree", "disagree", "cannot tell", "failure")]
        table.rows.append([kind, *counts, duration(known["slowest"].get(kind, [0.0])[0])])
    missing = sorted(FORMS - set(known["seen"]))
    table.note = (
        f"{len(known['seen'])} of {len(FORMS)} forms occur{': without ' + ', '.join(missing) if missing else ''}."
    )
    result.table(table)
    poor = Table(
        "Forms whose programs are judged right least often", ["form", "programs", "right agree", "wrong disagree"]
    )
    shares = {
        form: (seen["right"] / seen["programs"], seen["wrong"] / seen["programs"])
        for form, seen in known["seen"].items()
    }
    for form in sorted(shares, key=shares.__getitem__)[:12]:
        poor.rows.append([form, str(known["seen"][form]["programs"]), *(f"{share:.1%}" for share in shares[form])])
    result.table(poor)
    result.data |= known
    kinds = Counter(kind for kind, _ in known["cannot tell"])
    alarms, missed, failures = (len(known[what]) for what in ("alarms", "missed", "failures"))
    escaped, enough = missed + kinds["wrong"], total >= ENOUGH
    first = ", ".join(map(str, sorted(known["alarms"])[:5]))
    result.target(
        "programs.alarms",
        "no right gradient is called wrong, and no check fails",
        f"{alarms} of {total:,}{first and f' (seeds {first})'}; {kinds['right']} cannot tell, {failures} failures",
        not alarms and not failures if enough or alarms or failures else None,
    )
    result.target(
        "programs.missed",
        "every gradient with one entry off by a relative 1e-9 is called wrong",
        f"{missed} agree, {kinds['wrong']} cannot tell",
        not escaped if enough or escaped else None,
    )
    return not alarms and not failures and not escaped


def main() -> int:
    """Run until all seeds are done or it is stopped; returns the exit status."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--programs", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=TRIAL / "random_programs.state.json")
    parser.add_argument("--resume", action="store_true")
    given, sys.argv[1:] = parser.parse_known_args()
    result = Result(__doc__.strip().splitlines()[0])
    given.keep.parent.mkdir(parents=True, exist_ok=True)
    run = Run(given.keep, 20 if result.quick else given.programs, given.resume)
    workers = [Worker() for _ in range(given.processes)]
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, signal.default_int_handler)
    complete = False
    try:
        while workers:
            run.step(workers)
        complete = True
    except KeyboardInterrupt:
        print("interrupted: --resume goes on", flush=True)
        for worker in workers:
            worker.end()
    run.save()
    met = tabled(result, run)
    result.close()
    return 0 if met and complete else 1


if __name__ == "__main__":
    sys.exit(main())
