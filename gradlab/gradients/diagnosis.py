"""Where a wrong gradient leaves the truth, and what is wrong there: shown at several points, proven at one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradlab.arithmetic.balls import BallArithmetic, gaps, precision
from gradlab.checker.verdict import Verdict
from gradlab.gradients.called import GradientCheckError
from gradlab.gradients.findings import NEARLY, Findings
from gradlab.gradients.kinds import Kind
from gradlab.gradients.locate import Locator
from gradlab.gradients.name import Relation, Scene, agreed
from gradlab.gradients.places import Place, helper, place
from gradlab.gradients.recording import Recorded, Refused, record
from gradlab.gradients.repair import Probes, Repair, mended
from gradlab.gradients.repair.leaves import relations
from gradlab.gradients.subject import Subject
from gradlab.gradients.sums import added_up, truncated
from gradlab.gradients.values import Values
from gradlab.gradients.worlds import World
from gradlab.tape.program import Site

Array = np.ndarray[Any, Any]

POINTS = 2  # beside the one given
# Classes that a relation between numbers gives for want of a narrower one.
LOOSE = (Kind.OPERAND,)
MENDING = 4.0  # seconds that the search for what the line should be may take


@dataclass(frozen=True)
class Mistake:
    """One: where, what (its class, None where none is shown), and in a sentence; else what relations hold, as evidence.

    proven: on balls, the leaves named become right with the true value there.
    """

    place: Place | None
    kind: Kind | None
    said: str = ""
    evidence: tuple[str, ...] = ()
    points: int = 1
    proven: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.said}" if self.kind else self.said

    def lines(self) -> list[str]:
        said = []
        if self.place is not None:
            right = f"with the true value there, {', '.join(self.place.repairs)} {_is(self.place.repairs)} right"
            said.append(f"place: {self.place}: {right} ({'proven' if self.proven else 'shown in floats'})")
        if self.kind is not None:
            said.append(f"mistake: {self}")
        return said + [f"what stands there: {one}" for one in self.evidence]

    def to_json(self) -> dict[str, Any]:
        return {
            "place": self.place and self.place.to_json(),
            "class": self.kind and self.kind.key,
            "says": str(self),
            "evidence": list(self.evidence),
            "points": self.points,
            "proven": self.proven,
        }


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a gradient: the mistakes, and the leaves that are still wrong with all of them put right.

    repairs: of a single mistake, the changes of its line that make the gradient right, one of each class; tried: how
    many were run, complete: all that there are. relation: what the wrong leaves are to the right ones, where no place
    was found. nearly: leaves that are off by less than NEARLY. refused: why nothing could be looked for.
    """

    mistakes: tuple[Mistake, ...] = ()
    left: tuple[str, ...] = ()
    nearly: tuple[str, ...] = ()
    refused: str = ""
    repairs: tuple[Repair, ...] = ()
    tried: int = 0
    complete: bool = False
    relation: Mistake | None = None
    seconds: float = 0.0

    @property
    def first(self) -> Mistake | None:
        return self.mistakes[0] if self.mistakes else self.relation

    @property
    def kind(self) -> Kind | None:
        return None if self.first is None else self.first.kind

    def lines(self, *, hint: bool = False) -> list[str]:
        """What people are told, a sentence each; hint: the repair is kept back."""
        said: list[str] = []
        for number, one in enumerate(self.mistakes):
            if len(self.mistakes) > 1:
                said.append(f"mistake {number + 1} of {len(self.mistakes)}")
            said += one.lines()
        if self.relation is not None:
            said += self.relation.lines()
        if self.left and self.mistakes:
            said.append(f"still wrong with that put right: {', '.join(self.left)}")
        elif self.left and self.relation is None and not self.refused:
            said.append("place: no line was found of which the true value makes anything right")
        if self.refused:
            said.append(f"place: not found: {self.refused}")
        return said + ([] if hint else self._repaired())

    def _repaired(self) -> list[str]:
        if not self.repairs:
            return []
        said = [f"repair: {one}" for one in self.repairs]
        sure = "proven" if all(one.proven for one in self.repairs) else "shown"
        return [*said, f"{sure} with the line so changed, to {min(one.digits for one in self.repairs):.0f} digits"]

    def to_json(self) -> dict[str, Any]:
        return {
            "class": self.kind and self.kind.key,
            "mistakes": [one.to_json() for one in (*self.mistakes, *filter(None, [self.relation]))],
            "left": list(self.left),
            "nearly_right": list(self.nearly),
            "repairs": [
                {"class": r.kind.key, "file": r.file, "line": r.line, "before": r.before, "after": r.after}
                for r in self.repairs
            ],
            "refused": self.refused,
            "says": self.lines(),
        }


