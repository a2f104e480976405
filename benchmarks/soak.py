"""Does `gradlab check --cell all`, run for an hour in one process, raise a false alarm, grow, or hang?

    python soak.py [--minutes 60] [--examples 100000] [--keep FILE] [--resume] [--quick]

What is known is written to FILE after every round, whole; Ctrl-C or a SIGTERM ends the run with what it has.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from measure import TRIAL, Result, Table, duration, memory, number

import gradlab
from gradlab.files import write_json
from gradlab.reference import twin

ROUND = 100  # examples of each cell: what the command does by default
PATIENCE = 60.0  # seconds; an example that takes longer is said to hang
WARM = 0.5  # of the samples of memory are left out: until then shapes are compiled, and caches fill
SLOPE_LIMIT = 0.05  # of the memory held, for as many examples as were run after the warm-up


class Soak:
    """Rounds of `check`, each of another seed, and what became of them.

    known: everything that is kept, as JSON: it grows by one sample of memory a round.
    """

    def __init__(self, keep: Path, resume: bool) -> None:
        self.keep = keep
        self.lock = threading.Lock()
        self.known: dict[str, Any] = {
            "next_seed": 0,
            "seconds": 0.0,
            "examples": {},
            "verdicts": {},
            "entries": {},
            "alarms": [],
            "failures": [],
            "hangs": [],
            "slowest": {},
            "samples": [],
            "processes": 0,
        }
        if resume:
            self.known = json.loads(keep.read_text("utf-8"))
        self.known["processes"] += 1
        self.begun = time.monotonic()
        self.before = self.known["seconds"]
        self.example = ("", 0, time.monotonic())

    def save(self) -> None:
        """Write all that is known."""
        with self.lock:
            self.known["seconds"] = round(self.before + time.monotonic() - self.begun, 1)
            write_json(self.keep, self.known)

    def round(self) -> None:
        """One run of what `gradlab check --cell all` runs, and a sample of memory after it."""
        seed = self.known["next_seed"]
        counted: Counter[str] = Counter()

        def progress(cell: str, done: int, total: int) -> None:
            now = time.monotonic()
            took = now - self.example[2]
            slowest = self.known["slowest"]
            if done > 1 and took > slowest.get(cell, {"seconds": 0.0})["seconds"]:
                slowest[cell] = {"seconds": round(took, 3), "seed": seed, "problem": done}
            counted[cell] += 1
            self.known["examples"][cell] = self.known["examples"].get(cell, 0) + 1
            self.example = (cell, done, now)

        self.example = ("", 0, time.monotonic())
        try:
            report = gradlab.check("all", examples=ROUND, seed=seed, progress=progress)
        except Exception:  # noqa: BLE001  a defect is what is looked for; it is kept, and the run goes on
            self.known["failures"].append({"seed": seed, "after": dict(counted), "traceback": traceback.format_exc()})
        else:
            for cell, found in report.cells.items():
                verdicts = self.known["verdicts"].setdefault(cell, {})
                verdicts[str(found.verdict)] = verdicts.get(str(found.verdict), 0) + 1
                self.known["entries"][cell] = self.known["entries"].get(cell, 0) + found.entries
                if found.counterexample is not None or found.verdict == "disagree":
                    self.known["alarms"].append({"seed": seed, "cell": cell, "report": found.to_json()})
            if report.interrupted:
                raise KeyboardInterrupt
        self.known["next_seed"] = seed + 1
        self.sample()
        self.save()

    def sample(self) -> None:
        """What this process holds now."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.known["samples"].append({
            "process": self.known["processes"],
            "examples": sum(self.known["examples"].values()),
            "seconds": round(self.before + time.monotonic() - self.begun, 1),
            "resident": pages * os.sysconf("SC_PAGESIZE"),
            "objects": len(gc.get_objects()),
            "compiled": twin._derivatives._cache_size() + twin._jacobians._cache_size(),
            "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        })  # fmt: skip

    def watch(self) -> None:
        """Say of an example, once, that it takes more than PATIENCE, and where it is; in a thread of its own."""
        said: tuple[str, int, float] | None = None
        while True:
            time.sleep(1.0)
            cell, done, since = current = self.example
            if time.monotonic() - since > PATIENCE and current != said:
                said = current
                frame = sys._current_frames().get(threading.main_thread().ident or 0)
                stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
                self.known["hangs"].append({"seed": self.known["next_seed"], "after": [cell, done], "stack": stack})
                self.save()


def slope(samples: list[dict[str, Any]], what: str) -> dict[str, float]:
    """Growth for each example, by least squares, with its standard error.

    Consecutive samples are alike, so the error is widened by the correlation of neighbouring residuals: as many of them
    count as would be independent.
    """
    kept = samples[int(len(samples) * WARM) :]
    x = np.array([sample["examples"] for sample in kept], float)
    y = np.array([sample[what] for sample in kept], float)
    if len(kept) < 4 or np.ptp(y) == 0:
        return {"slope": 0.0, "error": 0.0 if len(kept) >= 4 else float("inf"), "over": float(np.ptp(x))}
    x = x - x.mean()
    rate = float(x @ y / (x @ x))
    residual = y - y.mean() - rate * x
    alike = max(0.0, float(residual[1:] @ residual[:-1] / (residual @ residual)))
    error = np.sqrt(residual @ residual / (len(x) - 2) / (x @ x) * (1 + alike) / max(1 - alike, 1e-3))
    return {"slope": rate, "error": float(error), "over": float(np.ptp(x))}


