"""Central differences, Richardson-extrapolated, every coordinate in one batched forward.

Of three steps h, h/2 and h/4 the extrapolation (Richardson, 1911) cancels the errors of order h² and h⁴. Its bound:

    rounding     the derived bound on the rounding of each loss, through the weights of the extrapolation: proven
    truncation   the difference of the two extrapolations of order h⁴, which is the error of the coarser one, and h⁴
                 times the difference of the two finest quotients, in case that difference vanishes by accident, where
                 h is the nudge as it reaches a nonlinearity, which is `STEP`, and not divided by the stretch; where
                 the quotients do not yet converge as h² does, all that they differ by: an estimate, not a proof
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradlab.cells import Cell
from gradlab.oracles._nudging import differentiable, nudged_intermediate, nudged_losses, rounds_more
from gradlab.oracles._reduction import reduced
from gradlab.oracles._rounding import rounding
from gradlab.oracles._sensitivity import of_steps, single_steps
from gradlab.oracles.evidence import Evidence
from gradlab.problem import Inputs, Problem

Array = np.ndarray[Any, Any]

PRECISIONS = (53,)

# Truncation falls as h⁶, rounding grows as 1/h: at 2⁻⁶ both are some 1e-13 of the loss.
STEP = 2.0**-6


def evidence(cell: Cell, problem: Problem, bits: int = 53) -> Evidence:
    """Derivatives of the loss by every weight, input, state and nudged intermediate, with their error bounds."""
    inputs = problem.astype(np.float64).inputs()
    derived = rounding(cell, problem)
    # By whether what is nudged belongs to one sample: the losses that a weight moves are summed over all of them.
    noise = {True: derived.losses[..., None], False: derived.values["loss"]}
    values: dict[str, Array] = {}
    bounds: dict[str, Array] = {}
    shapes = differentiable(cell, inputs)
    steps = {name: STEP / _stretch(problem, name) for name in shapes}
    for name, losses in nudged_losses(cell, inputs, shapes, {n: _nudges(step) for n, step in steps.items()}).items():
        per_sample = name not in inputs.params._fields
        each = noise[per_sample] * (1.0 if per_sample else rounds_more(shapes[name]))
        each = each.reshape(len(each), *[1] * (losses.ndim - 1 - each.ndim), *each.shape[1:])
        slope, bound = extrapolated(losses, steps[name], np.broadcast_to(each, losses.shape[1:]))
        values |= reduced(cell, name, slope)
        bounds |= reduced(cell, name, bound)
    for name, slope, bound in _sensitivities(cell, problem, inputs):
        values[name], bounds[name] = slope, bound
    return Evidence("finite_difference", values, bounds, proven=False)


def _sensitivities(cell: Cell, problem: Problem, inputs: Inputs) -> Iterator[tuple[str, Array, Array]]:
    """(name, values, bounds) of every derivative of an intermediate by a weight.

    An intermediate may be far smaller than what a nudge of h makes of it: its noise there is the noise at the point and
    h times what rounding may do to the derivative, twice (1 + 20 + 64)/45 of whose bound come through.
    """
    noise = rounding(cell, problem)
    for (of, uses), wanted in cell.sensitivities.items():
        used = inputs if uses == "all" else single_steps(cell, inputs)
        for quantity in wanted:
            step = STEP / _stretch(problem, quantity.by)
            moved = nudged_intermediate(cell, used, of, quantity.by, _nudges(step))
            each = rounds_more(moved.shape[4:]) * noise.values[of].reshape(*moved.shape[1:4], *[1] * (moved.ndim - 4))
            slope, bound = (of_steps(part, len(inputs.x)) for part in extrapolated(moved, step, each))
            yield quantity.name, slope, bound + 4 * noise.derivatives[quantity.name]


def extrapolated(losses: Array, step: float, noise: Array) -> tuple[Array, Array]:
    """Richardson's limit and its bound, from losses (6, …) at ±h, ±h/2, ±h/4, each within `noise` of exact."""
    quotient = [(losses[2 * i] - losses[2 * i + 1]) / (2 * step / 2**i) for i in range(3)]
    coarse, fine = ((4 * quotient[i + 1] - quotient[i]) / 3 for i in range(2))
    limit = (16 * fine - coarse) / 15
    # Weights 1, 20, 64 over 45 on quotients whose noise is noise/h, 2 noise/h, 4 noise/h; subtracting and combining
    # rounds once more, which is below the noise of the losses themselves.
    rounded = 2 * noise * (1 + 20 * 2 + 64 * 4) / 45 / step
    first, second = quotient[0] - quotient[1], quotient[1] - quotient[2]
    # Of g(s w) nudged by STEP/s the errors are s times those of g nudged by STEP; so must their estimate be.
    truncated = np.abs(limit - fine) + max(STEP, step) ** 4 * np.abs(second)
    converging = np.abs(first - 4 * second) <= np.abs(second)  # the ratio is 4, to first order in h²
    return limit, rounded + np.where(converging, truncated, np.abs(first) + np.abs(second))


def _nudges(step: float) -> list[float]:
    """±h, ±h/2, ±h/4."""
    return [sign * step / part for part in (1, 2, 4) for sign in (1, -1)]


def _stretch(problem: Problem, name: str) -> float:
    """How much a nudge is magnified before it reaches a nonlinearity: by the inputs, or by the weights."""
    partners = [problem.x, *problem.state] if name in problem.params._fields else problem.params
    return max(1.0, *(float(np.abs(array).max()) for array in partners))
