"""What a check of a gradient found: leaf by leaf and oracle by oracle, at one point or several."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradlab.checker.verdict import RESOLUTION, Judged, Tally, Verdict
from gradlab.gradients.conventions import Conventions
from gradlab.gradients.evidence import Evidence
from gradlab.gradients.hints import Likeness
from gradlab.gradients.subject import Subject
from gradlab.gradients.tree import indexed

Array = np.ndarray[Any, Any]

WORST = 3  # entries that are written out for each leaf
NEARLY = 1e-6  # of a leaf's largest entry: what is off by no more is said to be nearly right, which excuses nothing


@dataclass(frozen=True)
class Point:
    """A point at which a gradient was checked, and what came of it there.

    verdict: None where nothing was checked. decided: how many entries the proof decided. why: what stood in its way.
    """

    name: str
    verdict: Verdict | None
    decided: int = 0
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "point": self.name,
            "verdict": None if self.verdict is None else str(self.verdict),
            "certified": self.decided,
            "why": self.why,
        }


@dataclass(frozen=True)
class Entry:
    """One entry that disagrees: where it is, what was returned, what it should be, and who says so."""

    index: tuple[int, ...]
    value: float
    wanted: float
    oracle: str
    output: int = 0


@dataclass(frozen=True)
class LeafReport:
    """One leaf: verdict; tallies and digits by oracle; how alike it is to what is right; its worst entries.

    zero: all of it is proven to be zero on both sides, so that it had nothing to show. untold: how many entries no
    oracle decides. room: by how much the largest mistake that could hide in those would be off. hides: that is no less
    than what an entry of the leaf is resolved to.
    """

    path: str
    shape: tuple[int, ...]
    verdict: Verdict
    zero: bool
    tallies: dict[str, Tally]
    digits: dict[str, float]
    likeness: Likeness
    worst: tuple[Entry, ...]
    untold: int = 0
    room: float = 0.0
    hides: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": str(self.verdict),
            "shape": list(self.shape),
            "zero": self.zero,
            "cannot_tell": self.untold,
            "room": finite(self.room),
            "cosine": self.likeness.cosine,
            "factor": self.likeness.factor,
            "residual": self.likeness.residual,
            "oracles": {
                name: {
                    "agree": tally.agree,
                    "disagree": tally.disagree,
                    "cannot_tell": tally.cannot_tell,
                    "digits": finite(self.digits[name]),
                }
                for name, tally in self.tallies.items()
            },
            "worst": [
                {"index": list(e.index), "value": finite(e.value), "wanted": finite(e.wanted), "oracle": e.oracle}
                for e in self.worst
            ],
        }


@dataclass(eq=False, frozen=True, repr=False)
class Findings:
    """The verdict on a gradient, leaf by leaf and oracle by oracle.

    notes: a line for each guard that had something to say. points: where it was checked; what follows is of the first
    that disagrees, or of the point given.
    """

    subject: Subject
    conventions: Conventions
    found: dict[str, Array]
    evidence: Evidence
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    seed: int = 0
    points: tuple[Point, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of all leaves that had something to show."""
        return Verdict.worst(leaf.verdict for leaf in self.leaves.values() if not leaf.zero)

    @property
    def ok(self) -> bool:
        return self.verdict is Verdict.AGREE

    @property
    def proven(self) -> bool:
        """Whether a verdict of disagree is a proof: the enclosures are disjoint."""
        return any(leaf.tallies["certified"].disagree for leaf in self.leaves.values() if "certified" in leaf.tallies)

    @property
    def digits(self) -> float:
        """To how many digits the worst entry that agrees does so, by the sharpest oracle of each leaf."""
        return min(
            (max(leaf.digits.values()) for leaf in self.leaves.values() if leaf.digits and not leaf.zero), default=0.0
        )

    @property
    def size(self) -> int:
        """How many entries there are."""
        return sum(leaf.size for leaf in self.found.values())

    @property
    def untold(self) -> int:
        """How many entries no oracle decides."""
        return sum(leaf.untold for leaf in self.leaves.values())

    @property
    def kinks(self) -> dict[str, Array]:
        """Entries at a point where the loss has several slopes, by path."""
        return self.evidence.kinks

    @property
    def oracles(self) -> tuple[str, ...]:
        """The oracles that judged every leaf."""
        return tuple(dict.fromkeys(name for by in self.evidence.judged.values() for name in by))

    @property
    def refused(self) -> dict[str, str]:
        """Why an oracle does not apply, by oracle."""
        return self.evidence.refused

    @cached_property
    def leaves(self) -> dict[str, LeafReport]:
        return {path: self._leaf(path) for path in self.found}

    def verdicts(self, path: str) -> Array:
        """The verdict on every entry of a leaf: an array of its shape, of Verdict.

        Raises:
            KeyError: no leaf of that path was checked.
        """
        shape = self.found[path].shape
        judged = self.evidence.judged.get(path, {}).values()
        wrong, right = np.zeros(shape, bool), np.broadcast_to(self.evidence.zero.get(path, np.False_), shape)
        for one in judged:
            wrong, right = wrong | one.disagree, right | one.agree
        found = np.full(shape[1:], Verdict.CANNOT_TELL, object)
        found[right.all(axis=0)] = Verdict.AGREE
        found[wrong.any(axis=0)] = Verdict.DISAGREE
        return found

    def _leaf(self, path: str) -> LeafReport:
        judged = self.evidence.judged.get(path, {})
        with np.errstate(over="ignore"):
            tallies = {name: one.tally() for name, one in judged.items()}
        right = self.evidence.truth.get(path)
        zero = path in self.evidence.zero and bool(
            (self.evidence.zero[path] | (judged["certified"].agree & (judged["certified"].scale == 0))).all()
        )
        verdicts = [tally.verdict for tally in tallies.values()]
        verdict = Verdict.CANNOT_TELL
        if Verdict.DISAGREE in verdicts:
            verdict = Verdict.DISAGREE
        elif Verdict.AGREE in verdicts:
            verdict = Verdict.AGREE
        untold, room, hides = self._untold(path, judged)
        return LeafReport(
            path,
            self.subject.params.leaves[path].shape,
            verdict,
            zero and verdict is not Verdict.DISAGREE,
            tallies,
            {name: digits_of(one) for name, one in judged.items()},
            Likeness(self.found[path], self.found[path] * np.nan if right is None else right),
            tuple(self._worst(path, judged)),
            untold,
            room,
            hides,
        )

    def _untold(self, path: str, judged: dict[str, Judged]) -> tuple[int, float, bool]:
        """Entries that no oracle decides; what could hide in them, and whether that is worth a word."""
        known = np.broadcast_to(self.evidence.zero.get(path, np.False_), self.found[path].shape).copy()
        room = np.full(known.shape, np.inf)
        largest = 0.0
        for one in judged.values():
            known |= one.agree | one.disagree
            room = np.fmin(room, one.allowed)
            largest = max(largest, float(np.max(one.scale, initial=0.0, where=np.isfinite(one.scale))))
        if known.all():
            return 0, 0.0, False
        most = float(room[~known].max())
        return int((~known).sum()), most, most > RESOLUTION * largest

    def _worst(self, path: str, judged: dict[str, Judged]) -> list[Entry]:
        for oracle in ("certified", "twin", "complex_step", "finite_difference", "float_run"):
            one = judged.get(oracle)
            if one is None or not one.disagree.any():
                continue
            with np.errstate(invalid="ignore", divide="ignore"):
                part = np.where(one.disagree, np.nan_to_num(one.distance / one.scale, nan=np.inf), -1.0)
            chosen = np.argsort(-part, axis=None, kind="stable")[: min(WORST, int(one.disagree.sum()))]
            places = [tuple(int(i) for i in np.unravel_index(at, part.shape)) for at in chosen]
            return [
                Entry(at[1:], float(self.found[path][at]), float(self.evidence.truth[path][at]), oracle, at[0])
                for at in places
            ]
        return []

    def off(self, path: str) -> float:
        """By how much a leaf is off at most, as a part of its largest entry; inf where that is not known."""
        true = self.evidence.truth.get(path)
        if true is None:
            return float("inf")
        with np.errstate(all="ignore"):
            size, most = np.abs(true).max(initial=0.0), np.abs(self.found[path] - true).max(initial=0.0)
            return float(most / size) if size and np.isfinite(most) else float("inf")

    def entry(self, path: str, entry: Entry) -> str:
        """Where an entry is, in words."""
        name = self.subject.names[entry.output]
        return indexed(path, entry.index) + (f" ({name})" if name else "")


def digits_of(judged: Judged) -> float:
    """To how many digits the entries that agree are known to, the worst of them."""
    known = judged.agree & (judged.scale > 0) & (judged.allowed <= RESOLUTION * judged.scale)
    if not known.any():
        return 0.0
    with np.errstate(divide="ignore"):
        return max(0.0, float(np.min(-np.log10(judged.allowed[known] / judged.scale[known]))))


def finite(number: float | None) -> float | None:
    """A number as JSON has them: None for what is infinite or no number."""
    return None if number is None or not np.isfinite(number) else number
