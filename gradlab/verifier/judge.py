"""Whether two sides are equal: true to 30 digits, proven false, or cannot tell.

A claim is judged at every step, at several random points, and in several worlds: at another number of steps and at
other sizes too, so that no literal can carry it. Where the balls of the two sides are disjoint it is proven false.
Where they overlap, narrower than 1e-30 of each entry compared, it agrees to 30 digits. Otherwise the precision is
doubled, up to a limit. An entry that is zero has no relative radius: it must be below 1e-30 of the numbers that the
symbols take, which are near 1, and again with twice the bits. Balls begin at 512 bits, so that a difference is seen
beside numbers up to 1e120 times as large.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import product
from random import Random
from typing import Any

import numpy as np

from gradlab.arithmetic.balls import contains, finite, midpoints, overlaps, precision, radii, within
from gradlab.verifier.evaluate import COMPARISONS, PIECEWISE, NoSuchStep, range_of
from gradlab.verifier.shapes import Trouble
from gradlab.verifier.terms import Apply, Name, Number, Term, Time, letters, walk
from gradlab.verifier.world import POSITIVE, Balls, Programs

POINTS = 2
DIGITS = 30
FIRST_BITS = 512
MOST_BITS = 2048

NARROW = 10.0**-DIGITS
MOST_CLOCKS = 64
MORE_POINTS = 40
"""Where a claim has several free letters, so many of their values are drawn."""

Condition = tuple[Time, str, Time] | None
Conditions = tuple[Condition, ...]
Key = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Judgement:
    """What was found about one claim.

    word: "true", "false", "cannot tell", "structural zero" or "tried nowhere". steps: those it was judged at, empty if
    it does not depend on t; false_steps: those at which it is proven false; skipped: those at which one side does not
    exist, or both are zero. left, right: both sides where they first differ. elsewhere: in words, the number of steps
    and the sizes, where it is false in another world than the first only.
    """

    word: str
    steps: tuple[int, ...] = ()
    false_steps: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()
    note: str = ""
    left: Any = None
    right: Any = None
    elsewhere: str = ""


class Judge:
    """Judges the claims of one document, always at the same random points of the same worlds."""

    def __init__(self, *worlds: Programs, points: int = POINTS) -> None:
        self.memory: Any = None
        self.worlds, self.programs, self.scope, self.points = worlds, worlds[0], worlds[0].scope, points
        self._balls: dict[tuple[int, int, int], Balls] = {}

    def balls(self, point: int, bits: int = FIRST_BITS, world: int = 0) -> Balls:
        """The values at a random point; to be used within `precision(bits)`."""
        found = self._balls.get((point, bits, world))
        if found is None:
            found = self._balls[point, bits, world] = Balls(self.worlds[world], point)
        return found

    def steps(self, *terms: Term, world: int = 0) -> tuple[int | None, ...]:
        """The steps at which terms have to be looked at: all, or (None,) if they do not depend on t."""
        timed = any("t" in letters(term) for term in terms)
        return tuple(self.worlds[world].scope.range()) if timed else (None,)

    def clocks(self, terms: tuple[Term, ...], conditions: Conditions, world: int) -> list[dict[str, int]]:
        """What the free letters of terms may stand for: every step, every index, or so many of them, drawn at random.

        Raises:
            Trouble: a letter is an index of nothing.
        """
        scope = self.worlds[world].scope
        free = sorted(
            {letter for term in terms for letter in letters(term)} - {"T"}, key=lambda each: (each != "t", each)
        )
        ranges: list[range] = []
        for letter in free:
            found = None if letter == "t" else range_of(letter, terms, scope)
            if found is None and letter in scope.indices:
                raise Trouble("undefined", f"the range of {letter} is not known: nothing has it as an index")
            ranges.append(found or scope.range())
        clocks = [scope.clock(None) | dict(zip(free, at, strict=True)) for at in product(*ranges)]
        kept = [clock for clock in clocks if all(_holds(condition, clock) for condition in conditions)]
        return kept if len(kept) <= MOST_CLOCKS else sorted(Random(0).sample(kept, MOST_CLOCKS), key=str)

    @cached_property
    def fingerprint(self) -> str:
        """What a judgement depends on beside the claim: every symbol, size and convention of its worlds."""
        text = repr([(p.scope.symbols, p.scope.sizes, p.scope.steps, p.scope.first, p.scope.base, p.scope.layout,
                      sorted(p.copied)) for p in self.worlds])  # fmt: skip
        return sha256(text.encode()).hexdigest()

    def claim(self, left: Term, right: Term, conditions: Conditions = ()) -> Judgement:
        """The verdict on left = right, where conditions (a time or an index, a sign, another) restrict it.

        Raises:
            Trouble: a side has no shape or no value at all.
            OutOfTime: the document's time is used up.
        """
        if left == right:
            return Judgement("true", note="the two sides are the same formula")
        if self.memory is None:
            return self._claim(left, right, conditions)
        key = self.fingerprint, left, right, conditions
        found: Judgement = self.memory.found(key, lambda: self._claim(left, right, conditions))
        return found

    def _claim(self, left: Term, right: Term, conditions: Conditions) -> Judgement:
        first = self._in_world(left, right, conditions, 0)
        pieces = self._pieces(left, right)
        if first.word in ("true", "structural zero") and pieces:
            first = self._on_both_sides(left, right, conditions, pieces, first)
        if first.word != "true":
            return first
        for world in range(1, len(self.worlds)):
            other = self._in_world(left, right, conditions, world)
            for point in range(self.points + 1, self.points + MORE_POINTS if pieces else 0):
                if other.word != "structural zero":
                    break
                other = self._in_world(left, right, conditions, world, (point,))
            if other.word != "true":
                scope = self.worlds[world].scope
                sizes = ", ".join(f"{name} = {size}" for name, size in scope.sizes.items())
                where = f"T = {scope.steps}" + (f", {sizes}" if sizes else "")
                note = f"{other.note}, where {where}" if other.note else ""
                return Judgement(
                    other.word, other.steps, other.false_steps, other.skipped, note, other.left, other.right, where
                )
        return first

    def _pieces(self, *terms: Term) -> set[Term]:
        """The functions of two pieces in terms, and in what their symbols stand for."""
        found: set[Term] = set()
        done: set[str] = set()
        todo = list(terms)
        while todo:
            for part in walk(todo.pop()):
                if isinstance(part, Apply) and part.function in PIECEWISE:
                    found.add(part)
                elif isinstance(part, Name) and part.name not in done:
                    done.add(part.name)
                    symbol = self.scope.symbols.get(part.name)
                    todo += [symbol.body] if symbol is not None and symbol.body is not None else []
        return found

    def _on_both_sides(
        self, left: Term, right: Term, conditions: Conditions, pieces: set[Term], first: Judgement
    ) -> Judgement:
        """The verdict at more points, until every function of two pieces has been met on both of them."""
        sides = self.programs.sides
        for point in range(self.points + 1, self.points + MORE_POINTS):
            met = all(len(sides.get(piece, ())) == 2 for piece in pieces)
            if met and first.word == "true" and point > self.points + 3:
                return first
            more = self._in_world(left, right, conditions, 0, (point,))
            if more.word not in ("true", "structural zero", "tried nowhere"):
                return more
            first = more if first.word != "true" else first
        unmet = next((piece for piece in pieces if len(sides.get(piece, ())) < 2), None)
        if not isinstance(unmet, Apply):
            return first
        return Judgement("cannot tell", note=f"one side of {unmet.function} was never met: nothing was tried there")

    def _in_world(
        self, left: Term, right: Term, conditions: Conditions, world: int, points: Iterable[int] = ()
    ) -> Judgement:
        clocks = self.clocks((left, right), conditions, world)
        judged: dict[Key, str] = {}
        zeros: set[Key] = set()
        differ: tuple[Any, Any] | None = None
        points = points or (range(self.points) if world == 0 else (self.points,))
        for clock in clocks:
            step = tuple(clock.items())
            for point in points:
                found = self._at(left, right, point, clock, world)
                if found is None:
                    continue
                word, a, b = found
                before = judged.get(step, "zero")
                judged[step] = max(before, word, key=_ORDER.index)
                if word == "false":
                    differ = differ or (midpoints(a), midpoints(b))
                    break
            if judged.get(step) == "zero":
                zeros.add(step)
        return _verdict(judged, zeros, differ, clocks, is_zero(left) or is_zero(right))

    def _at(
        self, left: Term, right: Term, point: int, clock: dict[str, int], world: int
    ) -> tuple[str, Any, Any] | None:
        """The verdict at one point and step with both sides, or None if there is no such step."""
        programs = self.worlds[world]
        bits = FIRST_BITS
        asked_again = False
        while True:
            programs.tick()
            with precision(bits):
                balls = self.balls(point, bits, world)
                try:
                    a, b = np.broadcast_arrays(balls.value(left, clock), balls.value(right, clock))
                except NoSuchStep:
                    return None
                except KeyError as error:
                    raise Trouble("undefined", f"{error.args[0]} stands for no step here") from None
                if not (finite(a).all() and finite(b).all()):
                    if programs.scope.strict or point >= POSITIVE:
                        return "not finite", a, b
                    return self._at(left, right, point + POSITIVE, clock, world)
                word = compare(a, b)
                has_zeros = word == "true" and bool((_zeros(a, b) & ~_narrow(a, b)).any())
            if word == "false" or bits >= MOST_BITS or (word == "true" and (asked_again or not has_zeros)):
                return ("zero" if word == "true" and bool(_zeros(a, b).all()) else word), a, b
            asked_again = word == "true"
            bits *= 2


_ORDER = ("zero", "true", "cannot tell", "not finite", "false")


def _holds(condition: Condition, clock: Mapping[str, int]) -> bool:
    if condition is None or any(
        letter not in clock for side in (condition[0], condition[2]) for letter, _ in side.letters
    ):
        return True
    left, sign, right = condition
    return COMPARISONS[sign](left.at(clock), right.at(clock))


def _verdict(
    judged: Mapping[Key, str], zeros: set[Key], differ: Any, clocks: list[dict[str, int]], says_zero: bool
) -> Judgement:
    word = max(judged.values(), key=_ORDER.index, default="")
    tried = [step for step in judged if step not in zeros]
    least = len(clocks) / (2 if not clocks or len(clocks[0]) <= 2 else 4)
    note = ""
    if not judged:
        word, note = "tried nowhere", "there is no step at which both sides exist"
    elif word == "not finite":
        word, note = "cannot tell", "a side is not finite: it overflows or is not defined"
    elif word in ("true", "zero") and len(judged) < least:
        word, note = "cannot tell", f"both sides exist at {len(judged)} of {len(clocks)} steps only"
    elif word == "zero":
        word, note = ("true", ZERO_NOTE) if says_zero else ("structural zero", "both sides are zero everywhere")
    elif word == "true" and len(tried) < least and not says_zero:
        word, note = "cannot tell", f"both sides exist, and are not zero, at {len(tried)} of {len(clocks)} steps only"
    elif word == "cannot tell":
        note = f"the sides agree, but not to {DIGITS} digits, even with {MOST_BITS} bits"
    left, right = differ or (None, None)
    return Judgement(
        word,
        _steps(judged),
        _steps([step for step in judged if judged[step] == "false"]),
        _steps([step for clock in clocks if (step := tuple(clock.items())) not in tried]),
        note,
        left,
        right,
    )


def _steps(clocks: Iterable[Key]) -> tuple[int, ...]:
    """The steps t among clocks, each once; none where they do not depend on t."""
    return tuple(dict.fromkeys(dict(clock)["t"] for clock in clocks if "t" in dict(clock)))


ZERO_NOTE = "0 = 0 by structure, which proves nothing"


def compare(a: Any, b: Any) -> str:
    """The verdict on two arrays of finite balls of one shape."""
    if not overlaps(a, b).all():
        return "false"
    narrow = _narrow(a, b)
    return "true" if narrow.all() or (narrow | _zeros(a, b)).all() else "cannot tell"


def _narrow(a: Any, b: Any) -> Any:
    return within(a, NARROW) & within(b, NARROW)


def _zeros(a: Any, b: Any) -> Any:
    """Where both are zero to 30 digits of what the symbols take: no relative radius can say so."""
    return np.all([contains(x, 0) & (np.abs(midpoints(x)) + radii(x) <= NARROW) for x in (a, b)], axis=0)


def is_zero(term: Term) -> bool:
    """Whether a side is the literal number 0."""
    return isinstance(term, Number) and term.value == 0


__all__ = ["ZERO_NOTE", "Judge", "Judgement", "Trouble", "compare", "is_zero"]
