"""The cell's own NumPy forward, run on the reverse-mode tape in any arithmetic."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradlab.arithmetic import variables
from gradlab.cells import Cell
from gradlab.problem import Inputs

Array = np.ndarray[Any, Any]


class Taped(NamedTuple):
    """wrt: the Variables of everything to differentiate by (weights, x, states, the nudged intermediates), by name.
    trace: the Variables of every intermediate. losses: those of every step and sample, (T, B).
    """

    wrt: dict[str, Array]
    trace: dict[str, Array]
    losses: Array


def taped(cell: Cell, inputs: Inputs) -> Taped:
    """Run the forward on Variables, every sample a batch of its own so that each has its own losses.

    The adjoint of an intermediate is its delta, because everything downstream reads that very Variable.

    Args:
        inputs: the problem's arrays as scalars of one arithmetic.
    """
    leaves = {name: variables(array) for name, array in inputs.named()}
    params = type(inputs.params)(**{name: leaves[name] for name in inputs.params._fields})
    state = type(inputs.state)(**{name: leaves[name][..., None, :] for name in inputs.state._fields})
    trace = cell.code.forward(params, leaves["x"][..., None, :], state)
    losses = cell.code.loss(trace.y_hat, inputs.y[..., None, :]).per_step
    together = {name: array[..., 0, :] for name, array in trace._asdict().items()}
    return Taped(leaves | {name: together[name] for name in cell.nudges}, together, losses)
