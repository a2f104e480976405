"""The complex step (Squire and Trapp, 1998): Im l(w + ih) / h, without subtraction, one forward for each coordinate.

With h = 2⁻⁶⁰ the truncation, of order h², is far below rounding. What rounds is the chain rule, carried out in the
imaginary parts; its derived bound is that of the chain rule multiplied out in any order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.cells import Cell
from gradlab.oracles._nudging import differentiable, nudged_intermediate, nudged_losses
from gradlab.oracles._reduction import reduced
from gradlab.oracles._rounding import rounding
from gradlab.oracles._sensitivity import of_steps, single_steps
from gradlab.oracles.evidence import Evidence
from gradlab.problem import Problem

Array = np.ndarray[Any, Any]

PRECISIONS = (53,)

STEP = 2.0**-60


def evidence(cell: Cell, problem: Problem, bits: int = 53) -> Evidence:
    """Derivatives of the loss by every weight, input, state and nudged intermediate, with their derived bounds."""
    inputs = problem.astype(np.float64).inputs()
    values: dict[str, Array] = {}
    with np.errstate(all="ignore"):
        shapes = differentiable(cell, inputs)
        for name, losses in nudged_losses(cell, inputs, shapes, {name: [1j * STEP] for name in shapes}).items():
            values |= reduced(cell, name, losses[0].imag / STEP)
        for (of, uses), wanted in cell.sensitivities.items():
            used = inputs if uses == "all" else single_steps(cell, inputs)
            for quantity in wanted:
                moved = nudged_intermediate(cell, used, of, quantity.by, [1j * STEP])[0]
                values[quantity.name] = of_steps(moved.imag / STEP, len(inputs.x))
    derived = rounding(cell, problem).derivatives
    # Where e⁻ᶻ overflows, complex division gives NaN: nothing is known there.
    bounds = {name: np.where(np.isfinite(value), derived[name], np.inf) for name, value in values.items()}
    return Evidence("complex_step", {name: np.nan_to_num(value) for name, value in values.items()}, bounds)
