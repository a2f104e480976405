"""The repairs of a line, by class: edits that are right at every probe, by the oracle."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console

from gradlab.gradients.findings import Findings
from gradlab.gradients.hints import EXPLAINED, Likeness
from gradlab.gradients.kinds import Kind
from gradlab.gradients.repair.probes import Probes
from gradlab.gradients.repair.reading import scales_inside
from gradlab.gradients.repair.search import Found, Search, code_of
from gradlab.gradients.repair.sites import Edit
from gradlab.gradients.repair.source import Source

ATTEMPTS = 4  # edits of one class that are put before the oracle


@dataclass(frozen=True)
class Repair:
    """A change of one line that makes the gradient right.

    proven: on balls, at every probe. digits: to how many, there.
    """

    kind: Kind
    file: str
    line: int
    before: str
    after: str
    proven: bool = False
    digits: float = 0.0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: `{self.before}` should be `{self.after}`"


@dataclass(frozen=True)
class Mended:
    """What a search came to: a repair of each class that makes the gradient right.

    tried: how many edits were run. complete: all that there are. refused: why none could be.
    """

    repairs: tuple[Repair, ...] = ()
    tried: int = 0
    complete: bool = False
    refused: str = ""
    kinds: tuple[Kind, ...] = field(default=())


def mended(
    report: Findings, probes: Probes, wrong: list[str], lines: Collection[tuple[str, int]], deadline: float
) -> Mended:
    """Search the repairs of lines, (file, line) each, until the deadline (time.perf_counter()).

    Raises:
        GradientCheckError: a copy of the gradient does not run.
    """
    search = Search(report.subject, report.found, report.evidence.truth, lines)
    with _shown():
        found = search.run(deadline)
    kinds = {kind: _confirmed(probes, edits) for kind, edits in _by_kind(found, report, wrong, search.sources).items()}
    confirmed = _least({kind: one for kind, one in kinds.items() if one})
    repairs = tuple(_repair(kind, *one) for kind, one in confirmed.items())
    return Mended(repairs, found.tried, found.complete, found.refused, tuple(confirmed))


Confirmed = dict[Kind, tuple[Edit, Findings]]


def _least(confirmed: Confirmed) -> Confirmed:
    """Of several ways to write one expression that all make the gradient right, the one that changes least."""
    edits = [one for one, _ in confirmed.values()]
    return {
        kind: (one, report)
        for kind, (one, report) in confirmed.items()
        if not any(other.within(one) for other in edits)
    }


@contextmanager
def _shown() -> Iterator[None]:
    """That a search is on, on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status("looking for what the line should be (Ctrl-C stops)"):
        yield


def _by_kind(found: Found, report: Findings, wrong: list[str], sources: list[Source]) -> dict[Kind, list[Edit]]:
    kinds: dict[Kind, list[Edit]] = {}
    copies = {(one.line, one.before) for one in found.edits if one.after == f"{one.before}.copy()"}
    for one in found.edits:
        if (one.line, one.before) in copies and one.kind is not Kind.STALE:
            continue  # it makes a new array as well, and that alone mends it
        kinds.setdefault(one.kind, []).append(one)
    pure = all((Likeness(report.found[p], report.evidence.truth[p]).residual or 0.0) <= EXPLAINED for p in wrong)
    if Kind.FACTOR in kinds and not pure and any(scales_inside(source.tree) for source in sources):
        # A factor that is compounded from step to step, and an activation of a multiple of its argument.
        kinds[Kind.HALVED] = kinds.pop(Kind.FACTOR)
    return kinds


def _confirmed(probes: Probes, edits: list[Edit]) -> tuple[Edit, Findings] | None:
    """The first edit of a class that is right at every point, by the oracles."""
    for one in sorted(edits, key=lambda one: (len(one.puts), len(one.after)))[:ATTEMPTS]:
        report = probes.right_with(code_of(one))
        if report is not None:
            return one, report
    return None


def _repair(kind: Kind, one: Edit, report: Findings) -> Repair:
    try:
        after = ast.unparse(ast.parse(one.after))
    except SyntaxError:
        after = one.after  # words
    proven = report.evidence.bits is not None
    return Repair(kind, one.source.where, one.line, one.before, after, proven, report.digits)
