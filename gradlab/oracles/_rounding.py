"""The derived bounds by which float64 oracles are judged.

Forward values carry the running error bound of `gradlab.arithmetic.rounded`. A derivative is a sum over all paths from
the loss to the variable of the products of the partial derivatives along each; forward mode, reverse mode and the
complex step multiply the same partials in different orders, and cancel in different places. Whatever the order, the
computed derivative is off by at most

    Σ over paths  Π |p|  ·  ( Σ along the path  δp / |p|  +  c u )

where δp bounds the error of the partial p, and c counts the roundings of one product and of the sums it enters
(Higham, Accuracy and Stability, 2002, section 3.1; the sums over paths as in Griewank and Walther, 2008, section 2.4).
One reverse pass over the program with all partials taken absolutely gives both sums.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gradlab.arithmetic.rounded import RoundedArithmetic
from gradlab.cells import Cell
from gradlab.oracles._recording import recorded
from gradlab.oracles._reduction import reduced
from gradlab.oracles._sensitivity import of_steps
from gradlab.problem import Problem
from gradlab.tape.paths import UNIT, Paths

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
    found = recorded(cell, problem)
    T, B, _ = problem.x.shape
    # A product rounds once, a complex one three times; a sum of n terms (2n complex) rounds once for each.
    n = sum(problem.sizes.values()) + T * B
    roundings = (2 * n + 16) * UNIT
    with np.errstate(all="ignore"):
        run = found.run(RoundedArithmetic(), problem)
        paths = Paths(run, found.whole.losses, roundings)
        derivatives: dict[str, Array] = {}
        for name, by in found.whole.wrt.items():
            derivatives |= reduced(cell, name, paths.bounds(by))
        values = {name: run.numbers(index).bounds() for name, index in found.whole.trace.items()}
        values["loss"] = run.numbers(found.whole.total).bounds()
        for (of, uses), wanted in cell.sensitivities.items():
            used, its = (found.whole, run) if uses == "all" else (found.steps, found.run_steps(run, cell, problem))
            assert used is not None
            outputs = used.trace[of]
            paths = Paths(its, outputs.reshape(-1, 1), roundings)
            for quantity in wanted:
                by = used.wrt[quantity.by]
                derivatives[quantity.name] = of_steps(paths.bounds(by).reshape(*outputs.shape, *by.shape), T)
        return Rounding(values, run.numbers(found.whole.losses).bounds(), derivatives)
