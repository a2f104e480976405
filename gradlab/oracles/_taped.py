"""The cell's own NumPy forward, run on a tape of arrays in any arithmetic."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradlab.arithmetic.traced import Tape, Traced
from gradlab.cells import Cell
from gradlab.equations import nudged
from gradlab.problem import Inputs


class Taped(NamedTuple):
    """wrt: everything to differentiate by (weights, x, states, nudges of intermediates), by name.
    trace: every intermediate. losses: those of every step and sample, (T, B).
    """

    tape: Tape
    wrt: dict[str, Traced]
    trace: dict[str, Traced]
    losses: Traced


def taped(cell: Cell, tape: Tape, inputs: Inputs) -> Taped:
    """Run the forward, every sample a batch of its own so that each has its own losses.

    The adjoint of a nudge of 0 is the delta of its intermediate. That of the intermediate itself would not do: an
    equation that only gives a value a second name (one of two uses of a cell state) gives it the same node.

    Args:
        inputs: the problem's arrays as numbers of the tape.
    """
    arrays = dict(inputs.named()) | {"y": inputs.y}
    length = {axis: n for name, array in arrays.items() for axis, n in zip(cell.axes[name], array.shape, strict=True)}
    leaves = {name: tape.anew(array) for name, array in inputs.named()}
    leaves |= {name: tape.numbers(np.zeros([length[axis] for axis in cell.axes[name]])) for name in cell.nudges}
    nudges = {name: leaves[name][..., None, :] for name in cell.nudges}
    params = type(inputs.params)(**{name: leaves[name] for name in inputs.params._fields})
    state = type(inputs.state)(**{name: leaves[name][..., None, :] for name in inputs.state._fields})
    trace = nudged(cell.code.forward, cell.nudges)(params, leaves["x"][..., None, :], state, nudges=nudges)
    losses = cell.code.loss(trace.y_hat, inputs.y[..., None, :]).per_step
    together = {name: array[..., 0, :] for name, array in trace._asdict().items()}
    return Taped(tape, leaves, together, losses)
