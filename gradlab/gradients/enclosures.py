"""Proven enclosures of the derivatives, and derived bounds on what rounding may do to them.

A derivative is a sum over all paths from the output to the parameter of the products of the partials along each;
whatever the order in which an implementation multiplies them out, it is off by at most

    Σ over paths  Π |p| · ( Σ along the path  δp / |p|  +  c u )

as in `gradlab.oracles._rounding`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.arithmetic import Rounded, Variable, bounds, gradient, pullback, values
from gradlab.gradients.runs import Arithmetic, outputs
from gradlab.gradients.subject import Subject

Array = np.ndarray[Any, Any]

UNIT = 2.0**-53
TINY = 2.0**-900


def enclosed(subject: Subject, arithmetic: Arithmetic, nudge: Array | None = None) -> tuple[Array, dict[str, Array]]:
    """The outputs (K,) and their derivatives by path, each (K, …), as balls; by 2⁻²⁰⁰ `nudge` (N,) beside the point.

    Raises:
        Refused: the loss does not run on balls.
    """
    with arithmetic.entered():
        found, leaves = outputs(subject, arithmetic, taped=True, nudge=nudge)
        wanted = {path: leaf for path, leaf in leaves.items() if path in subject.wanted()}
        rows = [gradient(one, list(wanted.values())) for one in found]
        by_path = {path: arithmetic.plain(np.stack([row[i] for row in rows])) for i, path in enumerate(wanted)}
        plain = [one.value if isinstance(one, Variable) else one for one in found]
        return arithmetic.plain(np.array([*plain, None], object)[:-1]), by_path


def output_rounding(subject: Subject, *, dtype: Any = np.float64) -> tuple[Array, Array]:
    """The outputs (K,) and derived bounds on their rounding in float64.

    Raises:
        Refused: the loss does not run on error bounds.
    """
    arithmetic = Arithmetic(None, dtype)
    with arithmetic.entered():
        found, _ = outputs(subject, arithmetic, taped=False)
        return values(found), bounds(found)


def chain_rounding(subject: Subject) -> dict[str, Array]:
    """Bounds by path, each (K, …), on what any order of the chain rule's products may be off by in float64.

    Raises:
        Refused: the loss does not run on error bounds.
    """
    arithmetic = Arithmetic(None)
    with arithmetic.entered():
        found, leaves = outputs(subject, arithmetic, taped=True)
        wanted = {path: leaf for path, leaf in leaves.items() if path in subject.wanted()}
        # No sum has more terms than there were operations; Variables are numbered downwards.
        first = max(int(x.index) for leaf in leaves.values() for x in leaf.flat)
        operations = max([first - one.index for one in found if isinstance(one, Variable)], default=0)
        PathSum.roundings = (2 * operations + 16) * UNIT
        rows = [
            pullback([one], [PathSum(1.0, 0.0)], list(wanted.values()))
            if isinstance(one, Variable)
            else [np.zeros(leaf.shape, object) for leaf in wanted.values()]
            for one in found
        ]
        read = np.frompyfunc(lambda x: x.bound if isinstance(x, PathSum) else 0.0, 1, 1)
        return {path: np.stack([np.asarray(read(row[i]), float) for row in rows]) for i, path in enumerate(wanted)}


class PathSum:
    """The sum over paths of Π |p|, and of the error that it may carry."""

    __slots__ = ("error", "magnitude")
    roundings = 0.0

    def __init__(self, magnitude: float, error: float) -> None:
        self.magnitude, self.error = magnitude, error

    def __add__(self, other: PathSum) -> PathSum:
        return PathSum(self.magnitude + other.magnitude, self.error + other.error)

    def __mul__(self, partial: Any) -> PathSum:
        if isinstance(partial, Rounded):
            closed = partial.closed()
            size, slack = abs(closed.v) + closed.e, closed.e
        else:
            size, slack = abs(float(partial)), 0.0
        if size == 0:
            return PathSum(0.0, 0.0)
        magnitude = size * self.magnitude
        return PathSum(magnitude, size * self.error + slack * self.magnitude + self.roundings * magnitude + TINY)

    @property
    def bound(self) -> float:
        return self.error + PathSum.roundings * self.magnitude