@dataclass
class _Search:
    recorded: Recorded
    subject: Subject
    findings: Findings
    deadline: float
    factor: float
    worlds: list[World] = field(default_factory=list)

    def run(self) -> Diagnosis:
        wrong, nearly = self._wrong()
        if not wrong:
            return Diagnosis(nearly=tuple(nearly))
        if self.findings.conventions.clip is not None:
            return Diagnosis(left=tuple(wrong), nearly=tuple(nearly), refused="what is clipped is not taken apart")
        self.worlds = [World(self.recorded, factor=self.factor), *self._beside()]
        locator = Locator(self.worlds[0], wrong, self.deadline)
        locator.run()
        mistakes = [*self._named(locator), *self._sums(locator)]
        return Diagnosis(tuple(mistakes), tuple(locator.left), tuple(nearly))

    def _wrong(self) -> tuple[list[str], list[str]]:
        wrong: list[str] = []
        nearly: list[str] = []
        for path, leaf in self.findings.leaves.items():
            if leaf.verdict is Verdict.DISAGREE:
                (nearly if self.findings.off(path) <= NEARLY else wrong).append(path)
        return wrong, nearly

    def _beside(self) -> list[World]:
        """The same program at other points, to which its comparisons still apply."""
        rng = np.random.default_rng(self.findings.seed + 1)
        found: list[World] = []
        for near in (1.0, 1.0, 2.0**-4, 2.0**-8):
            if len(found) == POINTS:
                break
            moved = {int(index.min()): _moved(self.worlds_values(index), near, rng)
                     for index in self.recorded.leaves.values() if index.size}  # fmt: skip

            def leaves(block: Any, values: Array, moved: dict[int, Array] = moved) -> Array | None:
                return moved[block.start][None] if block.start in moved else None

            world = World(self.recorded, factor=self.factor, leaves=leaves)
            if world.steered:
                found.append(world)
        return found

    def worlds_values(self, index: Array) -> Array:
        return self.recorded.program.floats(index)

    def _sums(self, locator: Locator) -> Iterator[Mistake]:
        """Of what is wrong still, the sums that are: each is what makes the leaf itself."""
        if not locator.left:
            return
        found = truncated(locator)
        if found is not None:
            where, kind, said = found
            yield Mistake(where, kind, said)
            locator.left = []
            return
        for where in added_up(locator):
            yield Mistake(where, None, evidence=("all that it is fed with is right",))
            locator.left = [path for path in locator.left if path not in where.repairs]

    def _named(self, locator: Locator) -> list[Mistake]:
        values = Values(locator.truths)
        called: list[tuple[str, int] | None] = []
        proven = self._proven(locator)
        found: list[Mistake] = []
        for number, blamed in enumerate(locator.blamed):
            seen: list[list[Relation]] = []
            points = 0
            for world in self.worlds:
                if time.perf_counter() > self.deadline and seen:
                    break
                changed: dict[int, Array] = {}
                for fit in (*(one.fit for one in locator.blamed[:number]), *blamed.beside):
                    changed |= dict(zip(fit.made.numbers, fit.value(locator.truths, world), strict=True))
                scene = Scene(world, locator.truths, locator.candidates, values, blamed, changed)
                seen.append(scene.relations())
                points += 1
            held = agreed(seen) if points > 1 else []
            evidence = held or (seen[0] if seen else [])
            at = place(locator, blamed, evidence)
            called.append(helper(locator, blamed, evidence))
            kinds = {one.kind for one in held}
            kind = kinds.pop() if len(kinds) == 1 else None
            said = tuple(one.said for one in evidence)
            found.append(
                Mistake(at, kind, "; ".join(said) if kind else "", () if kind else said, points,
                        all(path in proven for path in blamed.repairs))
            )  # fmt: skip
        for number, line in enumerate(called):  # a function that is wrong wherever it is called
            known = found[number].place
            if line is not None and called.count(line) > 1 and known is not None:
                found[number] = replace(found[number], place=replace(known, path=line[0], line=line[1], steps=(), of=1))
        return _merged(_one_forward(found, [one.fit.truth.site for one in locator.blamed]))

    def _proven(self, locator: Locator) -> set[str]:
        """The leaves that, on balls and with the enclosures of what is true in all places, hold the truth."""
        if not locator.blamed or not self.findings.evidence.bits:
            return set()
        with precision(self.findings.evidence.bits):
            arithmetic = BallArithmetic()
            factor: Any = 1.0 if self.factor == 1.0 else arithmetic.exact(np.asarray(self.factor))[0]
            world = World(self.recorded, arithmetic, factor)
            changed: dict[int, Array] = {}
            for one in locator.blamed:
                changed |= dict(zip(one.fit.made.numbers, one.fit.value(locator.truths, world), strict=True))
            after = world.replayed(changed)
            return {
                path for path in locator.wrong
                if not (gaps(after.gradients[path], after.true[path]) > 0).any()
            }  # fmt: skip