def tabled(result: Result, known: dict[str, Any]) -> None:
    """The tables and targets of what is known."""
    cells = list(known["examples"])
    table = Table(
        f"`check --cell all`, {sum(known['examples'].values()):,} examples in {duration(known['seconds'])}",
        ["cell", "examples", "verdicts passed on entries", "false alarms", "slowest example"],
    )
    for cell in cells:
        alarms = sum(alarm["cell"] == cell for alarm in known["alarms"])
        slowest = duration(known["slowest"][cell]["seconds"]) if cell in known["slowest"] else "–"
        entries = f"{known['entries'].get(cell, 0):,}"
        table.rows.append([cell, f"{known['examples'][cell]:,}", entries, str(alarms), slowest])
    table.note = (
        f"One process, seeds 0 to {known['next_seed'] - 1}, {ROUND} generated problems and "
        f"{1 + ROUND // 20} additions of each cell for each seed, four oracles."
    )
    result.table(table)
    last = [sample for sample in known["samples"] if sample["process"] == known["processes"]]
    held = Table("What the process holds after a round", ["", "first", "after the warm-up", "last", "growth"])
    slopes = {}
    for what, shown in (("resident", memory), ("objects", number), ("compiled", number), ("descriptors", number)):
        if not last:
            continue
        slopes[what] = fitted = slope(last, what)
        middle = last[int(len(last) * WARM)]
        per = f"{shown(abs(fitted['slope']) * 1e4)} ± {shown(2 * fitted['error'] * 1e4)} for 10,000 examples"
        sign = "−" if fitted["slope"] < 0 else ""
        held.rows.append([what, shown(last[0][what]), shown(middle[what]), shown(last[-1][what]), sign + per])
    held.note = (
        "Sampled after each round, after a garbage collection. The growth is fitted to the second half of the samples, "
        "± two standard errors, which count correlated samples as fewer."
    )
    result.table(held)
    result.data |= known | {"slopes": slopes}
    total = sum(known["examples"].values())
    alarms, failures, hangs = len(known["alarms"]), len(known["failures"]), len(known["hangs"])
    long_enough = known["seconds"] >= 3600 or total >= 100_000
    verdicts = Counter[str]()
    for by in known["verdicts"].values():
        verdicts.update(by)
    said = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    result.target(
        "soak.alarms",
        "an hour or 100,000 examples without a false alarm",
        f"{alarms} alarms, {failures} failures in {total:,} examples, {duration(known['seconds'])}; rounds: {said}",
        (not alarms and not failures) if long_enough or alarms or failures else None,
    )
    result.target(
        "soak.hangs",
        f"no example takes {PATIENCE:g} s",
        f"{hangs} do; the slowest {duration(max((s['seconds'] for s in known['slowest'].values()), default=0.0))}",
        not hangs if long_enough or hangs else None,
    )
    if slopes:
        resident = slopes["resident"]
        grown = (resident["slope"] - 2 * resident["error"]) * resident["over"]
        result.target(
            "soak.memory",
            f"growth of memory, where it is significant, is below {SLOPE_LIMIT:.0%} of what is held",
            f"{memory(max(grown, 0.0))} at least, of {memory(last[-1]['resident'])}",
            grown < SLOPE_LIMIT * last[-1]["resident"] if long_enough else None,
        )


def main() -> None:
    """Run until it is time, it is enough, or it is stopped."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, default=TRIAL / "soak.state.json")
    parser.add_argument("--resume", action="store_true")
    given, sys.argv[1:] = parser.parse_known_args()
    result = Result(__doc__.strip().splitlines()[0])
    minutes = 0.5 if result.quick else given.minutes
    given.keep.parent.mkdir(parents=True, exist_ok=True)
    for stopping in (signal.SIGINT, signal.SIGTERM):  # which `check` takes between two pieces of work
        signal.signal(stopping, signal.default_int_handler)
    soak = Soak(given.keep, given.resume)
    threading.Thread(target=soak.watch, daemon=True).start()
    try:
        while soak.known["seconds"] < minutes * 60 and sum(soak.known["examples"].values()) < given.examples:
            soak.round()
            sample = soak.known["samples"][-1]
            print(
                f"{sample['seconds']:.0f} s: {sample['examples']:,} examples, {len(soak.known['alarms'])} alarms, "
                f"{len(soak.known['failures'])} failures, {len(soak.known['hangs'])} hangs, "
                f"{memory(sample['resident'])}, {sample['objects']:,} objects, {sample['compiled']} compiled",
                flush=True,
            )
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    soak.example = ("", 0, float("inf"))
    soak.save()
    tabled(result, soak.known)
    result.close()


if __name__ == "__main__":
    main()
