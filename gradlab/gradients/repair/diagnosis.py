"""The name of a mistake, where one can be shown; and what was tried, where none can."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from gradlab.checker.verdict import Verdict
from gradlab.gradients.called import GradientCheckError
from gradlab.gradients.findings import Findings
from gradlab.gradients.hints import EXPLAINED, Likeness
from gradlab.gradients.repair.kinds import Kind
from gradlab.gradients.repair.probes import Probes
from gradlab.gradients.repair.reading import scales_inside
from gradlab.gradients.repair.relations import Relation, relations
from gradlab.gradients.repair.search import Found, Search, code_of
from gradlab.gradients.repair.sites import Edit
from gradlab.gradients.repair.source import Source

ATTEMPTS = 4  # edits of one class that are put before the oracle


@dataclass(frozen=True)
class Repair:
    """A change of one line that makes the gradient right."""

    kind: Kind
    file: str
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: `{self.before}` should be `{self.after}`"


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a gradient.

    kind: the class, or None where none is shown. repairs: one for each class that makes the gradient right. relation:
    how what is wrong and what is right relate, if in a simple way. tried: how many edits of the source were run.
    complete: all that there are. points: how many points the repair holds at. digits: to how many. proven: on balls.
    """

    kind: Kind | None
    repairs: tuple[Repair, ...] = ()
    relation: str = ""
    tried: int = 0
    complete: bool = False
    points: int = 1
    digits: float = 0.0
    proven: bool = False
    refused: str = ""
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """What people are told, a sentence each."""
        if self.kind is not None:
            said = [f"mistake: {self.kind}"]
            said += [str(repair) for repair in self.repairs]
            said += [self.relation] if self.relation else []
            vouched = "proven" if self.proven else "shown"
            return [*said, f"{vouched} at {self.points} points, to {self.digits:.0f} digits;{self._tried()}"]
        if self.repairs:
            several = f"unnamed: {len(self.repairs)} classes of repair make it right, so gradients alone cannot tell"
            if not self.complete:
                several = "unnamed: a repair makes it right, but not all edits were tried in the time given"
            return [several, *(f"{repair.kind}: {repair}" for repair in self.repairs)]
        return [f"unnamed:{self._tried()}" + (f" ({self.refused})" if self.refused else "")]

    def _tried(self) -> str:
        if not self.tried:
            return " read off the gradient alone" if self.kind else " nothing in the source could be tried"
        whole = "" if self.complete else ", of more"
        only = "no edit of another class does so" if self.kind else "none makes it right"
        return f" {self.tried} edits of the source were tried{whole}; {only}"

    def to_json(self) -> dict[str, Any]:
        return {
            "class": self.kind and self.kind.key,
            "says": self.lines(),
            "repairs": [
                {"class": r.kind.key, "file": r.file, "line": r.line, "before": r.before, "after": r.after}
                for r in self.repairs
            ],
            "tried": self.tried,
            "complete": self.complete,
            "points": self.points,
            "proven": self.proven,
        }


def diagnosed(report: Findings, seconds: float) -> Diagnosis:
    """The diagnosis of a gradient that disagrees, in about so many seconds."""
    start = time.perf_counter()
    wrong = [path for path, leaf in report.leaves.items() if leaf.verdict is Verdict.DISAGREE]
    truth = report.evidence.truth
    if not wrong or any(path not in truth for path in report.found):
        return Diagnosis(None, refused="nothing is known of what the gradient should be")
    try:
        probes = Probes(report)
        relation = next(relations(probes, wrong), None)
        search = Search(report.subject, report.found, truth, wrong)
        with _shown() as progress:
            found = search.run(start + seconds, progress)
    except GradientCheckError as error:
        return Diagnosis(None, refused=str(error))
    kinds = {kind: _confirmed(probes, edits) for kind, edits in _by_kind(found, report, wrong, search.sources).items()}
    confirmed = {kind: one for kind, one in kinds.items() if one}
    return _judged(relation, _least(confirmed), found, probes, start)


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
def _shown() -> Iterator[Callable[[int], None]]:
    """How far the search is, on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda tried: None
        return
    with console.status("looking for the line that is wrong (Ctrl-C stops)") as status:
        yield lambda tried: None if tried % 64 else status.update(f"looking for the line that is wrong: {tried} edits")


def _judged(relation: Relation | None, kinds: dict[Kind, Any], found: Found, probes: Probes, start: float) -> Diagnosis:
    repairs = tuple(_repair(kind, one[0]) for kind, one in kinds.items())
    named: Kind | None = None
    report = None
    if relation is not None:
        # What leads from right to wrong in one operation is of that class, whatever line it comes from.
        named, report = relation.kind, relation.report
        repairs = tuple(repair for repair in repairs if repair.kind is named)
    elif len(kinds) == 1 and found.complete:
        named, (_, report) = next(iter(kinds.items()))
    return Diagnosis(
        named,
        repairs,
        relation.said if relation else "",
        found.tried,
        found.complete,
        len(probes.subjects),
        report.digits if report else 0.0,
        report is not None and report.evidence.bits is not None,
        found.refused,
        time.perf_counter() - start,
    )


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


def _repair(kind: Kind, one: Edit) -> Repair:
    try:
        after = ast.unparse(ast.parse(one.after))
    except SyntaxError:
        after = one.after  # words
    return Repair(kind, one.source.where, one.line, one.before, after)