def diagnosed(findings: Findings, seconds: float) -> Diagnosis:
    """Places and names of the mistakes of a gradient that disagrees, and the repair, in about so many seconds."""
    start = time.perf_counter()
    deadline = start + seconds
    wrong = [path for path, leaf in findings.leaves.items() if leaf.verdict is Verdict.DISAGREE]
    if not wrong or any(path not in findings.evidence.truth for path in findings.found):
        return Diagnosis(refused="nothing is known of what the gradient should be")
    found = located(findings, deadline)
    try:
        probes = Probes(findings)
        if not found.mistakes and not found.nearly:
            found = replace(found, relation=_whole(probes, wrong))
        elif time.perf_counter() < deadline:
            found = _whole_named(found, probes, wrong)
            found = _repaired(found, findings, probes, wrong, deadline)
    except GradientCheckError as error:
        found = replace(found, refused=found.refused or str(error))
    return replace(found, seconds=time.perf_counter() - start)


def located(findings: Findings, deadline: float) -> Diagnosis:
    """The places of what is wrong and their names, without a repair, until the deadline (time.perf_counter())."""
    subject = findings.subject
    if subject.count > 1:
        subject = _one_output(subject, findings)
    try:
        with np.errstate(all="ignore"):
            recorded = record(subject, *subject.run(subject.params.rebuilt()))
            return _Search(recorded, subject, findings, deadline, findings.conventions.factor).run()
    except Refused as refused:
        return Diagnosis(refused=str(refused))


def _whole(probes: Probes, wrong: list[str]) -> Mistake | None:
    """What the leaves that are wrong are to those that are right, if one operation leads from these to those."""
    for one in relations(probes, wrong):
        return Mistake(None, one.kind, one.said, (), len(probes.subjects), one.report.evidence.bits is not None)
    return None


def _whole_named(found: Diagnosis, probes: Probes, wrong: list[str]) -> Diagnosis:
    """With the class that the leaves as a whole show, where the place shows none or a loose one.

    One operation on all the leaves that are wrong is a likelier mistake than several lines.
    """
    if len(found.mistakes) == 1 and found.mistakes[0].kind not in (None, Kind.PATH, *LOOSE):
        return found
    whole = _whole(probes, wrong)
    if whole is None:
        return found
    if len(found.mistakes) > 1:
        return replace(found, mistakes=(), relation=whole)
    return replace(found, mistakes=(replace(found.mistakes[0], kind=whole.kind, said=whole.said, evidence=()),))


