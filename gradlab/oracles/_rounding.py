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

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gradlab.arithmetic import rounding as rounding_in
from gradlab.arithmetic.rounded_arrays import RoundedArithmetic, bounds
from gradlab.arithmetic.traced import Tape
from gradlab.cells import Cell
from gradlab.oracles._paths import UNIT, Paths
from gradlab.oracles._reduction import reduced
from gradlab.oracles._sensitivity import of_steps, single_steps
from gradlab.oracles._taped import taped
from gradlab.problem import Problem

Array = np.ndarray[Any, Any]


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
    with rounding_in(np.float64), np.errstate(all="ignore"):
        tape = Tape(RoundedArithmetic())
        inputs = problem.inputs(tape.numbers)
        run = taped(cell, tape, inputs)
        T, B, I = problem.x.shape
        n = sum(problem.sizes.values()) + T * B
        # A product rounds once, a complex one three times; a sum of n terms (2n complex) rounds once for each.
        roundings = (2 * n + 16) * UNIT
        paths = Paths(tape, run.losses, roundings)
        derivatives: dict[str, Array] = {}
        for name, by in run.wrt.items():
            derivatives |= reduced(cell, name, paths.bounds(by))
        values = {name: bounds(tape.values(array)) for name, array in run.trace.items()}
        values["loss"] = bounds(tape.values(run.losses.sum(axis=1)))
        for (of, uses), wanted in cell.sensitivities.items():
            used = run if uses == "all" else taped(cell, tape, single_steps(cell, inputs, run.trace))
            outputs = used.trace[of]
            paths = Paths(tape, outputs.reshape(-1), roundings)
            for quantity in wanted:
                by = used.wrt[quantity.by]
                derivatives[quantity.name] = of_steps(paths.bounds(by).reshape(*outputs.shape, *by.shape), T)
        return Rounding(values, bounds(tape.values(run.losses)), derivatives)
