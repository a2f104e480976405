"""A gradient's report as a person reads it: a rich table, and the same as plain text and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from gradlab.checker.verdict import Tally, Verdict
from gradlab.gradients.findings import NEARLY, Findings, LeafReport
from gradlab.rendering import as_html, as_text

STYLES = {Verdict.AGREE: "green", Verdict.DISAGREE: "bold red", Verdict.CANNOT_TELL: "yellow"}
WIDTH = 110
TITLES = {"float_run": "float run", "complex_step": "complex step", "finite_difference": "differences"}


def shown(report: Findings, hints: Sequence[str], diagnosis: Sequence[str]) -> Group:
    """What the console prints of a report."""
    parts: list[Any] = [_headline(report)]
    parts += [Text(line, style="bold cyan") for line in diagnosis]
    parts += [Text(f"hint: {hint}", style="cyan") for hint in hints]
    parts += [Text(line, style="yellow") for line in _nearly(report)]
    parts += [Text(""), _table(report), Text("")]
    parts.append(
        Text("Digits to which each oracle agrees, the worst entry; ✗ entries that disagree; ? cannot tell.", "dim")
    )
    parts += [Text(line, style="dim") for line in (*_oracles(report), *_points(report))]
    parts += [Text(f"note: {note}", style="yellow") for note in (*report.notes, *_kinks(report), *_untold(report))]
    for leaf in sorted(report.leaves.values(), key=_residual):
        parts += _worst(report, leaf)
    return Group(*parts)


def text(report: Findings, hints: Sequence[str], diagnosis: Sequence[str]) -> str:
    """The same as plain text."""
    return as_text(shown(report, hints, diagnosis), WIDTH)


def html(report: Findings, hints: Sequence[str], diagnosis: Sequence[str]) -> str:
    """The same for a notebook's output cell."""
    return as_html(shown(report, hints, diagnosis), WIDTH)


def _headline(report: Findings) -> Text:
    verdict = report.verdict
    line = Text(str(verdict), style=STYLES[verdict])
    said = report.conventions.described()
    if verdict is Verdict.AGREE:
        line.append(f"   to {_number(report.digits)} digits", style="green")
        if report.untold:
            line.append(f"; {report.untold} of {report.size} entries cannot be told", style="yellow")
    elif verdict is Verdict.DISAGREE:
        line.append("   proven wrong" if report.proven else "   beyond every error bound", style="bold red")
    line.append(f"   {report.size} entries{f', {said}' if said else ''}, {report.seconds * 1000:.0f} ms", style="dim")
    return line


def _table(report: Findings) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("leaf")
    table.add_column("shape")
    for oracle in report.oracles:
        table.add_column(TITLES.get(oracle, oracle), justify="right")
    for name in ("cosine", "factor", "residual"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for leaf in sorted(report.leaves.values(), key=_residual):
        cells = [_cell(leaf.tallies[o], leaf.digits[o]) if o in leaf.tallies else Text("") for o in report.oracles]
        alike = [leaf.likeness.cosine, leaf.likeness.factor, leaf.likeness.residual]
        values = [
            "" if v is None else f"{v:.6f}" if i == 0 else f"{v:.6g}" if i == 1 else f"{v:.1e}"
            for i, v in enumerate(alike)
        ]
        verdict = Text("zero" if leaf.zero else str(leaf.verdict), style="dim" if leaf.zero else STYLES[leaf.verdict])
        table.add_row(leaf.path, str(leaf.shape), *cells, *values, verdict)
    return table


def _residual(leaf: LeafReport) -> float:
    """The order of the table: what is furthest from right first; leaves that agree as they come."""
    if leaf.verdict is not Verdict.DISAGREE:
        return 1.0
    return -(leaf.likeness.residual or 0.0) - abs((leaf.likeness.factor or 0.0) - 1.0)


def _nearly(report: Findings) -> list[str]:
    """Leaves that are off by so little that they must not drown the others."""
    off = {path: report.off(path) for path, leaf in report.leaves.items() if leaf.verdict is Verdict.DISAGREE}
    return [
        f"nearly right: {path} is off by {part:.1g} relative, as by an epsilon that one of the two has"
        for path, part in off.items() if part <= NEARLY
    ]  # fmt: skip


def _cell(tally: Tally, digits: float) -> Text:
    if tally.disagree:
        return Text(f"{tally.disagree} ✗", style=STYLES[Verdict.DISAGREE])
    if not tally.probed:
        return Text("?", style=STYLES[Verdict.CANNOT_TELL])
    return Text(_number(digits) + (f" ({tally.cannot_tell} ?)" if tally.cannot_tell else ""))


def _oracles(report: Findings) -> list[str]:
    lines = []
    for name, one in report.evidence.witnesses.items():
        held = int(one.agree.all(axis=1).sum())
        lines.append(f"{TITLES.get(name, name)}: asked along {len(one.agree)} random directions, {held} agree.")
    lines += [f"{TITLES.get(name, name)} does not apply: {why}." for name, why in report.refused.items()]
    said = set(report.refused.values())
    for name, why in report.evidence.estimated.items():
        lines.append(
            f"{TITLES.get(name, name)}: its error bound is an estimate" + ("." if why in said else f": {why}.")
        )
        said.add(why)
    return lines


def _points(report: Findings) -> list[str]:
    """Where else the gradient was checked, if anywhere."""
    if len(report.points) < 2:
        return []
    decided = [point for point in report.points if point.decided]
    lines = [f"Certified at {len(decided)} points: {', '.join(point.name for point in decided)}."] if decided else []
    return lines + [f"Not certified at {point.name}: {point.why}." for point in report.points if point.why]


def _kinks(report: Findings) -> list[str]:
    return [
        f"kink at this point: {int(where.sum())} of {where.size} entries of {path} have several slopes there"
        for path, where in report.kinks.items()
    ]


def _untold(report: Findings) -> list[str]:
    return [
        f"{leaf.path}: {leaf.untold} of {report.found[leaf.path].size} entries cannot be told: "
        + (
            f"a mistake of up to {leaf.room:.1g} could hide in them"
            if np.isfinite(leaf.room)
            else "no oracle says anything of them"
        )
        for leaf in report.leaves.values()
        if leaf.untold and leaf.verdict is Verdict.AGREE
    ]


def _worst(report: Findings, leaf: LeafReport) -> list[Any]:
    if not leaf.worst:
        return []
    return [
        Text(
            f"{report.entry(leaf.path, e)} is {e.value:.12g}, should be {e.wanted:.12g}"
            f" ({TITLES.get(e.oracle, e.oracle)})"
        )
        for e in leaf.worst
    ]


def _number(digits: float) -> str:
    return "all" if np.isinf(digits) else f"{digits:.0f}" if digits >= 20 else f"{digits:.1f}"