def _repaired(found: Diagnosis, findings: Findings, probes: Probes, wrong: list[str], deadline: float) -> Diagnosis:
    """With the repair of the one line, if there is one; its class, where the relation does not name it."""
    places = {(one.place.path, one.place.line) for one in found.mistakes if one.place is not None}
    if len(places) != 1 or found.left:
        return found
    done = mended(findings, probes, wrong, places, min(deadline, time.perf_counter() + MENDING))
    (mistake,) = found.mistakes[:1]
    kinds = set(done.kinds)
    repairs = done.repairs
    if mistake.kind in kinds:
        repairs = tuple(one for one in repairs if one.kind is mistake.kind)
    elif len(kinds) == 1 and done.complete and mistake.kind in (None, *LOOSE):
        (kind,) = kinds
        said = mistake.said or "; ".join(mistake.evidence) or f"`{repairs[0].after}` belongs there"
        mistake = replace(mistake, kind=kind, said=said, evidence=())
    return replace(found, mistakes=(mistake, *found.mistakes[1:]), repairs=repairs, tried=done.tried,
                   complete=done.complete)  # fmt: skip


def _one_output(subject: Subject, findings: Findings) -> Subject:
    """The first output alone whose gradient disagrees."""
    wrong = np.zeros(subject.count, bool)
    for judged in findings.evidence.judged.values():
        for one in judged.values():
            wrong |= one.disagree.reshape(len(one.disagree), -1).any(axis=1)
    k = int(np.argmax(wrong))
    return replace(subject, count=1, names=subject.names[k : k + 1], upstream=subject.upstream[k : k + 1])


def _moved(values: Array, near: float, rng: np.random.Generator) -> Array:
    scale = float(np.abs(values).max(initial=0.0)) or 0.125
    moved = values * (1 + near * rng.uniform(-0.25, 0.25, values.shape))
    return np.asarray(moved + near * scale * rng.uniform(-0.125, 0.125, values.shape))


def _one_forward(found: list[Mistake], sites: list[Site]) -> list[Mistake]:
    """What is right for another forward pass is one mistake, at whichever lines the same of its operations is met."""
    kept: list[Mistake] = []
    first: Site | None = None
    for one, site in zip(found, sites, strict=True):
        if first is not None and site.where == first.where:
            known = kept[-1]
            assert known.place is not None and one.place is not None
            repairs = tuple(dict.fromkeys((*known.place.repairs, *one.place.repairs)))
            kept[-1] = replace(known, place=replace(known.place, repairs=repairs), proven=known.proven and one.proven)
            continue
        first = site if one.kind is Kind.FORWARD else None
        kept.append(one)
    return kept


def _merged(found: list[Mistake]) -> list[Mistake]:
    """Of what was found under several calls of one line, one mistake."""
    by_line: dict[Any, Mistake] = {}
    for one in found:
        assert one.place is not None
        key = (one.place.path, one.place.line)
        known = by_line.get(key)
        if known is None:
            by_line[key] = one
            continue
        assert known.place is not None
        repairs = tuple(dict.fromkeys((*known.place.repairs, *one.place.repairs)))
        same = known.kind is one.kind
        by_line[key] = replace(
            known, place=replace(known.place, repairs=repairs), kind=known.kind if same else None,
            said=known.said if same else "",
            evidence=known.evidence if same else tuple(filter(None, (known.said, one.said))),
            proven=known.proven and one.proven,
        )  # fmt: skip
    merged = list(by_line.values())
    if len(merged) > 1 and Kind.JACOBIAN in {one.kind for one in merged} <= {Kind.SLOPE, Kind.JACOBIAN, None}:
        merged = [replace(one, kind=one.kind and Kind.SLOPE) for one in merged]  # one activation, wherever it is used
    return merged


def _is(paths: tuple[str, ...]) -> str:
    return "is" if len(paths) == 1 else "are"
