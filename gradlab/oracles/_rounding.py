"""The derived bounds by which float64 oracles are judged.

Forward values carry the running error bound of `gradlab.arithmetic.rounded`. A derivative is a sum over all paths from
the loss to the variable of the products of the partial derivatives along each; forward mode, reverse mode and the
complex step multiply the same partials in different orders, and cancel in different places. Whatever the order, the
computed derivative is off by at most

    Σ over paths  Π |p|  ·  ( Σ along the path  δp / |p|  +  c u )

where δp bounds the error of the partial p, and c counts the roundings of one product and of the sums it enters
(Higham, Accuracy and Stability, 2002, section 3.1; the sums over paths as in Griewank and Walther, 2008, section 2.4).
One reverse pass over the tape with all partials taken absolutely gives both sums.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gradlab.arithmetic import Rounded, bounds, pullback, rounded
from gradlab.arithmetic import rounding as rounding_in
from gradlab.cells import Cell, Quantity
from gradlab.oracles._reduction import reduced
from gradlab.oracles._sensitivity import of_steps, single_steps
from gradlab.oracles._taped import Taped, taped
from gradlab.problem import Problem

Array = np.ndarray[Any, Any]

UNIT = 2.0**-53

# What a product may lose to underflow; the complex step scales its products by 2⁻⁶⁰, so it starts as much earlier.
TINY = 2.0**-900


class Rounding(NamedTuple):
    """values: bounds on the intermediates and per-step losses. losses: on each sample's loss, (T, B).
    derivatives: bounds on every delta and gradient.
    """

    values: dict[str, Array]
    losses: Array
    derivatives: dict[str, Array]


@lru_cache(maxsize=8)
def rounding(cell: Cell, problem: Problem) -> Rounding:
    """The bounds of one problem in float64; three oracles ask for the same."""
    with rounding_in(np.float64):
        inputs = problem.inputs(rounded)
        run = taped(cell, inputs)
        T, B, I = problem.x.shape
        n = sum(problem.sizes.values()) + T * B
        # A product rounds once, a complex one three times; a sum of n terms (2n complex) rounds once for each.
        PathSum.roundings = (2 * n + 16) * UNIT
        one = np.eye(T)
        seeds = [PathSum(one[k], np.zeros(T)) for k in range(T) for _ in range(B)]
        found = pullback(list(run.losses.flat), seeds, list(run.wrt.values()))
        derivatives: dict[str, Array] = {}
        for name, sums in zip(run.wrt, found, strict=True):
            jacobian = np.moveaxis(np.array([_bound(s, T) for s in sums.flat]).reshape(*sums.shape, T), -1, 0)
            derivatives |= reduced(cell, name, jacobian)
        trace = {name: _values(array) for name, array in run.trace.items()}
        for (of, uses), wanted in cell.sensitivities.items():
            used = run if uses == "all" else taped(cell, single_steps(cell, inputs, trace))
            derivatives |= {name: of_steps(bound, T) for name, bound in _sensitivities(used, of, wanted).items()}
        values = {name: bounds(array) for name, array in trace.items()}
        losses = _values(run.losses)
        values["loss"] = bounds(losses.sum(axis=1))
        return Rounding(values, bounds(losses), derivatives)


class PathSum:
    """The sums over paths from each step's loss, (T,): of Π |p|, and of the error that it may carry."""

    __slots__ = ("error", "magnitude")
    roundings = 0.0

    def __init__(self, magnitude: Array, error: Array) -> None:
        self.magnitude = magnitude
        self.error = error

    def __add__(self, other: PathSum) -> PathSum:
        return PathSum(self.magnitude + other.magnitude, self.error + other.error)

    def __mul__(self, partial: Any) -> PathSum:
        if type(partial) is not Rounded:
            size, slack = abs(partial), 0.0
        else:
            closed = partial.closed()
            size, slack = abs(closed.v) + closed.e, closed.e
        if size == 0:
            return PathSum(np.zeros_like(self.magnitude), np.zeros_like(self.error))
        if not math.isfinite(size):  # nothing is known of this partial: 0 times it is 0, all else has no bound
            unknown = np.where(self.magnitude > 0, np.inf, 0.0)
            return PathSum(unknown, unknown)
        magnitude = size * self.magnitude
        with np.errstate(invalid="ignore", over="ignore"):
            error = size * self.error + slack * self.magnitude + self.roundings * magnitude
        error = np.where(np.isnan(error), np.inf, error)  # of an infinite magnitude nothing is known either
        return PathSum(magnitude, error + TINY * (self.magnitude > 0))


def _sensitivities(run: Taped, of: str, wanted: list[Quantity]) -> dict[str, Array]:
    """Bounds on the derivatives of an intermediate by weights, each of the intermediate's shape and the weight's."""
    outputs = run.trace[of]
    one, zero = np.eye(outputs.size), np.zeros(outputs.size)
    sums = pullback(
        list(outputs.flat), [PathSum(row, zero) for row in one], [run.wrt[quantity.by] for quantity in wanted]
    )
    found = {}
    for quantity, by in zip(wanted, sums, strict=True):
        entries = np.array([_bound(one, outputs.size) for one in by.flat])
        found[quantity.name] = entries.T.reshape(*outputs.shape, *by.shape)
    return found


def _bound(path_sum: Any, T: int) -> Array:
    if type(path_sum) is not PathSum:
        return np.zeros(T)
    return path_sum.error + PathSum.roundings * path_sum.magnitude


def _values(variables: Array) -> Array:
    return np.frompyfunc(lambda x: x.value, 1, 1)(variables)
