"""How many generated examples a second go through all oracles, and how long does each command take to start?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from measure import HERE, Result, Spread, Table, duration, interleaved, number

from gradlab.cells import CELLS

FIRST = 10.0
SECONDS = 25.0
BATCH = 100  # examples of one check; one addition goes with every 20
GRADLAB = Path(sys.executable).with_name("gradlab")
COMMANDS = {
    "check": ["check", "--cell", "rnn", "--examples", "1"],
    "compare": ["compare"],
    "train": ["train", "--epochs", "1"],
    "draw": ["draw", "network", "-o", "network.png"],
    "verify": ["verify", str(HERE.parent / "derivations" / "gates.md")],
    "mistakes": ["mistakes", "--cell", "rnn"],
    "exercise": ["exercise", "rnn", "-o", "exercise.py"],
}


def child(cell: str, begun: float, seconds: float) -> None:
    """In a process of its own: check until `seconds` after `begun`; prints when each was done, and if an addition."""
    from gradlab import check

    done: list[tuple[float, bool]] = []

    def progress(name: str, problems: int, total: int) -> None:
        done.append((time.time() - begun, problems <= total - BATCH))
        if done[-1][0] > seconds:
            raise KeyboardInterrupt

    seed = 0
    while not done or done[-1][0] <= seconds:
        check(cell, examples=BATCH, seed=seed, progress=progress)
        seed += 1
    print(json.dumps(done))


def rates(cell: str, seconds: float, first: float) -> dict[str, float]:
    """Problems a second: in the `first` seconds of the process, then steadily, and the generated ones alone."""
    code = f"import throughput; throughput.child({cell!r}, {time.time()!r}, {seconds!r})"
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-c", code]
        ran = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"throughput: {cell}: {ran.stderr.strip().splitlines()[-1]}")
    done = json.loads(ran.stdout.splitlines()[-1])
    steady = [(at - before, addition) for (before, _), (at, addition) in pairwise(done) if before >= first]
    generated = [taken for taken, addition in steady if not addition]
    return {
        "first": sum(at <= first for at, _ in done) / first,
        "steady": len(steady) / max(sum(taken for taken, _ in steady), 1e-9),
        "generated": len(generated) / max(sum(generated), 1e-9),
        "problems": len(done),
        "first problem": done[0][0],
    }


def of_examples(result: Result) -> None:
    """Examples a second of every cell."""
    seconds, first = (6.0, 3.0) if result.quick else (SECONDS, FIRST)
    table = Table(
        "Examples a second through all four oracles, one process",
        [
            "cell",
            f"first {first:.0f} s",
            "steady state",
            "generated ones alone",
            "steady over first",
            "first verdict after",
        ],
    )
    for cell in ("rnn",) if result.quick else tuple(CELLS):
        found = result.data[cell] = rates(cell, seconds, first)
        shown = [number(found[name]) for name in ("first", "steady", "generated")]
        ratio = number(found["steady"] / found["first"]) if found["first"] else "–"
        table.rows.append([cell, *shown, ratio, duration(found["first problem"])])
        print(f"{cell}: {found}", flush=True)
    table.note = (
        f"`gradlab.check` on {BATCH} generated examples and their additions, again and again with new seeds; the first "
        f"{first:.0f} s count from the start of the process, so they include imports and compilation."
    )
    result.table(table)
    if "rnn" in result.data:
        found = result.data["rnn"]
        figure = f"{number(found['steady'])} a second; {number(found['generated'])} without the additions"
        wanted = "≥ 100 generated examples/s steady state, RNN, four oracles"
        result.target("throughput.rnn", wanted, figure, found["generated"] >= 100)


def of_starts(result: Result) -> None:
    """Seconds from nothing to the end of each command."""
    help_text = subprocess.run([GRADLAB, "--help"], capture_output=True, text=True, check=True).stdout
    known = {line.split()[0] for line in help_text.splitlines() if line.startswith("  ") and line.strip()}
    lines = {"python -c pass": [sys.executable, "-c", "pass"]}
    lines["python -c 'import numpy'"] = [sys.executable, "-c", "import numpy"]
    lines["gradlab --help"] = [str(GRADLAB), "--help"]
    lines |= {_said(words): [str(GRADLAB), *words] for name, words in COMMANDS.items() if name in known}
    environment = {**os.environ, "COLUMNS": "100"}
    with tempfile.TemporaryDirectory() as folder:

        def runner(words: list[str]) -> Any:
            def run() -> None:
                subprocess.run(words, cwd=folder, env=environment, capture_output=True, check=False)

            return run

        for said, words in lines.items():
            ran = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            if ran.returncode not in (0, 1, 3):
                raise SystemExit(f"throughput: {said}: exit {ran.returncode}: {ran.stderr.strip()[-200:]}")
        candidates = {said: runner(words) for said, words in lines.items()}
        times = interleaved(candidates, seconds=1.0 if result.quick else 40.0, rounds=7, least=1 if result.quick else 3)
        start = time.perf_counter()
        if not result.quick:
            runner([str(GRADLAB), "check", "--cell", "rnn", "--examples", "100"])()
        hundred = time.perf_counter() - start
    table = Table("Cold start", ["command", "seconds", "over `python -c 'import numpy'`"])
    for said in candidates:
        table.rows.append([f"`{said}`", str(times.seconds(said)), str(times.ratio(said, "python -c 'import numpy'"))])
    table.note = "Each in a process of its own, in turns; files already in the system's cache."
    absent = [name for name in COMMANDS if name not in known]
    if absent:
        table.note += f" Not in this version: {', '.join(absent)}."
    result.table(table)
    result.data["starts"] = times.to_json()
    helped: Spread = times.seconds("gradlab --help")
    result.target("start.help", "gradlab --help in under 0.3 s", f"{helped} s", helped.median < 0.3)
    wanted = "100 generated examples through four oracles in under 10 s, imports included"
    result.target(
        "start.hundred", wanted, "–" if result.quick else f"{number(hundred)} s", None if result.quick else hundred < 10
    )


def _said(words: list[str]) -> str:
    """A command as it is typed, paths by their last part."""
    return " ".join(["gradlab", *(Path(word).name for word in words)])


def main() -> None:
    """Measure, judge, draw, keep."""
    result = Result(__doc__.strip())
    of_examples(result)
    of_starts(result)
    result.close()


if __name__ == "__main__":
    main()
