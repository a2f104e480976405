"""Reports as a person reads them: rich tables, and the same as plain text and as HTML.

What is shown is a `Report`, with its `CellReport`s, or a `Comparison`, of `gradlab.checker.report`, which imports this.
"""

from __future__ import annotations

import json
import textwrap
from typing import Any

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from gradlab.checker.verdict import Judged, Tally, Verdict
from gradlab.rendering import as_html, as_text

STYLES = {Verdict.AGREE: "green", Verdict.DISAGREE: "bold red", Verdict.CANNOT_TELL: "yellow"}
WIDTH = 100


def shown(what: Any) -> Group:
    """What the console prints of a Report or a Comparison."""
    return _report(what) if hasattr(what, "cells") else _comparison(what)


def text(what: Any) -> str:
    """The same as plain text."""
    return as_text(shown(what), WIDTH)


def html(what: Any) -> str:
    """The same for a notebook's output cell."""
    return as_html(shown(what), WIDTH)


def _report(report: Any) -> Group:
    parts: list[Any] = [part for cell in report.cells.values() for part in _cell(cell)]
    problems = sum(cell.problems for cell in report.cells.values())
    verdict = report.verdict
    line = Text(f"{verdict}", style=STYLES[verdict])
    line.append(f"   {problems} problems, seed {report.seed}, {report.seconds:.1f} s", style="dim")
    if report.interrupted:
        line.append("   interrupted: not everything was looked at", style="yellow")
    return Group(*parts, line)


def _cell(cell: Any) -> list[Any]:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("equation")
    for oracle in cell.oracles:
        table.add_column(oracle.replace("_", " "), justify="right")
    table.add_column("verdict")
    for name, tallies in cell.quantities.items():
        verdict = cell.verdict_of(name)
        cells = [_worst(tallies[oracle]) if oracle in tallies else Text("") for oracle in cell.oracles]
        table.add_row(cell.cell.quantities[name].label, *cells, Text(verdict, style=STYLES[verdict]))
    parts: list[Any] = [Text(f"{cell.cell.name} · {cell.origin}", style="bold"), Text(""), table, Text("")]
    parts.append(
        Text("The worst distance from each oracle, in units of the bound derived for it: over 1 is wrong.", "dim")
    )
    parts += [Text(line, style="dim") for line in _undecided(cell)]
    if cell.counterexample is not None:
        parts += [Text(""), *_counterexample(cell.counterexample, cell.diagnosis)]
    return [*parts, Text("")]


def _worst(tally: Tally) -> Text:
    if tally.disagree:
        return Text(f"{_number(tally.worst_in_bounds)} ✗", style=STYLES[Verdict.DISAGREE])
    if not tally.probed:
        return Text("?", style=STYLES[Verdict.CANNOT_TELL])
    return Text(_number(tally.worst_in_bounds))


def _number(worst: float) -> str:
    return f"{worst:.2f}" if worst < 1000 else f"{worst:.0e}"


def _undecided(cell: Any) -> list[str]:
    """Why entries are left undecided, oracle by oracle."""
    lines = []
    total = cell.entries
    for oracle in cell.oracles:
        count = cell.undecided(oracle)
        if count:
            proven = oracle == "certified"
            why = "both enclosures hold 0 at the last precision" if proven else "below what float64 resolves"
            lines.append(f"{oracle.replace('_', ' ')} cannot tell {count:,} entries: {why}.")
    return [*lines, f"{total:,} entries judged."]


