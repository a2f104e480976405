"""Reverse-mode automatic differentiation of the JAX twin, in float64.

Its derived bound is that of the chain rule multiplied out in any order; XLA's exp is within the 4 units in the last
place that the bound charges for each transcendental.
"""

from __future__ import annotations

from itertools import chain

import numpy as np

from gradlab.cells import Cell
from gradlab.oracles._rounding import rounding
from gradlab.oracles.evidence import Evidence
from gradlab.problem import Problem

PRECISIONS = (53,)


def evidence(cell: Cell, problem: Problem, bits: int = 53) -> Evidence:
    """Every intermediate, the per-step losses, and all derivatives, with their derived bounds."""
    from gradlab.reference.twin import differentiate, sensitivities

    given = problem.astype(np.float64)
    params, state = given.params._asdict(), given.state._asdict()
    arrays = params, state, given.x, given.y, cell.axes
    twin = differentiate(cell.name, *arrays, cell.nudges)
    values = dict(twin.trace) | {"loss": twin.loss}
    for quantity in cell.of_kind("grad"):
        values[quantity.name] = twin.grads[quantity.by]
    for quantity in cell.of_kind("delta"):
        values[quantity.name] = twin.deltas[quantity.by][quantity.losses]
    quantities = [*cell.step_grads, *chain.from_iterable(cell.sensitivities.values())]
    forward = {quantity.name: (quantity.of, quantity.by, quantity.uses) for quantity in quantities}
    if forward:
        values |= sensitivities(cell.name, *arrays, forward)
    derived = rounding(cell, problem)
    return Evidence("autodiff", values, derived.values | derived.derivatives)
