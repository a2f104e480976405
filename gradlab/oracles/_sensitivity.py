"""What the oracles need for the derivatives of intermediates by weights, which some cells carry forward through time.

T steps   B batch   n units of an intermediate   w… axes of a weight
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradlab.cells import Cell
from gradlab.problem import Inputs

Array = np.ndarray[Any, Any]


def single_steps(cell: Cell, inputs: Inputs, trace: Mapping[str, Array] | None = None) -> Inputs:
    """Every step of every sample as a sequence of its own, one step long, from the state that it began in.

    There a weight is used once, and the derivative by it is the one by its use at that step.

    Args:
        trace: the intermediates of the whole sequence, by name; by default forward is run for them.

    Returns:
        x (1, T·B, I), y (1, T·B, O), states (T·B, …).
    """
    if trace is None:
        trace = cell.code.forward(inputs.params, inputs.x, inputs.state)._asdict()
    before = {}
    for name, initial in inputs.state._asdict().items():
        every = np.concatenate([initial[None], trace[cell.continues[name]][:-1]])
        before[name] = every.reshape(-1, every.shape[-1])
    x, y = (array.reshape(1, -1, array.shape[-1]) for array in (inputs.x, inputs.y))
    return inputs._replace(x=x, y=y, state=type(inputs.state)(**before))


def of_steps(jacobian: Array, T: int) -> Array:
    """(T, B, n, w…) or (1, T·B, n, w…) -> (T, B, w…, n), as a `Quantity` has it."""
    _, _, n, *w = jacobian.shape
    return np.moveaxis(jacobian.reshape(T, -1, n, *w), 2, -1)
