"""What would make a false claim true: a search over one- and two-edit changes.

Candidates are sifted in float64 at single steps; what passes is judged on balls, as any claim is, before it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from time import process_time
from typing import Any

import numpy as np

from gradlab.arithmetic.ball import balls
from gradlab.arithmetic.balls import midpoints, precision
from gradlab.interrupts import checkpoint
from gradlab.verifier.edits import KINDS, Edit, edits, mending, shape_or_none
from gradlab.verifier.evaluate import Clock, NoSuchStep
from gradlab.verifier.judge import FIRST_BITS, Judge
from gradlab.verifier.report import Repair
from gradlab.verifier.shapes import Trouble, same
from gradlab.verifier.terms import Arbitrary, Derivative, Name, Term, latex
from gradlab.verifier.world import Balls

SECONDS = 3.0
SIFTED = 1e-9

Candidate = tuple[tuple[Edit, ...], Term, Term]


class Floats:
    """The values of a `Balls` rounded to float64: for sifting candidates, never for a verdict."""

    def __init__(self, values: Balls) -> None:
        self.balls = values
        self._known: dict[Any, Any] = {}

    def tick(self) -> None:
        self.balls.tick()

    def number(self, value: Fraction) -> float:
        return float(value)

    def generic(self, name: str, primed: bool) -> Any:
        compute = self.balls.generic(name, primed)
        return lambda z: midpoints(compute(balls(np.asarray(z, dtype=float))))

    def arbitrary(self, term: Arbitrary, clock: Clock) -> Any:
        return midpoints(self.balls.arbitrary(term, clock))

    def name(self, name: Name, clock: Clock) -> Any:
        key = (name.name, None if name.time is None else name.time.at(clock))
        if key not in self._known:
            self._known[key] = midpoints(self.balls.name(name, clock))
        return self._known[key]

    def derivative(self, term: Derivative, clock: Clock) -> Any:
        key = (term, self.balls.programs.relevant(term, clock))
        if key not in self._known:
            self._known[key] = midpoints(self.balls.derivative(term, clock))
        return self._known[key]


def find_repair(judge: Judge, left: Term, right: Term, seconds: float = SECONDS) -> Repair | None:
    """The smallest change found that makes left = right true, on the right side sooner than on the left; or None."""
    with precision(FIRST_BITS):
        sieve = _Sieve(judge, left, right)
    deadline = process_time() + seconds
    tried: set[tuple[Term, Term]] = {(left, right)}
    for candidates in _rounds(judge, left, right):
        for changes, new_left, new_right in candidates:
            checkpoint()
            if process_time() > deadline:
                return None
            if new_left == new_right or (new_left, new_right) in tried:
                continue
            tried.add((new_left, new_right))
            sifted = _conform(judge, new_left, new_right) and sieve.passes(new_left, new_right)
            if sifted and _holds(judge, new_left, new_right, sieve.judged):
                return _repair(changes, new_left, new_right)
    return None


def _rounds(judge: Judge, left: Term, right: Term) -> Iterator[Iterator[Candidate]]:
    """Candidates, the likeliest first: one edit on the right, one on the left, two on the right, one on each."""
    scope = judge.scope

    def singles(term: Term, other: Term) -> list[Edit]:
        found = [*edits(term, scope), *mending(term, scope, other)]
        return sorted(found, key=lambda edit: KINDS.index(edit.kind))

    on_right = singles(right, left)
    yield (((edit,), left, edit.result) for edit in on_right)
    on_left = singles(left, right)
    yield (((edit,), edit.result, right) for edit in on_left)
    yield (((one, two), left, two.result) for one in on_right for two in singles(one.result, left))
    yield (((one, two), two.result, one.result) for one in on_right for two in on_left)


class _Sieve:
    """Looks in float64 at one point whether a candidate can be true; an approximate "no" only costs a repair."""

    def __init__(self, judge: Judge, left: Term, right: Term) -> None:
        self.judge = judge
        self.floats = Floats(judge.balls(0))
        self.steps = judge.steps(left, right)
        found = judge.claim(left, right) if _conform(judge, left, right) else None
        # A candidate has to be judged at every step at which the claim was; a claim without a shape was judged at none.
        self.judged = set(found.steps) if found else set()
        # The steps at which it is wrong come first: there most candidates fail.
        wrong = found.false_steps if found else ()
        self.order = sorted(self.steps, key=lambda step: step not in wrong)

    def passes(self, left: Term, right: Term) -> bool:
        with precision(FIRST_BITS):
            return all(self._agree(left, right, step) for step in self.order)

    def _agree(self, left: Term, right: Term, step: int | None) -> bool:
        clock = self.judge.scope.clock(step)
        try:
            a, b = (self.judge.programs(term)(self.floats, clock) for term in (left, right))
        except NoSuchStep:
            return step not in self.judged
        except (Trouble, ArithmeticError, KeyError):
            return False
        with np.errstate(all="ignore"):
            return bool(np.all(np.abs(a - b) <= SIFTED * np.maximum(np.max(np.abs(a)), np.max(np.abs(b)))))


def _conform(judge: Judge, left: Term, right: Term) -> bool:
    shapes = shape_or_none(left, judge.scope), shape_or_none(right, judge.scope)
    return None not in shapes and same(*shapes)  # type: ignore[arg-type]


def _holds(judge: Judge, left: Term, right: Term, judged: set[Any]) -> bool:
    try:
        found = judge.claim(left, right)
    except Trouble:
        return False
    return found.word == "true" and (judged - {None} <= set(found.steps) or not found.steps)


def _repair(changes: tuple[Edit, ...], left: Term, right: Term) -> Repair:
    mistakes = list(dict.fromkeys(edit.mistake for edit in changes))
    shown = tuple((latex(edit.before), latex(edit.after)) for edit in changes)
    return Repair(" and ".join(mistakes), shown, f"{latex(left)} = {latex(right)}")
