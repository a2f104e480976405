"""The cell's own NumPy forward, run on the reverse-mode tape in any arithmetic."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradlab.arithmetic import variables
from gradlab.cells import Cell
from gradlab.equations import nudged
from gradlab.problem import Inputs

Array = np.ndarray[Any, Any]


class Taped(NamedTuple):
    """wrt: the Variables of everything to differentiate by (weights, x, states, nudges of intermediates), by name.
    trace: the Variables of every intermediate. losses: those of every step and sample, (T, B).
    """

    wrt: dict[str, Array]
    trace: dict[str, Array]
    losses: Array


def taped(cell: Cell, inputs: Inputs) -> Taped:
    """Run the forward on Variables, every sample a batch of its own so that each has its own losses.

    The adjoint of a nudge of 0 is the delta of its intermediate. That of the intermediate itself would not do: an
    equation that only gives a value a second name (one of two uses of a cell state) gives it the same Variable.

    Args:
        inputs: the problem's arrays as scalars of one arithmetic.
    """
    arrays = dict(inputs.named()) | {"y": inputs.y}
    length = {axis: n for name, array in arrays.items() for axis, n in zip(cell.axes[name], array.shape, strict=True)}
    zero = type(inputs.x.flat[0])(0)
    leaves = {name: variables(array) for name, array in inputs.named()}
    leaves |= {name: variables(np.full([length[axis] for axis in cell.axes[name]], zero)) for name in cell.nudges}
    nudges = {name: leaves[name][..., None, :] for name in cell.nudges}
    params = type(inputs.params)(**{name: leaves[name] for name in inputs.params._fields})
    state = type(inputs.state)(**{name: leaves[name][..., None, :] for name in inputs.state._fields})
    trace = nudged(cell.code.forward, cell.nudges)(params, leaves["x"][..., None, :], state, nudges=nudges)
    losses = cell.code.loss(trace.y_hat, inputs.y[..., None, :]).per_step
    together = {name: array[..., 0, :] for name, array in trace._asdict().items()}
    return Taped(leaves, together, losses)