def _counterexample(comparison: Any, diagnosis: Any = None) -> list[Any]:
    problem, first = comparison.problem, comparison.first_wrong
    parts: list[Any] = [Text(str(first or f"{comparison.label} disagrees"), style="bold red")]
    if first is not None:
        equation = comparison.cell.equations[first.label]
        where = f"{first.label}{list(first.index)}"
        if diagnosis is None or not diagnosis.hint:
            parts.append(Text(f"  the equation   {equation.text}"))
            parts.append(Text(f"  at {where}   is {_ball(first.value)}, should be {_ball(first.wanted)}"))
    if diagnosis is not None:
        parts += [Text(f"  {line}") for line in str(diagnosis).splitlines()]
    sizes = "  ".join(f"{letter}={size}" for letter, size in problem.sizes.items())
    parts.append(Text(f"  on the smallest problem found   {sizes}   {problem.dtype}"))
    for name, array in problem.arrays().items():
        parts.append(Text(f"    {name} = {json.dumps(array.tolist())}"))
    return parts


def _ball(value: Any) -> str:
    ball = getattr(value, "arb", value)
    return ball.str(12, radius=False) if hasattr(ball, "str") else f"{ball}"


def _comparison(comparison: Any) -> Group:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("quantity")
    table.add_column("t", justify="right")
    table.add_column("largest entry", justify="right")
    oracles = list(comparison.evidence)
    for oracle in oracles:
        table.add_column(oracle.replace("_", " "), justify="right")
    table.add_column("verdict")
    for name, by_oracle in comparison.judged.items():
        value, timed = comparison.values[name], "T" in comparison.cell.quantities[name].axes
        for t in range(len(value)) if timed else [slice(None)]:
            part = value[t]
            largest = part.flat[np.abs(part).argmax()]
            digits = [_digits(by_oracle[oracle], t) if oracle in by_oracle else "" for oracle in oracles]
            verdict = _verdict(by_oracle.values(), t)
            first = name if t in (0, slice(None)) else ""
            step = str(t) if timed else ""
            table.add_row(first, step, f"{largest:.9g}", *digits, Text(verdict, style=STYLES[verdict]))
    verdict = comparison.verdict
    sizes = "  ".join(f"{letter}={size}" for letter, size in comparison.problem.sizes.items())
    parts: list[Any] = [Text(f"{comparison.cell.name}   {sizes}   {comparison.problem.dtype}", "bold"), Text(""), table]
    parts += [Text(""), Text("Digits to which each oracle agrees, the worst entry; ? where it cannot tell.", "dim")]
    if verdict is Verdict.DISAGREE:
        parts += _counterexample(comparison)
    return Group(*parts, Text(verdict, style=STYLES[verdict]))


def _digits(judged: Judged, t: Any) -> str:
    """To how many digits the worst entry agrees."""
    undecided, distance, scale = judged.undecided[t], judged.distance[t], judged.scale[t]
    if np.all(scale == 0):
        return "0 = 0"
    decided = ~undecided & (scale > 0)
    if not decided.any():
        return "?"
    with np.errstate(divide="ignore", invalid="ignore"):
        worst = np.where(distance > 0, -np.log10(distance / scale), 17.0)[decided].min()
    return f"{max(0.0, min(worst, 17.0)):.1f}" + ("?" if undecided.any() else "")


def _verdict(judged: Any, t: Any) -> Verdict:
    """Over the oracles, for the entries of one step: zero everywhere is agreement here, as every oracle says so."""
    parts = list(judged)
    if any(one.disagree[t].any() for one in parts):
        return Verdict.DISAGREE
    return Verdict.AGREE if any(one.agree[t].all() for one in parts) else Verdict.CANNOT_TELL


def trace(comparison: Any) -> str:
    """Every value of every quantity that has a time axis, step by step: of the first sample of the batch."""
    lines = []
    for t in range(comparison.problem.sizes["T"]):
        lines.append(f"step {t}")
        given = {"x": comparison.problem.x, "y": comparison.problem.y}
        for name, value in (given | comparison.values).items():
            quantity = comparison.cell.quantities.get(name)
            if quantity is None or quantity.axes[:2] == ("T", "B"):
                row = " ".join(f"{number:10.6f}" for number in np.ravel(value[t, 0]))
                lines.append(textwrap.fill(row, WIDTH, initial_indent=f"  {name:<16}", subsequent_indent=" " * 18))
    return "\n".join(lines)
