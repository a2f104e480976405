"""Whether two sides are equal: true to 30 digits, proven false, or cannot tell.

A claim is judged at every step and at several random points. Where the balls of the two sides are disjoint it is proven
false. Where they overlap and are narrower than 1e-30 of their value it agrees to 30 digits. Otherwise the precision is
doubled, up to a limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab.arithmetic.ball import midpoints, overlaps, precision, radii, relative_radius
from gradlab.verifier.evaluate import Clock
from gradlab.verifier.shapes import Trouble
from gradlab.verifier.terms import Add, Number, Subtract, Sum, Term, letters, parts
from gradlab.verifier.world import Balls, NoSuchStep, Programs

POINTS = 3
DIGITS = 30
FIRST_BITS = 128
MOST_BITS = 2048

NARROW = 10.0**-DIGITS


@dataclass(frozen=True)
class Judgement:
    """What was found about one claim.

    word: "true", "false" or "cannot tell". steps: those it was judged at, empty if it does not depend on t;
    false_steps: those at which it is proven false; skipped: those at which one side does not exist.
    left, right: both sides where they first differ.
    """

    word: str
    steps: tuple[int, ...] = ()
    false_steps: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()
    note: str = ""
    left: Any = None
    right: Any = None


class Judge:
    """Judges the claims of one document at the same few random points."""

    def __init__(self, programs: Programs, points: int = POINTS) -> None:
        self.programs, self.scope, self.points = programs, programs.scope, points
        self._balls: dict[tuple[int, int], Balls] = {}

    def balls(self, point: int, bits: int = FIRST_BITS) -> Balls:
        """The values at a random point; to be used within `precision(bits)`."""
        found = self._balls.get((point, bits))
        if found is None:
            found = self._balls[point, bits] = Balls(self.programs, point)
        return found

    def steps(self, *terms: Term) -> tuple[int | None, ...]:
        """The steps at which terms have to be looked at: all, or (None,) if they do not depend on t."""
        timed = any("t" in letters(term) for term in terms)
        return tuple(range(self.scope.steps)) if timed else (None,)

    def claim(self, left: Term, right: Term) -> Judgement:
        """The verdict on left = right.

        Raises:
            Trouble: a side has no shape or no value at all.
            OutOfTime: the document's time is used up.
        """
        if left == right:
            return Judgement("true", note="the two sides are the same formula")
        judged: dict[int | None, str] = {}
        differ: tuple[Any, Any] | None = None
        probed = is_zero(left) or is_zero(right)
        for step in self.steps(left, right):
            for point in range(self.points):
                found = self._at(left, right, point, step)
                if found is None:
                    continue
                word, a, b = found
                judged[step] = _worse(judged.get(step, "true"), word)
                probed = probed or bool(np.any(midpoints(a)) or np.any(midpoints(b)))
                if word == "false":
                    differ = differ or (midpoints(a), midpoints(b))
                    break
        return self._verdict(judged, probed, differ, self.steps(left, right))

    def _verdict(self, judged: dict[int | None, str], probed: bool, differ: Any, steps: Any) -> Judgement:
        word = "true"
        for outcome in judged.values():
            word = _worse(word, outcome)
        note = ""
        if not judged:
            word, note = "cannot tell", "there is no step at which both sides exist"
        elif word == "true" and 2 * len(judged) < len(steps):
            word, note = "cannot tell", f"both sides exist at {len(judged)} of {len(steps)} steps only"
        elif word == "true" and not probed:
            word, note = "cannot tell", "both sides are zero everywhere: nothing was compared"
        elif word == "cannot tell":
            note = f"the sides agree, but not to {DIGITS} digits, even with {MOST_BITS} bits"
        left, right = differ or (None, None)
        return Judgement(
            word,
            tuple(step for step in judged if step is not None),
            tuple(step for step in judged if step is not None and judged[step] == "false"),
            tuple(step for step in steps if step is not None and step not in judged),
            note,
            left,
            right,
        )

    def _at(self, left: Term, right: Term, point: int, step: int | None) -> tuple[str, Any, Any] | None:
        """The verdict at one point and step with both sides, or None if there is no such step."""
        clock = {"T": self.scope.steps} if step is None else {"T": self.scope.steps, "t": step}
        bits = FIRST_BITS
        while True:
            self.programs.tick()
            with precision(bits):
                balls = self.balls(point, bits)
                try:
                    a, b = np.broadcast_arrays(balls.value(left, clock), balls.value(right, clock))
                except NoSuchStep:
                    return None
                word = compare(a, b)
                if word == "cannot tell" and _agree_around_zero(a, b, self._scale((left, right), balls, clock)):
                    word = "true"
            if word != "cannot tell" or bits >= MOST_BITS:
                return word, a, b
            bits *= 2

    def _scale(self, terms: tuple[Term, ...], balls: Balls, clock: Clock) -> float:
        """The largest magnitude among what the sides add up: what a difference of zero is small against."""
        added = [part for term in terms for part in _addends(term)]
        return max((float(np.max(np.abs(midpoints(balls.value(term, clock))))) for term in added), default=0.0)


def compare(a: Any, b: Any) -> str:
    """The verdict on two arrays of balls of one shape."""
    if not overlaps(a, b).all():
        return "false"
    narrow = (relative_radius(a) < NARROW) & (relative_radius(b) < NARROW)
    if narrow.all():
        return "true"
    scale = float(max(np.max(np.abs(midpoints(a))), np.max(np.abs(midpoints(b)))))
    return "true" if (narrow | _zeros(a, b, scale)).all() else "cannot tell"


def _agree_around_zero(a: Any, b: Any, scale: float) -> bool:
    return bool(_zeros(a, b, scale).all())


def _zeros(a: Any, b: Any, scale: float) -> Any:
    """Where both are zero to 30 digits of a scale: no relative radius can say so."""
    return np.all([np.abs(midpoints(x)) + radii(x) <= NARROW * scale for x in (a, b)], axis=0)


def _addends(term: Term) -> Iterator[Term]:
    if isinstance(term, (Add, Subtract)):
        yield term.left
        yield term.right
    if not isinstance(term, Sum):
        for _, part in parts(term):
            yield from _addends(part)


def is_zero(term: Term) -> bool:
    """Whether a side is the literal number 0."""
    return isinstance(term, Number) and term.value == 0


def _worse(one: str, other: str) -> str:
    order = ("true", "cannot tell", "false")
    return max(one, other, key=order.index)


__all__ = ["Judge", "Judgement", "Trouble", "compare", "is_zero"]
