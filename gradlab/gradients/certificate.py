"""Proof: the gradient and the derivative, both on balls, refined until every entry is decided."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.arithmetic import Undecidable, midpoints, radii
from gradlab.checker.verdict import RESOLUTION, Judged, judge, judge_balls
from gradlab.gradients.conventions import Conventions
from gradlab.gradients.enclosures import enclosed
from gradlab.gradients.evidence import Evidence, gradient_bounds, gradient_rounding, refuse_infinite
from gradlab.gradients.runs import Arithmetic, Refused, gradients, outputs
from gradlab.gradients.subject import Subject

Array = np.ndarray[Any, Any]

PRECISIONS = (512, 2048)
# An enclosure of 0 that reaches no further than this part of the largest entry: zero, as far as anything can show.
ZERO = 2.0**-200
# A change of the derivative over a distance of 2⁻²⁰⁰ that no smooth function makes.
JUMP = 2.0**-100


class Certificate:
    """Enclosures of what the gradient should be, and what it is on balls if it runs there."""

    def __init__(self, subject: Subject, conventions: Conventions, found: dict[str, Array]) -> None:
        self.subject, self.conventions, self.found = subject, conventions, found
        self.enclosures: dict[str, Array] = {}
        self.unclipped: dict[str, Array] = {}
        self.outputs: Array = np.empty(0)
        self.why_floats: str | None = None
        self.bits = 0

    def judge(self) -> Evidence:
        """Refine until every entry is decided.

        Raises:
            Refused: the loss does not run on balls.
        """
        evidence = Evidence()
        for bits in PRECISIONS:
            self.bits = bits
            formula = self._at(Arithmetic(bits))
            if formula is None or not any(one.undecided.any() for one in formula[1].values()):
                break
        evidence.bits = self.bits
        with Arithmetic(self.bits).entered():
            evidence.truth = {path: midpoints(leaf) for path, leaf in self.enclosures.items()}
            if formula is not None:
                values, judged = formula
                evidence.add("certified", self._excused(_representable(judged)))
                evidence.zero = _zero(self.enclosures, values)
            evidence.add("certified" if formula is None else "float_run", self._floats(evidence, formula))
        if formula is None:
            evidence.notes.append(f"the gradient is judged by its float run alone: {self.why_floats}")
        return evidence

    def kinks(self, direction: Array) -> dict[str, Array]:
        """Where the derivative jumps at the very point, by path, each of the leaf's shape: it has another value 2⁻²⁰⁰
        away along the direction (N,), on either side.

        Raises:
            Refused: the loss does not run there.
        """
        arithmetic = Arithmetic(self.bits)
        found = {}
        with arithmetic.entered():
            sides = [enclosed(self.subject, arithmetic, side * direction)[1] for side in (1, -1)]
            for path, leaf in self.unclipped.items():
                middle = midpoints(leaf)
                reach = [np.abs(midpoints(side[path] - leaf)) - radii(side[path] - leaf) for side in sides]
                jump = np.maximum(*reach) > JUMP * max(float(np.abs(middle).max()), float(np.abs(reach).max()))
                found[path] = jump.any(axis=0)
        return {path: where for path, where in found.items() if where.any()}

    def same_function(self, points: Array, values: Array, noise: Array) -> bool:
        """Whether the balls give what floats give: values (D, K) at points (D, N)."""
        arithmetic = Arithmetic(self.bits)
        with arithmetic.entered():
            for point, value in zip(points, values, strict=True):
                found = arithmetic.plain(
                    np.array([*outputs(self.subject, arithmetic, taped=False, at=point)[0], None])[:-1]
                )
                if (np.abs(midpoints(found) - value) > radii(found) + 8 * noise + 2.0**-30 * np.abs(value)).any():
                    return False
        return True

    def _at(self, arithmetic: Arithmetic) -> tuple[dict[str, Array], dict[str, Judged]] | None:
        self.outputs, true = enclosed(self.subject, arithmetic)
        with arithmetic.entered():
            try:
                wanted = self.conventions.applied(true, self._factor(arithmetic))
            except Undecidable:
                raise Refused("a clip is met exactly") from None
            self.unclipped = {path: leaf for path, leaf in true.items() if path in self.found}
            self.enclosures = {path: leaf for path, leaf in wanted.items() if path in self.found}
            try:
                values = gradients(self.subject, arithmetic)
            except Refused as refused:
                self.why_floats = str(refused)
                return None
            return values, {path: judge_balls(values[path], self.enclosures[path]) for path in self.found}

    def _factor(self, arithmetic: Arithmetic) -> Any:
        if not arithmetic.blurred:
            return self.conventions.factor
        return arithmetic.scalars(())(self.conventions.factor).inner

    def _excused(self, judged: dict[str, Judged]) -> dict[str, Judged]:
        """Without the disagreements that an ulp in the constants explains."""
        if not any(one.disagree.any() for one in judged.values()):
            return judged
        blurred = Certificate(self.subject, self.conventions, self.found)
        again = blurred._at(Arithmetic(self.bits, blurred=True))
        if again is None:
            return judged
        for path, one in judged.items():
            wider = again[1][path]
            excused = one.disagree & ~wider.disagree & (wider.allowed <= RESOLUTION * wider.scale)
            one.disagree &= ~excused & wider.disagree
            one.agree |= excused
            one.allowed = np.where(excused, np.maximum(one.distance, np.spacing(one.scale)), one.allowed)
        return judged

    def _floats(self, evidence: Evidence, formula: Any) -> dict[str, Judged]:
        rounding, why = gradient_rounding(self.subject, self.found)
        if why:
            evidence.estimated["certified" if formula is None else "float_run"] = why
        judged = {}
        for path, leaf in self.enclosures.items():
            middle = midpoints(leaf)
            judged[path] = judge(self.found[path], rounding[path], middle, radii(leaf) + np.spacing(np.abs(middle)))
            refuse_infinite(self.found[path], judged[path])
        wrong = [path for path, one in judged.items() if (one.disagree & np.isfinite(self.found[path])).any()]
        if not wrong or why:
            return judged
        return self._blurred_floats(judged)

    def _blurred_floats(self, judged: dict[str, Judged]) -> dict[str, Judged]:
        """The same with constants known to an ulp, where it matters."""
        blurred = Certificate(self.subject, self.conventions, self.found)
        try:
            blurred._at(Arithmetic(self.bits, blurred=True))
            wider = gradient_bounds(self.subject, self.found, blurred=True)
        except Refused:
            return judged
        for path, leaf in blurred.enclosures.items():
            middle = midpoints(leaf)
            again = judge(self.found[path], wider[path], middle, radii(leaf) + np.spacing(np.abs(middle)))
            refuse_infinite(self.found[path], again)
            judged[path] = again if judged[path].disagree.any() else judged[path]
        return judged


def _representable(judged: dict[str, Judged]) -> dict[str, Judged]:
    """Two numbers that are both 0 in float64 are equal: e⁻¹ᴱ⁹, where a mask has put −1e9, is no gradient."""
    for one in judged.values():
        none = one.scale < np.finfo(float).tiny
        one.agree |= none
        one.disagree &= ~none
        one.scale = np.where(none, 0.0, one.scale)
    return judged


def _zero(enclosures: dict[str, Array], values: dict[str, Array]) -> dict[str, Array]:
    largest = max(float(np.max(_reach(leaf), initial=0.0)) for leaf in enclosures.values())
    found = {}
    for path, leaf in enclosures.items():
        both = (leaf, values[path])
        found[path] = np.all([(_reach(one) <= ZERO * largest) & _holds(one) for one in both], axis=0)
    return found


def _reach(leaf: Array) -> Array:
    """How far from 0 balls reach."""
    return np.abs(midpoints(leaf)) + radii(leaf)


def _holds(leaf: Array) -> Array:
    """Where balls hold 0."""
    return radii(leaf) >= np.abs(midpoints(leaf))
