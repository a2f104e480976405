"""How every benchmark measures: candidates take turns (A B C A B C …), and a figure is a ratio within one run.

The candidates of one comparison run in one process. Before each turn comes a pause, in which the threads that another
library keeps spinning go to sleep, and one call that is not timed. What is reported of two candidates is the median of
the ratios of their turns in the same round, with the least and the largest of them, so that a load that comes and goes
does not decide.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
TRIAL = HERE.parent / "build" / "benchmarks"  # where a --quick run leaves its results, so that no real ones are lost
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
PACKAGES = ("numpy", "jax", "torch", "autograd", "scipy", "numdifftools", "python-flint", "hypothesis")

PAUSE = 0.01  # OpenBLAS, libgomp and XLA let idle threads spin for some milliseconds
TURN = 0.004  # seconds; a shorter call is repeated for as long


@dataclass(frozen=True)
class Spread:
    """A median with the least and the largest of `count` values."""

    median: float
    least: float
    largest: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        known = sorted(values)
        return cls(statistics.median(known), known[0], known[-1], len(known))

    def __str__(self) -> str:
        if self.count == 1:
            return number(self.median)
        return f"{number(self.median)} ({number(self.least)}–{number(self.largest)})"


class Times:
    """Seconds of one call of each candidate, round by round."""

    def __init__(self, turns: Mapping[str, Sequence[float]]) -> None:
        self.turns = turns

    def __contains__(self, name: str) -> bool:
        return name in self.turns

    def seconds(self, name: str) -> Spread:
        return Spread.of(self.turns[name])

    def ratio(self, name: str, other: str) -> Spread:
        """How many times `other` the candidate `name` takes, of the rounds that both took part in."""
        return Spread.of(a / b for a, b in zip(self.turns[name], self.turns[other], strict=False))

    def best(self, names: Iterable[str]) -> str:
        """The candidate of the smallest median."""
        return min(names, key=lambda name: statistics.median(self.turns[name]))

    def to_json(self) -> dict[str, Any]:
        return {name: asdict(self.seconds(name)) for name in self.turns}


def interleaved(
    candidates: Mapping[str, Callable[[], Any]], *, seconds: float = 4.0, rounds: int = 21, least: int = 3
) -> Times:
    """Time the candidates in turns, until `rounds` are done or `seconds` are over, but never fewer than `least` rounds.

    Where one round alone takes more than twice `seconds`, it is the only one.
    """
    calls: dict[str, int] = {}
    whole = 0.0
    for name, run in candidates.items():
        run()
        once = _timed(run, 1)
        whole += once
        calls[name] = max(1, min(10_000, int(TURN / max(once, 1e-7))))
    turns: dict[str, list[float]] = {name: [] for name in candidates}
    deadline = time.perf_counter() + seconds
    for done in range(rounds):
        if done >= (1 if whole > 2 * seconds else least) and time.perf_counter() > deadline:
            break
        for name, run in candidates.items():
            time.sleep(PAUSE)
            if calls[name] > 1:
                run()
            turns[name].append(_timed(run, calls[name]))
    return Times(turns)


def _timed(run: Callable[[], Any], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """p of the power law value = c · sizeᵖ, by least squares of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def number(value: float) -> str:
    """Three digits, as people write them."""
    if value != value or abs(value) == float("inf"):
        return "–"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    return f"{value:.{digits}f}"


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds / 1e-6)} µs"


def memory(size: float) -> str:
    """Bytes in the unit that suits them."""
    for unit, power in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= power:
            return f"{number(size / power)} {unit}"
    return f"{size:.0f} B"


@dataclass
class Table:
    """One table of the results page."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    note: str = ""

    def markdown(self) -> str:
        lines = ["| " + " | ".join(row) + " |" for row in (self.columns, *self.rows)]
        lines.insert(1, "|" + " --- |" + " ---: |" * (len(self.columns) - 1))
        parts = [f"**{self.title}**", "\n".join(lines), self.note]
        return "\n\n".join(part for part in parts if part)


@dataclass
class Target:
    """A target, and what this run gave. met is None where it could not be measured."""

    name: str
    wanted: str
    figure: str
    met: bool | None


class Result:
    """What one benchmark found: its tables and targets, printed as they come and kept as JSON."""

    def __init__(self, question: str) -> None:
        self.question = question
        self.name = Path(sys.argv[0]).stem
        self.quick = is_quick(question)
        self.place = TRIAL if self.quick else HERE
        self.tables: list[Table] = []
        self.targets: list[Target] = []
        self.data: dict[str, Any] = {}
        self._begun, self._load = time.perf_counter(), os.getloadavg()[0]
        print(f"== {question}\n{described(machine())}", flush=True)

    def table(self, table: Table) -> None:
        self.tables.append(table)
        print(f"\n{table.markdown()}", flush=True)

    def target(self, name: str, wanted: str, figure: str, met: bool | None) -> None:
        self.targets.append(Target(name, wanted, figure, None if met is None else bool(met)))
        print(f"\n{name}: {wanted}; {figure}: {'not measured' if met is None else 'met' if met else 'MISSED'}")

    def close(self) -> None:
        """Write the JSON."""
        spent = time.perf_counter() - self._begun
        kept = {
            "question": self.question,
            "quick": self.quick,
            "seconds": round(spent, 1),
            "load": {"before": round(self._load, 2), "after": round(os.getloadavg()[0], 2)},
            "machine": machine(),
            "tables": [asdict(table) for table in self.tables],
            "targets": [asdict(target) for target in self.targets],
            "data": self.data,
        }
        folder = self.place / "results"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")
        print(f"\n{self.name}: {spent:.0f} s", flush=True)


def is_quick(description: str) -> bool:
    """Whether the command line asks for a trial run."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="tiny settings: does it run, not what are the figures")
    return bool(parser.parse_args().quick)


def machine() -> dict[str, Any]:
    """What the figures depend on, and nothing that names the machine."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ},
    }


def described(known: Mapping[str, Any]) -> str:
    """The machine in two lines."""
    versions = ", ".join(f"{name} {number}" for name, number in known["versions"].items())
    threads = ", ".join(f"{name}={number}" for name, number in known["threads"].items())
    lines = [f"{known['processor']}, {known['cores']} cores, {known['system']}, Python {known['python']}", versions]
    return "\n".join([*lines, f"set for this run: {threads}"] if threads else lines)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
