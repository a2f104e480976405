"""Write the results page, README.md, from the JSON of the benchmarks: targets beside figures, then the tables."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import plots
from measure import HERE, TRIAL, described, is_quick

# In the order of the page; whatever else lies beside them comes after.
ORDER = ("gradient_time", "check_time", "detection", "growth", "throughput", "training_time", "frameworks", "grading")
ROBUSTNESS = ("soak", "faults", "fuzz")

INTRODUCTION = """\
# Benchmarks

gradlab side by side with its peers, on one page that anyone can re-run: `make bench` installs the `bench` extra into an
environment of its own, `.venv-bench`, runs the scripts of this folder, and writes this page. What takes longer has its
own targets: `make soak` runs the checks for an hour, `make faults` stops, starves and feeds every command badly. One
script answers one question; its figures lie beside it as JSON in `results/`. `make bench BENCH_FLAGS=--quick` only
tries whether all of it runs, and leaves what it finds in `build/benchmarks/`.

Every comparison is made within one run: the candidates take turns (A B C A B C …) in one process, with a pause before
each turn, and a figure such as 0.83 (0.80–0.91) is the median of the ratios of turns in the same round, with the least
and the largest of them. Absolute times stand beside the ratios for orientation only; they are this machine's.
"""


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """What each benchmark found, by its name, in the order of the page."""
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}
    found = {name: one for name, one in found.items() if "tables" in one}
    return {
        name: found[name]
        for name in (*ORDER, *ROBUSTNESS, *sorted(found.keys() - {*ORDER, *ROBUSTNESS}))
        if name in found
    }


def reasons() -> dict[str, str]:
    """Why a target was missed, by the target's name or the beginning of it: the longest that fits counts."""
    return tomllib.loads((HERE / "misses.toml").read_text("utf-8"))["misses"]


def reason(name: str, known: dict[str, str]) -> str:
    """The line for one target, or nothing."""
    fitting = [start for start in known if name == start or name.startswith(f"{start}.")]
    return known[max(fitting, key=len)] if fitting else ""


def targets(found: dict[str, dict[str, Any]]) -> str:
    """Every target with its figure."""
    known = reasons()
    rows = ["| target | wanted | this run | | why missed |", "| --- | --- | --- | --- | --- |"]
    for one in found.values():
        for target in one["targets"]:
            met = {True: "met", False: "**missed**", None: "not measured"}[target["met"]]
            why = "" if target["met"] else reason(target["name"], known)
            rows.append(f"| {target['name']} | {target['wanted']} | {target['figure']} | {met} | {why} |")
    held = [target["met"] for one in found.values() for target in one["targets"]]
    count = f"{held.count(True)} met, {held.count(False)} missed, {held.count(None)} not measured."
    return "\n".join(["## Targets", "", count, "", *rows])


def machines(found: dict[str, dict[str, Any]]) -> str:
    """Where it was measured, and under which load: a figure taken on a busy machine says so."""
    said = list(dict.fromkeys(described(one["machine"]) for one in found.values()))
    lines = ["## Machine", "", *("  \n".join(each.splitlines()) for each in said), ""]
    lines += ["| script | seconds | load before | load after |", "| --- | ---: | ---: | ---: |"]
    for name, one in found.items():
        lines.append(f"| {name}.py | {one['seconds']:.0f} | {one['load']['before']} | {one['load']['after']} |")
    whole = sum(one["seconds"] for one in found.values())
    cores = min(one["machine"]["cores"] for one in found.values())
    lines += [
        "",
        f"Together {whole / 60:.1f} minutes. A load (processes that want to run) that stays below {cores} is a quiet",
    ]
    lines[-1] += " machine's; above, the other processes are in the figures, most of all in what runs on all cores."
    return "\n".join(lines)


def section(place: Path, name: str, one: dict[str, Any]) -> str:
    """One benchmark: its question, its tables, its figures."""
    parts = [f"## {one['question']}", f"`{name}.py`, [results/{name}.json](results/{name}.json)"]
    for table in one["tables"]:
        lines = ["| " + " | ".join(row) + " |" for row in (table["columns"], *table["rows"])]
        lines.insert(1, "|" + " --- |" + " ---: |" * (len(table["columns"]) - 1))
        parts += [f"**{table['title']}**", "\n".join(lines), table["note"]]
    for figure in plots.DRAWN.get(name, lambda data: iter(()))(one["data"]):
        figure.drawn.savefig(place / "figures" / f"{figure.name}.png", dpi=110, bbox_inches="tight")
        parts.append(f"![{figure.says}](figures/{figure.name}.png)")
    return "\n\n".join(part for part in parts if part)


def main() -> None:
    """Read the JSON, write the page."""
    place = TRIAL if is_quick(__doc__.strip()) else HERE
    found = results(place / "results")
    if not found:
        raise SystemExit(f"page: there are no results in {place.name}/results: run the benchmarks first")
    (place / "figures").mkdir(exist_ok=True)
    parts = [INTRODUCTION.strip(), targets(found), machines(found), *(section(place, *each) for each in found.items())]
    (place / "README.md").write_text("\n\n".join(parts) + "\n", "utf-8")
    print(f"{place.name}/README.md: {len(found)} results")


if __name__ == "__main__":
    main()
