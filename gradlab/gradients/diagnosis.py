"""Where a wrong gradient leaves the truth, and what is wrong there: shown at several points, proven at one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradlab.arithmetic.balls import BallArithmetic, gaps, precision
from gradlab.checker.verdict import Verdict
from gradlab.gradients.findings import Findings
from gradlab.gradients.kinds import Kind
from gradlab.gradients.locate import Blamed, Locator
from gradlab.gradients.name import Relation, Scene, agreed
from gradlab.gradients.places import Place, place
from gradlab.gradients.recording import Recorded, Refused, record
from gradlab.gradients.subject import Subject
from gradlab.gradients.values import Values
from gradlab.gradients.worlds import World, close

Array = np.ndarray[Any, Any]

POINTS = 2  # beside the one given
NEARLY = 1e-6  # a leaf that is off by less, relatively, is not looked for in floats: they round


@dataclass(frozen=True)
class Mistake:
    """One: where, what (its class, None where none is shown), and in a sentence; else what relations hold, as evidence.

    proven: on balls, the leaves named become right with the true value there.
    """

    place: Place
    kind: Kind | None
    said: str = ""
    evidence: tuple[str, ...] = ()
    points: int = 1
    proven: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.said}" if self.kind else self.said

    def lines(self) -> list[str]:
        right = f"with the true value there, {', '.join(self.place.repairs)} {_is(self.place.repairs)} right"
        said = [f"place: {self.place}: {right} ({'proven' if self.proven else 'shown in floats'})"]
        if self.kind is not None:
            said.append(f"mistake: {self}")
        return said + [f"what stands there: {one}" for one in self.evidence]

    def to_json(self) -> dict[str, Any]:
        return {
            "place": self.place.to_json(),
            "class": self.kind and self.kind.key,
            "says": str(self),
            "evidence": list(self.evidence),
            "points": self.points,
            "proven": self.proven,
        }


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a gradient: the mistakes, and the leaves that are still wrong with all of them put right.

    nearly: leaves that are off by less than NEARLY. refused: why nothing could be looked for.
    """

    mistakes: tuple[Mistake, ...] = ()
    left: tuple[str, ...] = ()
    nearly: tuple[str, ...] = ()
    refused: str = ""
    seconds: float = 0.0

    @property
    def kind(self) -> Kind | None:
        return self.mistakes[0].kind if self.mistakes else None

    def lines(self) -> list[str]:
        said: list[str] = []
        for number, one in enumerate(self.mistakes):
            if len(self.mistakes) > 1:
                said.append(f"mistake {number + 1} of {len(self.mistakes)}")
            said += one.lines()
        if self.left and self.mistakes:
            said.append(f"still wrong with that put right: {', '.join(self.left)}")
        elif self.left and not self.refused:
            said.append("place: no single line whose true value makes anything right was found")
        if self.refused:
            said.append(f"place: not looked for: {self.refused}")
        return said

    def to_json(self) -> dict[str, Any]:
        return {
            "mistakes": [one.to_json() for one in self.mistakes],
            "left": list(self.left),
            "nearly_right": list(self.nearly),
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
        mistakes = self._named(locator)
        return Diagnosis(tuple(mistakes), tuple(locator.left), tuple(nearly))

    def _wrong(self) -> tuple[list[str], list[str]]:
        wrong, nearly = [], []
        for path, leaf in self.findings.leaves.items():
            if leaf.verdict is Verdict.DISAGREE:
                found, true = self.findings.found[path], self.findings.evidence.truth[path]
                (nearly if close(found, true, part=NEARLY) else wrong).append(path)
        return wrong, nearly

    def _beside(self) -> list[World]:
        """The same program at other points, to which its comparisons still apply."""
        rng, found = np.random.default_rng(self.findings.seed + 1), []
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

    def _named(self, locator: Locator) -> list[Mistake]:
        values = Values(locator.truths)
        proven = self._proven(locator)
        found: list[Mistake] = []
        for number, blamed in enumerate(locator.blamed):
            seen, points = [], 0
            for world in self.worlds:
                if time.perf_counter() > self.deadline and seen:
                    break
                changed: dict[int, Array] = {}
                for fit in (*(one.fit for one in locator.blamed[:number]), *blamed.beside):
                    changed |= dict(zip(fit.made.numbers, fit.value(locator.truths, world), strict=True))
                scene = Scene(world, locator.truths, locator.candidates, values, blamed, changed)
                seen.append(scene.relations())
                points += 1
            relations = agreed(seen) if points > 1 else []
            evidence = relations or (seen[0] if seen else [])
            at = replace(place(locator, blamed, evidence), repairs=blamed.repairs)
            kinds = {one.kind for one in relations}
            kind = kinds.pop() if len(kinds) == 1 else None
            said = tuple(one.said for one in evidence)
            found.append(
                Mistake(at, kind, "; ".join(said) if kind else "", () if kind else said, points,
                        all(path in proven for path in blamed.repairs))
            )  # fmt: skip
        return _merged(found)

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
    """Places and names of the mistakes of a gradient that disagrees, in about so many seconds."""
    start = time.perf_counter()
    subject, truth = findings.subject, findings.evidence.truth
    if any(path not in truth for path in findings.found):
        return Diagnosis(refused="nothing is known of what the gradient should be")
    if subject.count > 1:
        subject = _one_output(subject, findings)
    try:
        with np.errstate(all="ignore"):
            recorded = record(subject, *subject.run(subject.params.rebuilt()))
            found = _Search(recorded, subject, findings, start + seconds, findings.conventions.factor).run()
    except Refused as refused:
        return Diagnosis(refused=str(refused))
    return replace(found, seconds=time.perf_counter() - start)


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


def _merged(found: list[Mistake]) -> list[Mistake]:
    """Of what was found under several calls of one line, one mistake."""
    by_line: dict[Any, Mistake] = {}
    for one in found:
        key = (one.place.path, one.place.line)
        known = by_line.get(key)
        if known is None:
            by_line[key] = one
            continue
        repairs = tuple(dict.fromkeys((*known.place.repairs, *one.place.repairs)))
        same = known.kind is one.kind
        by_line[key] = replace(
            known, place=replace(known.place, repairs=repairs), kind=known.kind if same else None,
            said=known.said if same else "", evidence=known.evidence if same else (known.said, one.said),
            proven=known.proven and one.proven,
        )  # fmt: skip
    return list(by_line.values())


def _is(paths: tuple[str, ...]) -> str:
    return "is" if len(paths) == 1 else "are"


__all__ = ["Blamed", "Diagnosis", "Mistake", "Place", "Relation", "diagnosed"]
